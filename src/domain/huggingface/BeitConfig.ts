/**
 * The `config.json` of BEiT in transformers, read into our configuration and written from it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BeitConfig, Presets } from "patchword/domain"
 *
 * assert.strictEqual(BeitConfig.write(Presets.base.finetune.vit).hidden_size, 768)
 * ```
 *
 * Sources: `configuration_beit.py`, `modeling_beit.py` of transformers.
 */
import { Effect, Schema } from "effect"
import { VitConfig } from "../config/VitConfig.ts"
import * as Quantity from "../values/Quantity.ts"
import * as ForeignConfig from "./ForeignConfig.ts"

/** The supported networks of transformers. */
export const Architecture = Schema.Literals(["BeitForImageClassification", "BeitForMaskedImageModeling"])
export type Architecture = typeof Architecture.Type

const Square = Schema.Union([
  Quantity.Count,
  Schema.Tuple([Quantity.Count, Quantity.Count]).check(
    Schema.makeFilter(([height, width]: readonly [number, number]) => height === width, {
      expected: "equal height and width"
    })
  )
])

/** The largest number of classes that a file may declare without their names. */
const MOST = 2 ** 20

const Fields = Schema.Struct({
  model_type: Schema.Literal("beit"),
  architectures: Schema.Tuple([Architecture]),
  hidden_size: Quantity.Count,
  num_hidden_layers: Quantity.Count,
  num_attention_heads: Quantity.Count,
  head_dim: Schema.optionalKey(Quantity.Count),
  intermediate_size: Quantity.Count,
  hidden_act: Schema.optionalKey(Schema.Literals(["gelu", "gelu_python"])),
  layer_norm_eps: Schema.optionalKey(Quantity.Positive),
  image_size: Square,
  patch_size: Square,
  num_channels: Schema.optionalKey(Schema.Literal(3)),
  use_absolute_position_embeddings: Schema.optionalKey(Schema.Boolean),
  use_relative_position_bias: Schema.optionalKey(Schema.Boolean),
  use_shared_relative_position_bias: Schema.optionalKey(Schema.Boolean),
  layer_scale_init_value: Schema.optionalKey(Quantity.NonNegative),
  use_mean_pooling: Schema.optionalKey(Schema.Boolean),
  use_mask_token: Schema.optionalKey(Schema.Boolean),
  vocab_size: Schema.optionalKey(Quantity.Count),
  num_labels: Schema.optionalKey(Quantity.Count.check(Schema.isLessThanOrEqualTo(MOST))),
  id2label: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})

// Of training, of segmentation, of what transformers writes of itself.
const NEUTRAL = [
  "_attn_implementation",
  "_attn_implementation_autoset",
  "_commit_hash",
  "_name_or_path",
  "_out_features",
  "_out_indices",
  "add_fpn",
  "attention_probs_dropout_prob",
  "auxiliary_channels",
  "auxiliary_concat_input",
  "auxiliary_loss_weight",
  "auxiliary_num_convs",
  "chunk_size_feed_forward",
  "drop_path_rate",
  "dtype",
  "finetuning_task",
  "hidden_dropout_prob",
  "initializer_range",
  "is_encoder_decoder",
  "label2id",
  "out_features",
  "out_indices",
  "output_attentions",
  "output_hidden_states",
  "pool_scales",
  "problem_type",
  "reshape_hidden_states",
  "return_dict",
  "segmentation_indices",
  "semantic_loss_ignore_index",
  "stage_names",
  "torch_dtype",
  "transformers_version",
  "use_auxiliary_head",
  "use_cache"
]

/** The default of transformers. */
const EPSILON = 1e-12
const LABELS = 2
const CODES = 8192

/** A network of transformers. */
export interface Described {
  readonly architecture: Architecture
  readonly vit: VitConfig
  /** The names of the classes of a classifier. */
  readonly classes: ReadonlyArray<string>
  /** The number of codes that a pretrained network predicts. */
  readonly codes: number
}

