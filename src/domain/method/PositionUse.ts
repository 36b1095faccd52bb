/**
 * The use of codes at each position of the images. Codes should tell what a patch shows. Codes that only tell where a patch lies
 * are of no use.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PositionUse } from "patchword/domain"
 *
 * const use = PositionUse.begin(2, 3)
 * for (let image = 0; image < 50; image++) PositionUse.add(use, Int32Array.of(0, 2))
 * assert.deepStrictEqual([...PositionUse.counts(use)], [50, 0, 50])
 * assert.deepStrictEqual(PositionUse.perplexities(use), [1, 1])
 * assert.ok(PositionUse.told(use) > 0.98)
 * ```
 */
import { finish, type Pausable } from "../values/Pausable.ts"
import * as Codebook from "./Codebook.ts"

/** Counts of codes by position. */
export interface PositionUse {
  readonly positions: number
  readonly codes: number
  /** `[positions, codes]` */
  readonly table: Int32Array
}

/** Begins without an image. */
export const begin = (positions: number, codes: number): PositionUse => ({
  positions,
  codes,
  table: new Int32Array(positions * codes)
})

/** Adds the codes of images, `[images, positions]`, row-major. */
export const add = (use: PositionUse, codes: Int32Array): void => {
  codes.forEach((code, i) => (use.table[i % use.positions * use.codes + code]!++))
}

const at = ({ codes, table }: PositionUse, position: number) => table.subarray(position * codes, (position + 1) * codes)

/** Returns the number of patches of each code, `[codes]`. */
export const counts = (use: PositionUse): Int32Array => {
  const all = new Int32Array(use.codes)
  for (let position = 0; position < use.positions; position++) {
    const own = at(use, position)
    for (let code = 0; code < use.codes; code++) all[code]! += own[code]!
  }
  return all
}

/** Computes {@link perplexities} and {@link told} with pauses. */
export function* telling(
  use: PositionUse
): Pausable<{ readonly perplexities: ReadonlyArray<number>; readonly told: number }> {
  const all = counts(use)
  const entropy = Codebook.entropy(all)
  const patches = all.reduce((sum, count) => sum + count, 0)
  const perplexities: Array<number> = []
  let entropies = 0
  for (let position = 0; position < use.positions; position++) {
    yield
    perplexities.push(Codebook.perplexity(at(use, position)))
    entropies += Codebook.entropy(at(use, position))
  }
  const chance = (use.positions - 1) * (Codebook.usage(all) - 1) / (2 * patches)
  const told = entropy === 0 ? 0 : Math.min(1, Math.max(0, (entropy - entropies / use.positions - chance) / entropy))
  return { perplexities, told }
}

/** Returns the perplexity of the codes at each position. */
export const perplexities = (use: PositionUse): ReadonlyArray<number> => finish(telling(use)).perplexities

/**
 * Computes the share of the entropy of codes that their positions tell: the mutual information of position and code over the entropy
 * of codes, 0 to 1. Chance alone gives some information in few images. It is taken off (Miller, 1955).
 */
export const told = (use: PositionUse): number => finish(telling(use)).told
