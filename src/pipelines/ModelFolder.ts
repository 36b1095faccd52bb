/**
 * A network as a folder in the layout of the Hugging Face Hub: `config.json`, `preprocessor_config.json`,
 * `model.safetensors` and a model card. transformers opens classifiers and backbones from it (`BeitForImageClassification`,
 * `BeitForMaskedImageModeling`); folders of its BEiT are read as well.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { ModelFolder } from "patchword/pipelines"
 *
 * const { vit } = Presets.base.finetune
 * assert.strictEqual(ModelFolder.settings(vit).hidden_size, 768)
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Record, Result, Runtime, Schema } from "effect"
import type { AugmentConfig } from "../domain/AugmentConfig.ts"
import * as Config from "../domain/Config.ts"
import { FinetuneConfig } from "../domain/FinetuneConfig.ts"
import * as Model from "../domain/Model.ts"
import type * as Naming from "../domain/Naming.ts"
import { base } from "../domain/Presets.ts"
import { PretrainConfig } from "../domain/PretrainConfig.ts"
import { version } from "../domain/Version.ts"
import { VitConfig } from "../domain/VitConfig.ts"
import * as Files from "../layers/Files.ts"
import * as Weights from "../layers/Weights.ts"
import * as FinetuneStep from "../nn/FinetuneStep.ts"
import * as PretrainStep from "../nn/PretrainStep.ts"
import * as TokenizerStep from "../nn/TokenizerStep.ts"
import * as Sizes from "./Sizes.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** A network with its weights; an `Artifact` is one. */
export type Network = Model.Model & { readonly tensors: Weights.Tensors }

/** The folder does not describe a network that is known. Exits with 65. */
export class OtherModel extends Schema.TaggedError<OtherModel>()("OtherModel", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.problem}; known are networks of patchword and the BEiT of transformers`
  }
}

/** Why a folder cannot be read or written. The exit code is that of the reason. */
export class ModelFolderError extends Schema.TaggedError<ModelFolderError>()("ModelFolderError", {
  folder: Schema.String,
  reason: Schema.Union([OtherModel, Config.ConfigError, Files.FileError, Weights.WeightsError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return this.reason._tag === "OtherModel" ? `${this.folder}: ${this.reason.message}` : this.reason.message
  }
}

/** What stands on the model card beside the provenance. */
export interface Card {
  readonly name: string
  /** An identifier of the Hub, as `mit`. */
  readonly licence?: string
  readonly provenance?: Weights.Provenance
}

/** What transformers' `BeitConfig` calls the parts of a network. */
export const settings = (vit: VitConfig) => ({
  model_type: "beit",
  hidden_size: vit.width,
  num_hidden_layers: vit.depth,
  num_attention_heads: vit.heads,
  intermediate_size: vit.hidden,
  hidden_act: "gelu",
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  layer_norm_eps: 1e-6,
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

const processing = ({ evaluationCrop, mean, std }: AugmentConfig, imageSize: number) => {
  const side = (length: number) => ({ height: length, width: length })
  return {
    image_processor_type: "BeitImageProcessor",
    do_resize: true,
    size: side(Math.floor(imageSize / evaluationCrop)),
    resample: 3,
    do_center_crop: true,
    crop_size: side(imageSize),
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
    do_reduce_labels: false
  }
}

const numbered = (classes: ReadonlyArray<string>) => ({
  id2label: Object.fromEntries(classes.map((name, index) => [index, name])),
  label2id: Object.fromEntries(classes.map((name, index) => [name, index]))
})

interface Layout {
  readonly config: object
  readonly preprocessor: object
  readonly names: Weights.Names
  readonly title: string
}

const layoutOf = (network: Network): Layout => {
  switch (network._tag) {
    case "Tokenizer": {
      const { augment, encoder } = network.config
      return {
        config: { model_type: "patchword-tokenizer" },
        preprocessor: processing({ ...augment, mean: [0, 0, 0], std: [1, 1, 1] }, encoder.imageSize),
        names: { naming: "official", network: "tokenizer" },
        title: `visual tokenizer (VQ-KD), ${network.config.codebook.size} codes`
      }
    }
    case "Backbone": {
      const { augment, vit } = network.config
      return {
        config: {
          architectures: ["BeitForMaskedImageModeling"],
          ...settings(vit),
          use_mask_token: true,
          vocab_size: network.codes
        },
        preprocessor: processing(augment, vit.imageSize),
        names: { naming: "huggingface", network: "pretrained" },
        title: "vision transformer pretrained by masked image modelling (BEiT v2)"
      }
    }
    case "Classifier": {
      const { augment, vit } = network.config
      return {
        config: { architectures: ["BeitForImageClassification"], ...settings(vit), ...numbered(network.classes) },
        preprocessor: processing(augment, vit.imageSize),
        names: { naming: "huggingface", network: "classifier" },
        title: `image classifier, ${network.classes.length} classes`
      }
    }
  }
}

const pretty = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`

