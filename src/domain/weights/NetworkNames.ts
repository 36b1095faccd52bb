/**
 * Tables of the names that the official code, timm and transformers give to the arrays of each network. `Naming` translates
 * with them.
 */
import { Schema } from "effect"
import type { Tensor } from "./Safetensors.ts"

/** The source of tensor names: the official code, timm, or the files of Hugging Face's transformers. */
export const Naming = Schema.Literals(["official", "timm", "huggingface"])
export type Naming = typeof Naming.Type

/**
 * The kind of network: a classifier (`BeitForImageClassification`), a pretrained network (`BeitForMaskedImageModeling`), a
 * tokenizer, the image tower of CLIP (`CLIPVisionModelWithProjection`), a DINO transformer (`ViTModel`).
 */
export const Network = Schema.Literals(["classifier", "pretrained", "tokenizer", "clip", "dino"])
export type Network = typeof Network.Type

type Foreign = string | readonly [string, string, string]

/** The names of one array, or of all arrays whose names begin alike. */
export interface Rule {
  /** The official name, or the beginning of names up to a dot. `*` is the number of a block. */
  readonly official: string
  /** The foreign name. Three names if the foreign code splits the array in three along its first axis. */
  readonly foreign: Foreign
  readonly change?: Change
  /** A foreign bias that is always zero. The official code has none. */
  readonly zeros?: string
  /** `read` for foreign names of newer networks. They are read, and never written. */
  readonly only?: "read"
}

/** The change of an array that goes with a change of names. */
export interface Change {
  readonly to: (tensor: Tensor) => Tensor
  readonly from: (tensor: Tensor) => Tensor
}

const transpose = (tensor: Tensor): Tensor => {
  const [rows = 1, columns = 1] = tensor.shape
  const data = tensor.data.map((_, i) => tensor.data[(i % rows) * columns + Math.floor(i / rows)]!)
  return { ...tensor, shape: [columns, rows], data }
}

const transposed: Change = { to: transpose, from: transpose }

/** Adds axes of length 1 at the beginning of the foreign shape. */
const unsqueezed = (more: 1 | 2): Change => ({
  to: (tensor) => ({ ...tensor, shape: [...[1, 1].slice(0, more), ...tensor.shape] }),
  from: (tensor) => ({ ...tensor, shape: tensor.shape.slice(more) })
})

/** The names of one network. Names that equal the official ones need no rules. */
export interface Names {
  /** A tensor that every file of the network has. */
  readonly marker: string
  readonly rules?: ReadonlyArray<Rule>
  /** Foreign tensors for other purposes. They are not read. */
  readonly ignored?: RegExp
  /** Official tensors without a foreign name. They are left out. */
  readonly left?: RegExp
}

const each = (names: Readonly<Record<string, Foreign>>): ReadonlyArray<Rule> =>
  Object.entries(names).map(([official, foreign]) => ({ official, foreign }))

const transformer = (prefix: string): Readonly<Record<string, Foreign>> => {
  const layer = `${prefix}encoder.layer.*`
  const attention = `${layer}.attention.attention`
  return {
    "cls_token": `${prefix}embeddings.cls_token`,
    "pos_embed": `${prefix}embeddings.position_embeddings`,
    "patch_embed.proj": `${prefix}embeddings.patch_embeddings.projection`,
    "blocks.*.norm1": `${layer}.layernorm_before`,
    "blocks.*.attn.qkv": [`${attention}.query`, `${attention}.key`, `${attention}.value`],
    "blocks.*.attn.proj": `${layer}.attention.output.dense`,
    "blocks.*.norm2": `${layer}.layernorm_after`,
    "blocks.*.mlp.fc1": `${layer}.intermediate.dense`,
    "blocks.*.mlp.fc2": `${layer}.output.dense`
  }
}

const beitLayer = "beit.encoder.layer.*"
const beitAttention = `${beitLayer}.attention.attention`

