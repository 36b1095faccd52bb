/**
 * What the weights of a network are called: by the official code, by timm, and in the files of Hugging Face's
 * transformers. Names are translated with what goes with them: attention in one matrix or in three, a projection
 * transposed, a class token with more axes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Naming } from "patchword/domain"
 *
 * const weight = { shape: [8, 3, 2, 2], dtype: "float32", data: new Float32Array(96) } as const
 * const ours = { "patch_embed.proj.weight": weight }
 * const theirs = Result.getOrThrow(Naming.to("huggingface", ours, "classifier"))
 * assert.deepStrictEqual(theirs, { "beit.embeddings.patch_embeddings.projection.weight": weight })
 * assert.deepStrictEqual(Naming.official(theirs, "classifier"), Result.succeed(ours))
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import * as Safetensors from "./Safetensors.ts"
import type { Tensor } from "./Safetensors.ts"

/** Who names: the official code, timm, or the files of Hugging Face's transformers. */
export const Naming = Schema.Literals(["official", "timm", "huggingface"])
export type Naming = typeof Naming.Type

/**
 * Whose weights: a classifier (`BeitForImageClassification`), a pretrained network (`BeitForMaskedImageModeling`), a
 * tokenizer, the image tower of CLIP (`CLIPVisionModelWithProjection`), a DINO transformer (`ViTModel`).
 */
export const Network = Schema.Literals(["classifier", "pretrained", "tokenizer", "clip", "dino"])
export type Network = typeof Network.Type

/** Arrays by name. */
export type Tensors = Readonly<Record<string, Tensor>>

/** What stands in the way of a translation. */
export const Reason = Schema.TaggedUnion({
  /** No name, or names of several namings, say who named the tensors. */
  Unclear: {
    found: Schema.Array(Naming),
    markers: Schema.Array(Schema.Struct({ naming: Naming, name: Schema.String })),
    names: Schema.Array(Schema.String)
  },
  /** There is no such network there. */
  NoNetwork: { naming: Naming, known: Schema.Array(Naming) },
  /** The network has no place for these tensors there. */
  NoPlace: { naming: Naming, names: Schema.Array(Schema.String) }
})
export type Reason = typeof Reason.Type

const SHOWN = 5

const some = (names: ReadonlyArray<string>): string =>
  names.length > SHOWN ? `${names.slice(0, SHOWN).join(", ")} and ${names.length - SHOWN} more` : names.join(", ")

/** Tensors whose names cannot be translated. Exits with 65. */
export class NamingError
  extends Schema.TaggedError<NamingError>()("NamingError", { network: Network, reason: Reason })
{
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return Reason.match(this.reason, {
      Unclear: ({ found, markers, names }) =>
        `the names are ${found.length === 0 ? "of no known naming" : `those of ${found.join(" and ")} at once`}: a ` +
        `${this.network} network has ${markers.map(({ name, naming }) => `${name} (${naming})`).join(" or ")}, but ` +
        `there is ${names.length === 0 ? "nothing" : some(names)}; use a file of that network, written by one of them`,
      NoNetwork: ({ known, naming }) => `${naming} has no ${this.network} network; use ${known.join(" or ")} names`,
      NoPlace: ({ names, naming }) =>
        `the ${this.network} network of ${naming} has no place for ${some(names)}; leave them out or use official names`
    })
  }
}

type Foreign = string | readonly [string, string, string]

interface Rule {
  /** A name, or what names begin with before a dot; `*` is the number of a block. */
  readonly official: string
  /** The same there; three where an array is in three there, along its first axis. */
  readonly foreign: Foreign
  readonly change?: Change
  /** A bias that is always zero, and only there. */
  readonly zeros?: string
  /** What newer networks of the kind are called there. Nothing is written under it. */
  readonly only?: "read"
}

interface Change {
  readonly to: (tensor: Tensor) => Tensor
  readonly from: (tensor: Tensor) => Tensor
}

