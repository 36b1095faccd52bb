/**
 * The peak signal-to-noise ratio of two pictures, in decibels: how small the mean squared difference of their values is beside
 * the largest difference that there can be.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Psnr } from "patchword/domain"
 *
 * const [a, b] = [Float32Array.of(0, 0.5, 1), Float32Array.of(0.1, 0.4, 0.9)]
 * assert.ok(Math.abs(Psnr.psnr(Psnr.meanSquaredError(a, b)) - 20) < 1e-5)
 * ```
 */

/** The values of a picture. */
type Values = ArrayLike<number>

/**
 * Computes the mean squared difference of the values of two pictures, or of those at `places`.
 *
 * @throws RangeError if there are different numbers of values, or none.
 */
export const meanSquaredError = (a: Values, b: Values, places?: Values): number => {
  const count = places?.length ?? a.length
  if (a.length !== b.length || count === 0) {
    throw new RangeError(`mean squared error: ${a.length} and ${b.length} values, ${count} of them compared`)
  }
  let sum = 0
  for (let i = 0; i < count; i++) {
    const at = places === undefined ? i : places[i]!
    sum += (a[at]! - b[at]!) ** 2
  }
  return sum / count
}

/**
 * Computes the peak signal-to-noise ratio from a mean squared error: `10 log₁₀(range² / error)`. `range` is the largest
 * difference of two values: 1 for values from 0 to 1. Equal pictures have an infinite ratio.
 */
export const psnr = (error: number, range = 1): number => 10 * Math.log10(range ** 2 / error)