const beit: Readonly<Record<string, Foreign>> = {
  // Before the three matrices, whose names begin the same.
  "blocks.*.attn.q_bias": `${beitAttention}.query.bias`,
  "blocks.*.attn.v_bias": `${beitAttention}.value.bias`,
  ...transformer("beit."),
  "mask_token": "beit.embeddings.mask_token",
  "rel_pos_bias": "beit.encoder.relative_position_bias",
  "blocks.*.attn.relative_position_bias_table": `${beitAttention}.relative_position_bias.relative_position_bias_table`,
  "blocks.*.gamma_1": `${beitLayer}.lambda_1`,
  "blocks.*.gamma_2": `${beitLayer}.lambda_2`
}

const read = (names: Readonly<Record<string, Foreign>>): ReadonlyArray<Rule> =>
  each(names).map((rule): Rule => ({ ...rule, only: "read" }))

const projections = (attention: string): Foreign => [
  `${attention}.q_proj`,
  `${attention}.k_proj`,
  `${attention}.v_proj`
]

/** The names of transformers 5 in memory, as `state_dict` returns them. Its files have the names of earlier versions. */
const inMemory = (prefix: string): Readonly<Record<string, Foreign>> => {
  const layer = `${prefix}layers.*`
  return {
    "blocks.*.norm1": `${layer}.layernorm_before`,
    "blocks.*.attn.qkv": projections(`${layer}.attention`),
    "blocks.*.attn.proj": `${layer}.attention.o_proj`,
    "blocks.*.norm2": `${layer}.layernorm_after`,
    "blocks.*.mlp.fc1": `${layer}.mlp.fc1`,
    "blocks.*.mlp.fc2": `${layer}.mlp.fc2`
  }
}

const beitInMemory = read({
  "blocks.*.attn.q_bias": "beit.layers.*.attention.q_proj.bias",
  "blocks.*.attn.v_bias": "beit.layers.*.attention.v_proj.bias",
  ...inMemory("beit."),
  "rel_pos_bias": "beit.shared_position_bias",
  "blocks.*.attn.relative_position_bias_table": "beit.layers.*.relative_position_bias.relative_position_bias_table",
  "blocks.*.gamma_1": "beit.layers.*.lambda_1",
  "blocks.*.gamma_2": "beit.layers.*.lambda_2"
})

const resblock = "visual.transformer.resblocks.*"
const clipLayer = "vision_model.encoder.layers.*"

const inThree = (kind: string): Foreign => [
  `${clipLayer}.self_attn.q_proj.${kind}`,
  `${clipLayer}.self_attn.k_proj.${kind}`,
  `${clipLayer}.self_attn.v_proj.${kind}`
]

const patches = "patch_embed.proj.weight"
/** The prefix of names in transformers, for a BEiT inside of another network. */
export const BEIT = "beit."
/** The marker of such a BEiT. */
export const beitPatches = `${BEIT}embeddings.patch_embeddings.projection.weight`
const index = /relative_position_index$/

const dinov2Layer = "encoder.layer.*"

/** The names of transformers for DINOv2 that differ from those of its other transformers. */
const dinov2 = read({
  "register_tokens": "embeddings.register_tokens",
  "blocks.*.norm1": `${dinov2Layer}.norm1`,
  "blocks.*.ls1.gamma": `${dinov2Layer}.layer_scale1.lambda1`,
  "blocks.*.norm2": `${dinov2Layer}.norm2`,
  "blocks.*.ls2.gamma": `${dinov2Layer}.layer_scale2.lambda1`,
  "blocks.*.mlp.fc1": `${dinov2Layer}.mlp.fc1`,
  "blocks.*.mlp.fc2": `${dinov2Layer}.mlp.fc2`
})

/** The attention of DINOv2 in memory. */
const dinov2InMemory = read({
  "blocks.*.attn.qkv": projections(`${dinov2Layer}.attention`),
  "blocks.*.attn.proj": `${dinov2Layer}.attention.o_proj`
})

// What changes nothing of what a teacher says of patches: heads, mask tokens, and text towers with their settings.
const textTower =
  /^(?:text_projection|logit_scale|logit_bias|positional_embedding|attn_mask|input_resolution|context_length|vocab_size)$|^(?:transformer|token_embedding|ln_final|text|text_decoder)\./
const dinoHead = /^(?:mask_token$|(?:head|dino_head|ibot_head)\.)/