const transpose = (tensor: Tensor): Tensor => {
  const [rows = 1, columns = 1] = tensor.shape
  const data = tensor.data.map((_, i) => tensor.data[(i % rows) * columns + Math.floor(i / rows)]!)
  return { ...tensor, shape: [columns, rows], data }
}

const transposed: Change = { to: transpose, from: transpose }

/** There, the shape begins with more axes of length 1. */
const unsqueezed = (more: 1 | 2): Change => ({
  to: (tensor) => ({ ...tensor, shape: [...[1, 1].slice(0, more), ...tensor.shape] }),
  from: (tensor) => ({ ...tensor, shape: tensor.shape.slice(more) })
})

/** How one network is named. The official names and those that equal them need no rules. */
interface Names {
  /** A tensor that every file of it has. */
  readonly marker: string
  readonly rules?: ReadonlyArray<Rule>
  /** What is there for other purposes, and is not read. */
  readonly ignored?: RegExp
  /** What there is no place for, and no need. */
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

const resblock = "visual.transformer.resblocks.*"
const clipLayer = "vision_model.encoder.layers.*"

const inThree = (kind: string): Foreign => [
  `${clipLayer}.self_attn.q_proj.${kind}`,
  `${clipLayer}.self_attn.k_proj.${kind}`,
  `${clipLayer}.self_attn.v_proj.${kind}`
]

const patches = "patch_embed.proj.weight"
const BEIT = "beit."
const beitPatches = `${BEIT}embeddings.patch_embeddings.projection.weight`
const index = /relative_position_index$/

const dinov2Layer = "encoder.layer.*"

/** What transformers calls otherwise in DINOv2 than in its other transformers. */
const dinov2 = each({
  "register_tokens": "embeddings.register_tokens",
  "blocks.*.norm1": `${dinov2Layer}.norm1`,
  "blocks.*.ls1.gamma": `${dinov2Layer}.layer_scale1.lambda1`,
  "blocks.*.norm2": `${dinov2Layer}.norm2`,
  "blocks.*.ls2.gamma": `${dinov2Layer}.layer_scale2.lambda1`,
  "blocks.*.mlp.fc1": `${dinov2Layer}.mlp.fc1`,
  "blocks.*.mlp.fc2": `${dinov2Layer}.mlp.fc2`
}).map((rule): Rule => ({ ...rule, only: "read" }))

// What changes nothing of what a teacher says of patches: heads, mask tokens, and text towers with their settings.
const textTower =
  /^(?:text_projection|logit_scale|logit_bias|positional_embedding|attn_mask|input_resolution|context_length|vocab_size)$|^(?:transformer|token_embedding|ln_final|text|text_decoder)\./
const dinoHead = /^(?:mask_token$|(?:head|dino_head|ibot_head)\.)/

const networks: Readonly<Record<Network, { readonly [N in Naming]?: Names }>> = {
  classifier: {
    official: { marker: patches, ignored: index },
    timm: { marker: patches, ignored: index },
    huggingface: {
      marker: beitPatches,
      ignored: index,
      rules: each({ ...beit, norm: "beit.layernorm", fc_norm: "beit.pooler.layernorm", head: "classifier" })
    }
  },
  pretrained: {
    official: { marker: patches, ignored: index },
    huggingface: {
      marker: beitPatches,
      ignored: index,
      left: /^cls_pt_/,
      rules: each({ ...beit, norm: "layernorm", lm_head: "lm_head" })
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
      rules: [...each({ ...transformer(""), norm: "layernorm" }), ...dinov2]
    }
  }
}

/** Who has names for a network that differ from the official ones, after the official code. */
export const namings = (network: Network): ReadonlyArray<Naming> =>
  Naming.literals.filter((naming) => naming === "official" || networks[network][naming]?.rules !== undefined)

const fail = (network: Network, reason: Reason) => Result.fail(new NamingError({ network, reason }))

const nobody = (network: Network, naming: Naming) =>
  fail(network, { _tag: "NoNetwork", naming, known: Naming.literals.filter((one) => one in networks[network]) })

/** A function from the names that `pattern` fits to the same names by a template. */
const renaming = (pattern: string) => {
  const expression = new RegExp(`^${pattern.replaceAll(".", "\\.").replace("*", "(?<block>\\d+)")}(?<rest>\\..+)?$`)
  return (name: string, template: string): string | undefined => {
    const groups = expression.exec(name)?.groups
    return groups && template.replace("*", groups["block"] ?? "") + (groups["rest"] ?? "")
  }
}

type Named = readonly [name: string, tensor: Tensor]

/** Three arrays one after another along their first axis; `undefined` where they are not three of one kind. */
const joined = (parts: ReadonlyArray<Tensor>): Tensor | undefined => {
  const [first] = parts
  if (first === undefined || parts.length !== 3 || first.shape.length === 0) return undefined
  const kind = ({ dtype, shape }: Tensor) => `${dtype} ${shape.join()}`
  if (parts.some((part) => kind(part) !== kind(first))) return undefined
  const data = Safetensors.zeros(first.dtype, 3 * first.data.length)
  parts.forEach((part, i) => data.set(part.data, i * first.data.length))
  return { ...first, shape: [3 * first.shape[0]!, ...first.shape.slice(1)], data }
}

/** The thirds of an array along its first axis; `undefined` where it has none. */
const thirds = ({ data, dtype, shape: [rows, ...rest] }: Tensor): ReadonlyArray<Tensor> | undefined => {
  if (rows === undefined || rows % 3 !== 0) return undefined
  const length = data.length / 3
  return [0, 1, 2].map((i) => ({ dtype, shape: [rows / 3, ...rest], data: data.slice(i * length, (i + 1) * length) }))
}

const markersOf = (network: Network) =>
  Naming.literals.flatMap((naming) => {
    const name = networks[network][naming]?.marker
    return name === undefined ? [] : [{ naming, name }]
  }).filter(({ name }, i, all) => all.findIndex((other) => other.name === name) === i)

/** What others put before the names of a network that they train on several devices, compile, or make a part of. */
const WRAPPED = /^(?:(?:module|_orig_mod|backbone|model)\.)+/

/**
 * The tensors without what a wrapper put before their names. That is what stands before the marker of the network; names
 * without it stay as they are, as those of a head beside a `backbone`.
 */
const unwrapped = (tensors: Tensors, network: Network): Tensors => {
  const names = Object.keys(tensors)
  const markers = new Set(
    markersOf(network).flatMap(({ name }) => name === beitPatches ? [name, name.slice(BEIT.length)] : [name])
  )
  const [prefix, another] = new Set(names.flatMap((name) => {
    const prefix = WRAPPED.exec(name)?.[0] ?? ""
    return markers.has(name.slice(prefix.length)) ? [prefix] : []
  }))
  if (prefix === undefined || prefix === "" || another !== undefined) return tensors
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const bare = name.slice(prefix.length)
      return [name.startsWith(prefix) && !Object.hasOwn(tensors, bare) ? bare : name, tensor]
    })
  )
}

