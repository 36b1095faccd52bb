/**
 * Layer-wise learning rate decay for fine-tuning. Parameters closer to the image take smaller steps (`optim_factory.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { LayerDecay } from "patchword/domain"
 *
 * assert.strictEqual(LayerDecay.layer("blocks.3.attn.qkv.weight", 12), 4)
 * assert.strictEqual(LayerDecay.scale("head.weight", { decay: 0.65, depth: 12 }), 1)
 * assert.ok(Math.abs(LayerDecay.scale("cls_token", { decay: 0.65, depth: 12 }) - 0.65 ** 13) < 1e-15)
 * ```
 */

/**
 * Returns the layer of a parameter, by its official name. It is 0 for the embedding (patches, class and mask token, absolute
 * positions), `i + 1` for block `i`, and `depth + 1` for all parameters after the blocks or shared between them. In a segmenter,
 * these names begin with `backbone.` (`layer_decay_optimizer_constructor.py`).
 */
export const layer = (name: string, depth: number): number => {
  if (/^(?:backbone\.)?(?:(?:cls_token|mask_token|pos_embed)$|patch_embed\.)/.test(name)) return 0
  const block = /^(?:backbone\.)?blocks\.(\d+)\./.exec(name)
  return block === null ? depth + 1 : Number(block[1]) + 1
}

/**
 * Computes the factor of a parameter's learning rate, `decay^(depth + 1 - layer)`. It scales the final learning rate as well.
 */
export const scale = (name: string, options: { readonly decay: number; readonly depth: number }): number =>
  options.decay ** (options.depth + 1 - layer(name, options.depth))

/** Computes the factors of all `depth + 2` layers, from the embedding to the head. */
export const scales = (options: { readonly decay: number; readonly depth: number }): ReadonlyArray<number> =>
  Array.from({ length: options.depth + 2 }, (_, i) => options.decay ** (options.depth + 1 - i))