/** The names of each network, by naming. */
export const networks: Readonly<Record<Network, { readonly [N in Naming]?: Names }>> = {
  classifier: {
    official: { marker: patches, ignored: index },
    timm: { marker: patches, ignored: index },
    huggingface: {
      marker: beitPatches,
      ignored: index,
      rules: [
        ...each({ ...beit, norm: "beit.layernorm", fc_norm: "beit.pooler.layernorm", head: "classifier" }),
        ...beitInMemory
      ]
    }
  },
  pretrained: {
    official: { marker: patches, ignored: index },
    huggingface: {
      marker: beitPatches,
      ignored: index,
      left: /^cls_pt_/,
      rules: [...each({ ...beit, norm: "layernorm", lm_head: "lm_head" }), ...beitInMemory]
    }
  },
  tokenizer: { official: { marker: `encoder.${patches}`, ignored: /^(?:loss|teacher|scaling)/ } },
  clip: {
    official: { marker: "visual.conv1.weight", ignored: textTower },
    timm: {
      marker: patches,
      rules: [
        { official: "visual.class_embedding", foreign: "cls_token", change: unsqueezed(2) },
        { official: "visual.positional_embedding", foreign: "pos_embed", change: unsqueezed(1) },
        { official: "visual.proj", foreign: "head.weight", change: transposed, zeros: "head.bias" },
        ...each({
          "visual.conv1": "patch_embed.proj",
          "visual.ln_pre": "norm_pre",
          [`${resblock}.ln_1`]: "blocks.*.norm1",
          [`${resblock}.attn.in_proj_weight`]: "blocks.*.attn.qkv.weight",
          [`${resblock}.attn.in_proj_bias`]: "blocks.*.attn.qkv.bias",
          [`${resblock}.attn.out_proj`]: "blocks.*.attn.proj",
          [`${resblock}.ln_2`]: "blocks.*.norm2",
          [`${resblock}.mlp.c_fc`]: "blocks.*.mlp.fc1",
          [`${resblock}.mlp.c_proj`]: "blocks.*.mlp.fc2",
          "visual.ln_post": "norm"
        })
      ]
    },
    huggingface: {
      marker: "vision_model.embeddings.patch_embedding.weight",
      ignored: /^text_model\.|^text_projection\.|^logit_scale$|\.position_ids$/,
      rules: [
        { official: "visual.proj", foreign: "visual_projection.weight", change: transposed },
        ...each({
          "visual.class_embedding": "vision_model.embeddings.class_embedding",
          "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
          "visual.conv1": "vision_model.embeddings.patch_embedding",
          "visual.ln_pre": "vision_model.pre_layrnorm",
          [`${resblock}.ln_1`]: `${clipLayer}.layer_norm1`,
          [`${resblock}.attn.in_proj_weight`]: inThree("weight"),
          [`${resblock}.attn.in_proj_bias`]: inThree("bias"),
          [`${resblock}.attn.out_proj`]: `${clipLayer}.self_attn.out_proj`,
          [`${resblock}.ln_2`]: `${clipLayer}.layer_norm2`,
          [`${resblock}.mlp.c_fc`]: `${clipLayer}.mlp.fc1`,
          [`${resblock}.mlp.c_proj`]: `${clipLayer}.mlp.fc2`,
          "visual.ln_post": "vision_model.post_layernorm"
        })
      ]
    }
  },
  dino: {
    official: { marker: patches, ignored: dinoHead },
    timm: { marker: patches, ignored: dinoHead },
    huggingface: {
      marker: "embeddings.patch_embeddings.projection.weight",
      ignored: /^(?:pooler|classifier)\.|^embeddings\.mask_token$/,
      rules: [
        ...each({ ...transformer(""), norm: "layernorm" }),
        ...dinov2,
        ...read(inMemory("")),
        ...dinov2InMemory
      ]
    }
  }
}

/** Returns the namings that have a network, the official one first, without those that equal it. */
export const namings = (network: Network): ReadonlyArray<Naming> =>
  Naming.literals.filter((naming) => naming === "official" || networks[network][naming]?.rules !== undefined)