const side = (square: typeof Square.Type): number => typeof square === "number" ? square : square[0]

/** Reads the network of a file. Fails with a `ForeignError` that names every key with an unsupported value. */
export const read = (
  members: Readonly<Record<string, unknown>>,
  file: string
): Effect.Effect<Described, ForeignConfig.ForeignError> =>
  Effect.gen(function*() {
    const found = yield* ForeignConfig.decode(Fields, file, NEUTRAL)(members)
    const { hidden_size: width, num_attention_heads: heads } = found
    const refuse = (path: string, message: string) => Effect.fail(ForeignConfig.refusal(file, path, message))
    const [architecture] = found.architectures
    const pretrained = architecture === "BeitForMaskedImageModeling"
    const [own, shared] = [found.use_relative_position_bias, found.use_shared_relative_position_bias]
    if (own === true && shared === true) {
      return yield* refuse(
        "use_relative_position_bias",
        "expected false together with use_shared_relative_position_bias, got true"
      )
    }
    if (found.head_dim !== undefined && found.head_dim * heads !== width) {
      return yield* refuse("head_dim", `expected hidden_size ${width} / ${heads} heads, got ${found.head_dim}`)
    }
    // Without, two norms would follow each other.
    if (pretrained && found.use_mean_pooling === false) {
      return yield* refuse("use_mean_pooling", "expected true for BeitForMaskedImageModeling, got false")
    }
    const vit = yield* ForeignConfig.decode(VitConfig, file, [])({
      imageSize: side(found.image_size),
      patchSize: side(found.patch_size),
      width,
      depth: found.num_hidden_layers,
      heads,
      mlpRatio: found.intermediate_size / width,
      layerScale: found.layer_scale_init_value ?? 0.1,
      qkvBias: true,
      absolutePositions: found.use_absolute_position_embeddings ?? false,
      relativePositions: own === true ? "perBlock" : shared === true ? "shared" : "none",
      dropPath: 0,
      pooling: found.use_mean_pooling === false ? "cls" : "mean",
      normEpsilon: found.layer_norm_eps ?? EPSILON
    })
    if (pretrained && vit.patches < 2) {
      return yield* refuse("patch_size", `expected at least two patches, got one of ${vit.patchSize} pixels`)
    }
    const labels = found.id2label ??
      Object.fromEntries(Array.from({ length: found.num_labels ?? LABELS }, (_, i) => [String(i), `LABEL_${i}`]))
    const count = Object.keys(labels).length
    const classes = Array.from({ length: count }, (_, i) =>
      Object.hasOwn(labels, String(i)) ? labels[String(i)] : undefined)
    const named = classes.filter((name) =>
      name !== undefined
    )
    if (!pretrained && (count === 0 || named.length < count)) {
      return yield* refuse("id2label", `expected a name for each class from 0 on, got ${count} names`)
    }
    if (found.id2label !== undefined && found.num_labels !== undefined && found.num_labels !== count) {
      return yield* refuse("num_labels", `expected the ${count} of id2label, got ${found.num_labels}`)
    }
    return { architecture, vit, classes: named, codes: found.vocab_size ?? CODES }
  })

/** Writes the sizes of a network as a `BeitConfig` of transformers. */
export const write = (vit: VitConfig) => ({
  model_type: "beit",
  hidden_size: vit.width,
  num_hidden_layers: vit.depth,
  num_attention_heads: vit.heads,
  intermediate_size: vit.hidden,
  hidden_act: "gelu",
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  layer_norm_eps: vit.normEpsilon ?? 1e-6,
  image_size: vit.imageSize,
  patch_size: vit.patchSize,
  num_channels: 3,
  use_absolute_position_embeddings: vit.absolutePositions,
  use_relative_position_bias: vit.relativePositions === "perBlock",
  use_shared_relative_position_bias: vit.relativePositions === "shared",
  layer_scale_init_value: vit.layerScale,
  drop_path_rate: vit.dropPath,
  use_mean_pooling: vit.pooling === "mean"
})
