/**
 * The patches that hold most of an attention's mass, as DINO shows them (`visualize_attention.py`, option `threshold`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { AttentionMass } from "patchword/domain"
 *
 * assert.deepStrictEqual(AttentionMass.keep([0.1, 0.5, 0.1, 0.3], 0.6), Uint8Array.of(0, 1, 0, 1))
 * ```
 */

/**
 * Marks the patches that hold `share` of the sum of their weights, 0 to 1: the heaviest ones, until the others hold no more than the rest.
 * Of equal weights, the later ones count as heavier.
 */
export const keep = (weights: ArrayLike<number>, share: number): Uint8Array => {
  const all = Array.from(weights)
  const total = all.reduce((sum, weight) => sum + weight, 0)
  const kept = new Uint8Array(all.length)
  let below = 0
  for (const place of all.map((_, i) => i).toSorted((a, b) => all[a]! - all[b]!)) {
    below += all[place]! / total
    kept[place] = below > 1 - share ? 1 : 0
  }
  return kept
}