const cardOf = ({ licence, name, provenance }: Card, { title }: Layout, network: Network): string => {
  const lines = Object.entries(provenance ?? {}).filter(([key]) => key !== "model")
  return [
    "---",
    "library_name: patchword",
    "pipeline_tag: image-feature-extraction",
    ...(licence === undefined ? [] : [`license: ${licence}`]),
    "tags: [beit, vision]",
    "---",
    "",
    `# ${name}`,
    "",
    `A ${title}, ${Object.keys(network.tensors).length} tensors, written by patchword ${version}.`,
    ...(network._tag === "Backbone"
      ? ["The head of patch aggregation, which only pretraining uses, is left out.", ""]
      : [""]),
    "| made by | |",
    "| --- | --- |",
    ...lines.map(([key, value]) => `| ${key} | ${String(value)} |`),
    "",
    "The whole configuration is in `config.json`, under `patchword`.",
    ""
  ].join("\n")
}

// Without its aggregation head, a backbone is one that predicts from its last block alone.
const kept = (network: Network): Model.Model => {
  const { tensors: _, ...model } = network
  if (model._tag !== "Backbone") return model
  return { ...model, config: new PretrainConfig({ ...model.config, aggregation: null }) }
}

const OWN = "patchword"

const Fields = Schema.Record(Schema.String, Schema.Json)

const Own = Schema.Struct({ model: Model.Model, provenance: Schema.optionalKey(Weights.Provenance) })

const Published = Schema.Struct({
  model_type: Schema.Literal("beit"),
  architectures: Schema.Tuple([Schema.Literal("BeitForImageClassification")]),
  hidden_size: Schema.Int,
  num_hidden_layers: Schema.Int,
  num_attention_heads: Schema.Int,
  intermediate_size: Schema.Int,
  image_size: Schema.Int,
  patch_size: Schema.Int,
  use_absolute_position_embeddings: Schema.optionalKey(Schema.Boolean),
  use_relative_position_bias: Schema.optionalKey(Schema.Boolean),
  use_shared_relative_position_bias: Schema.optionalKey(Schema.Boolean),
  layer_scale_init_value: Schema.optionalKey(Schema.Finite),
  use_mean_pooling: Schema.optionalKey(Schema.Boolean),
  id2label: Schema.Record(Schema.String, Schema.String)
})

/** The classifier that a folder of transformers describes; all that it does not say is as in the preset `base`. */
const published = (config: typeof Published.Type): Model.Model => {
  const { finetune } = base
  const relative = config.use_relative_position_bias === true
    ? "perBlock"
    : config.use_shared_relative_position_bias === true
    ? "shared"
    : "none"
  return Model.Classifier.make({
    config: new FinetuneConfig({
      ...finetune,
      vit: new VitConfig({
        ...finetune.vit,
        imageSize: config.image_size,
        patchSize: config.patch_size,
        width: config.hidden_size,
        depth: config.num_hidden_layers,
        heads: config.num_attention_heads,
        mlpRatio: config.intermediate_size / config.hidden_size,
        layerScale: config.layer_scale_init_value ?? 0.1,
        absolutePositions: config.use_absolute_position_embeddings ?? false,
        relativePositions: relative,
        pooling: config.use_mean_pooling === false ? "cls" : "mean"
      })
    }),
    classes: Object.entries(config.id2label).toSorted(([a], [b]) => Number(a) - Number(b)).map(([, name]) => name)
  })
}

