/**
 * Selects the parameters that weight decay acts on, as the official stages do (`optim_factory.py` and the `no_weight_decay` of
 * the models).
 *
 * ```ts
 * import assert from "node:assert"
 * import { WeightDecay } from "patchword/domain"
 *
 * assert.ok(WeightDecay.decays("pretrain")("blocks.0.attn.qkv.weight", 2))
 * assert.ok(WeightDecay.decays("pretrain")("mask_token", 3))
 * assert.ok(!WeightDecay.decays("pretrain")("cls_token", 3))
 * assert.ok(!WeightDecay.decays("tokenizer")("encoder.pos_embed", 3))
 * ```
 */

/** The stages that train with AdamW. */
export type Stage = "tokenizer" | "pretrain" | "finetune" | "segment" | "decoder"

const vit: ReadonlySet<string> = new Set(["pos_embed", "cls_token"])

const spared: { readonly [S in Stage]: ReadonlySet<string> } = {
  tokenizer: new Set([
    "encoder.pos_embed",
    "encoder.cls_token",
    "decoder.pos_embed",
    "decoder.cls_token",
    "quantize.embedding.weight"
  ]),
  pretrain: vit,
  finetune: vit,
  decoder: vit,
  // The official code names tokens and positions without `backbone.`, so it spares none of them.
  segment: new Set()
}

/**
 * Tests whether weight decay acts on a parameter, by its official name and the number of its axes. It does not act on vectors,
 * biases, class tokens and absolute positions. It acts on the mask token, relative position tables and the head over codes. In
 * segmentation it also acts on the class token and absolute positions.
 */
export const decays = (stage: Stage) => (name: string, rank: number): boolean =>
  rank > 1 && !name.endsWith(".bias") && !spared[stage].has(name)
