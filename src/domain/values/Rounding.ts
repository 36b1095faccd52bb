/**
 * Rounding as in Python. Official sizes and offsets depend on it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Rounding } from "patchword/domain"
 *
 * assert.deepStrictEqual([0.5, 1.5, 2.5, 2.6].map(Rounding.halfToEven), [0, 2, 2, 3])
 * ```
 */

/** Rounds to the nearest whole number. Halves go to the even neighbour, as with Python's `round`. */
export const halfToEven = (x: number): number => {
  const down = Math.floor(x)
  const rest = x - down
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down
}
