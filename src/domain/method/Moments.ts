/**
 * Mean, deviation, least and greatest of numbers that come one after another (Welford, 1962).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Moments } from "patchword/domain"
 *
 * const lengths = Moments.begin()
 * for (const value of [1, 2, 3, 6]) Moments.add(lengths, value)
 * assert.deepStrictEqual([lengths.mean, lengths.least, lengths.most], [3, 1, 6])
 * assert.strictEqual(Moments.deviation(lengths) ** 2, 3.5)
 * ```
 */

/** The moments of some numbers. */
export interface Moments {
  count: number
  mean: number
  /** The sum of the squared distances to the mean. */
  squares: number
  least: number
  most: number
}

/** Begins without a number. */
export const begin = (): Moments => ({ count: 0, mean: 0, squares: 0, least: Infinity, most: -Infinity })

/** Adds a number. */
export const add = (moments: Moments, value: number): void => {
  moments.count++
  const distance = value - moments.mean
  moments.mean += distance / moments.count
  moments.squares += distance * (value - moments.mean)
  moments.least = Math.min(moments.least, value)
  moments.most = Math.max(moments.most, value)
}

/** Returns the standard deviation of all numbers that were added; 0 without any. */
export const deviation = (moments: Moments): number =>
  moments.count === 0 ? 0 : Math.sqrt(moments.squares / moments.count)