/** Whether the names are those of a classifier, whose head others call otherwise than a pretrained network's. */
export const trained = (names: ReadonlyArray<string>): "classifier" | "pretrained" =>
  names.some((name) => /(?:^|\.)(?:classifier|pooler\.layernorm)\.(?:weight|bias)$/.test(name))
    ? "classifier"
    : "pretrained"

/** Who named the tensors of a network, told from their names; `official` where the names do not differ. */
export const detect = (names: ReadonlyArray<string>, network: Network): Result.Result<Naming, NamingError> => {
  const markers = markersOf(network)
  const found = markers.filter(({ name }) => names.includes(name)).map(({ naming }) => naming)
  const [only, another] = found
  return only === undefined || another !== undefined
    ? fail(network, { _tag: "Unclear", found, markers, names })
    : Result.succeed(only)
}

/**
 * The tensors of a network under their official names, whoever named them; `named` says who, where the names alone do not.
 * What a file has for other purposes, as index buffers or the text tower of CLIP, is left out, and so is what wrappers put
 * before all names: `module.`, `_orig_mod.`, `backbone.`, `model.`. Names that are none of the network's stay as they are, so
 * that whoever fills a network lists them.
 *
 * Fails when nobody said who named them and the names do not say, and when there is no such network there.
 */