const networkOf: Readonly<Record<Model.Kind, Naming.Network>> = {
  Tokenizer: "tokenizer",
  Backbone: "pretrained",
  Classifier: "classifier"
}

/** The arrays that a network has. */
const specOf = (model: Model.Model): object => {
  switch (model._tag) {
    case "Tokenizer": {
      const sizes = TrainTokenizer.sizesOf(model)
      const { embedding } = TrainTokenizer.stepOf(model.config, model.teacherWidth, 1).state.quantize
      return { ...TokenizerStep.spec(sizes), quantize: { embedding } }
    }
    case "Backbone":
      return PretrainStep.spec(Sizes.backbone(model.config, model.codes))
    case "Classifier":
      return FinetuneStep.spec(Sizes.classifier(model.config, model.classes.length))
  }
}

const within = (folder: string) =>
  Effect.mapError((reason: ModelFolderError["reason"]) => new ModelFolderError({ folder, reason }))

/** Writes a network as a folder, whole or not at all. An existing folder is replaced. Fails with 74. */
export const write = Effect.fn("ModelFolder.write")(function*(folder: string, network: Network, card: Card) {
  const files = yield* Files.make
  const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const layout = layoutOf(network)
  const own = Schema.encodeSync(Own)({
    model: kept(network),
    ...(card.provenance === undefined ? {} : { provenance: card.provenance })
  })
  const texts = {
    "config.json": pretty({ ...layout.config, [OWN]: own }),
    "preprocessor_config.json": pretty(layout.preprocessor),
    "README.md": cardOf(card, layout, network)
  }
  yield* files.writeFolder(folder, (temporary) =>
    Effect.gen(function*() {
      for (const [name, text] of Object.entries(texts)) yield* files.write(files.path.join(temporary, name), text)
      const weights = { tensors: network.tensors, provenance: Option.fromNullishOr(card.provenance) }
      yield* Weights.write(files.path.join(temporary, "model.safetensors"), weights, layout.names)
    }).pipe(Effect.provideContext(platform)))
}, (self, folder) => within(folder)(self))

/**
 * Reads a folder that {@link write} wrote, or a classifier of transformers' BEiT.
 *
 * Fails with 66 when a file is missing, with 65 when the folder describes something else or its weights are not those of
 * what it describes.
 */
export const read = Effect.fn("ModelFolder.read")(function*(folder: string) {
  const files = yield* Files.make
  const file = files.path.join(folder, "config.json")
  const text = yield* files.readText(file)
  const config = yield* Config.decodeJson(Fields, file)(text)
  const own = config[OWN]
  const said = own === undefined
    ? yield* Schema.decodeUnknownEffect(Published)(config).pipe(
      Effect.map((found) => ({ model: published(found), provenance: undefined })),
      Effect.mapError(() =>
        new OtherModel({
          problem: `config.json describes ${JSON.stringify(config["architectures"] ?? config["model_type"] ?? null)}`
        })
      )
    )
    : yield* Config.decode(Own, `${file}, ${OWN}`)(own)
  const { model } = said
  const { tensors } = yield* Weights.read(files.path.join(folder, "model.safetensors"), {
    network: networkOf[model._tag],
    naming: model._tag === "Tokenizer" ? "official" : "huggingface"
  })
  // A statistic of training, which no inference reads, may be there or not.
  const learned = Record.filter(tensors, (_, name) => name !== "quantize.cluster_size")
  yield* Effect.fromResult(Result.map(Weights.conform(specOf(model), Weights.make(learned), folder), () => undefined))
  return { ...model, tensors, ...(said.provenance === undefined ? {} : { provenance: said.provenance }) }
}, (self, folder) => within(folder)(self))
