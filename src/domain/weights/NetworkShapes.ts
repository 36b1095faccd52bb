/**
 * Tables of the shapes of the arrays of each network, by their official names. `KnownNetworks` recognises networks with them.
 */
import type { Network } from "./NetworkNames.ts"

/**
 * Shapes by names. `*` is the number of a block. An axis is a number, a size, or a multiple of a size. Names that end in `?`
 * are optional.
 */
export type Template = Readonly<Record<string, string>>

const under = (prefix: string, template: Template): Template =>
  Object.fromEntries(Object.entries(template).map(([name, shape]) => [`${prefix}${name}`, shape]))

const optional = (template: Template): Template =>
  Object.fromEntries(Object.entries(template).map(([name, shape]) => [name.endsWith("?") ? name : `${name}?`, shape]))

const block: Template = {
  "norm1.weight": "width",
  "norm1.bias": "width",
  "attn.qkv.weight": "3*width width",
  "attn.proj.weight": "width width",
  "attn.proj.bias": "width",
  "norm2.weight": "width",
  "norm2.bias": "width",
  "mlp.fc1.weight": "hidden width",
  "mlp.fc1.bias": "hidden",
  "mlp.fc2.weight": "width hidden",
  "mlp.fc2.bias": "width"
}

const beitBlock: Template = {
  ...block,
  "attn.q_bias?": "width",
  "attn.v_bias?": "width",
  "attn.relative_position_bias_table?": "relativePositions heads",
  "gamma_1?": "width",
  "gamma_2?": "width"
}

const linear = (name: string, out: string, into: string): Template => ({
  [`${name}.weight`]: `${out} ${into}`,
  [`${name}.bias`]: out
})

const norm = (name: string): Template => ({ [`${name}.weight`]: "width", [`${name}.bias`]: "width" })

const stem: Template = {
  "cls_token": "1 1 width",
  "patch_embed.proj.weight": "width 3 patch patch",
  "patch_embed.proj.bias": "width"
}

const beit: Template = {
  ...stem,
  "pos_embed?": "1 tokens width",
  "rel_pos_bias.relative_position_bias_table?": "relativePositions heads",
  ...under("blocks.*.", beitBlock)
}

const vqkd = (prefix: string): Template => ({
  ...under(`${prefix}.`, {
    "cls_token": "1 1 width",
    "pos_embed": "1 tokens width",
    "patch_embed.proj.bias": "width",
    ...under("blocks.*.", beitBlock),
    ...optional(norm("norm")),
    ...optional(norm("fc_norm"))
  })
})

/** The arrays of each network under their official names. */
export const templates: Readonly<Record<Network, Template>> = {
  tokenizer: {
    ...vqkd("encoder"),
    "encoder.patch_embed.proj.weight": "width 3 patch patch",
    ...vqkd("decoder"),
    "decoder.patch_embed.proj.weight": "width codeWidth 1 1",
    ...linear("encode_task_layer.0", "width", "width"),
    ...linear("encode_task_layer.2", "codeWidth", "width"),
    "quantize.embedding.weight": "codes codeWidth",
    "quantize.cluster_size?": "codes",
    "quantize.embedding.cluster_size?": "codes",
    "quantize.embedding.embed_avg?": "codes codeWidth",
    "quantize.embedding.initted?": "1",
    ...linear("decode_task_layer.0", "width", "width"),
    ...linear("decode_task_layer.2", "teacherWidth", "width")
  },
  pretrained: {
    ...beit,
    "mask_token": "1 1 width",
    ...norm("norm"),
    ...linear("lm_head", "codes", "width"),
    ...optional(under("cls_pt_layers.*.", beitBlock)),
    ...optional(norm("cls_pt_norm")),
    ...optional(linear("cls_pt_lm_head", "codes", "width"))
  },
  classifier: {
    ...beit,
    ...optional(norm("norm")),
    ...optional(norm("fc_norm")),
    ...linear("head", "classes", "width")
  },
  clip: {
    "visual.class_embedding": "width",
    "visual.positional_embedding": "tokens width",
    "visual.conv1.weight": "width 3 patch patch",
    ...norm("visual.ln_pre"),
    ...norm("visual.ln_post"),
    "visual.proj": "width out",
    ...under("visual.transformer.resblocks.*.", {
      "attn.in_proj_weight": "3*width width",
      "attn.in_proj_bias": "3*width",
      ...linear("attn.out_proj", "width", "width"),
      ...norm("ln_1"),
      ...norm("ln_2"),
      ...linear("mlp.c_fc", "hidden", "width"),
      ...linear("mlp.c_proj", "width", "hidden")
    })
  },
  dino: {
    ...stem,
    "pos_embed": "1 tokens width",
    "register_tokens?": "1 registers width",
    ...under("blocks.*.", { ...block, "attn.qkv.bias": "3*width", "ls1.gamma?": "width", "ls2.gamma?": "width" }),
    ...norm("norm")
  }
}