export const official = (
  given: Tensors,
  network: Network,
  named?: Naming
): Result.Result<Tensors, NamingError> => {
  const bare = unwrapped(given, network)
  // transformers calls a network without a head `BeitModel`, and its arrays what they are called inside of others.
  const tensors =
    (network === "classifier" || network === "pretrained") && Object.hasOwn(bare, beitPatches.slice(BEIT.length))
      ? Object.fromEntries(Object.entries(bare).map(([name, tensor]) => [`${BEIT}${name}`, tensor]))
      : bare
  const who = named === undefined ? detect(Object.keys(tensors), network) : Result.succeed(named)
  return Result.flatMap(who, (naming) => {
    const names = networks[network][naming]
    if (names === undefined) return nobody(network, naming)
    const { ignored, rules = [] } = names
    const readers = rules.flatMap(({ change, foreign, official }) =>
      [foreign].flat().map((pattern, part) => ({ rename: renaming(pattern), official, foreign, part, change }))
    )
    const zeros = new Set(rules.map((rule) => rule.zeros))
    const found: Array<Named> = []
    const inParts = new Map<string, Array<Named>>()
    for (const [name, tensor] of Object.entries(tensors)) {
      if (ignored?.test(name) || (zeros.has(name) && tensor.data.every((x) => x === 0))) continue
      const reader = readers.find(({ rename }) => rename(name, "") !== undefined)
      const renamed = reader?.rename(name, reader.official) ?? name
      if (typeof reader?.foreign === "object") {
        const parts = inParts.get(renamed) ?? []
        parts[reader.part] = [name, tensor]
        inParts.set(renamed, parts)
      } else found.push([renamed, reader?.change?.from(tensor) ?? tensor])
    }
    for (const [name, sparse] of inParts) {
      const parts = sparse.filter(() => true)
      const whole = joined(parts.map(([, tensor]) => tensor))
      found.push(...whole === undefined ? parts : [[name, whole] as const])
    }
    return Result.succeed(Object.fromEntries(found))
  })
}

/**
 * Officially named tensors of a network under the names that others give them. What only the official training needs (the
 * aggregation blocks of a pretrained network, index buffers) is left out where others have no place for it.
 *
 * Fails when there is no such network there, or no place in it for one of the tensors.
 */
export const to = (naming: Naming, tensors: Tensors, network: Network): Result.Result<Tensors, NamingError> => {
  const known = networks[network]
  const names = known[naming]
  if (names === undefined) return nobody(network, naming)
  const kept = Object.entries(tensors)
    .filter(([name]) => !known.official?.ignored?.test(name) && !names.left?.test(name))
  if (names.rules === undefined) return Result.succeed(Object.fromEntries(kept))

  const writers = names.rules.filter(({ only }) => only === undefined).map((rule) => ({
    ...rule,
    rename: renaming(rule.official)
  }))
  const translated = kept.map(([name, tensor]): ReadonlyArray<Named> => {
    const writer = writers.find(({ rename }) => rename(name, "") !== undefined)
    if (writer === undefined) return []
    const { change, foreign, rename, zeros } = writer
    if (typeof foreign === "object") {
      return thirds(tensor)?.map((third, i) => [rename(name, foreign[i]!)!, third] as const) ?? []
    }
    const changed = change?.to(tensor) ?? tensor
    const length = changed.shape[0] ?? 0
    return [
      [rename(name, foreign)!, changed],
      ...zeros === undefined
        ? []
        : [[zeros, { shape: [length], dtype: tensor.dtype, data: Safetensors.zeros(tensor.dtype, length) }] as const]
    ]
  })
  const homeless = kept.filter((_, i) => translated[i]!.length === 0).map(([name]) => name)
  return homeless.length > 0
    ? fail(network, { _tag: "NoPlace", naming, names: homeless })
    : Result.succeed(Object.fromEntries(translated.flat()))
}
