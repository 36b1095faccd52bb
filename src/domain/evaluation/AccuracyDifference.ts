/**
 * The difference of two accuracies, with its 95 % confidence interval. It tells whether one network is better than another, or
 * whether their figures lie within the noise.
 *
 * The interval is that of R. G. Newcombe (1998, "Interval estimation for the difference between independent proportions", method
 * 10). It joins the intervals of the two accuracies. It holds for independent images. Of two networks on the same images the true
 * interval is narrower, so a difference that is called clear is so.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AccuracyDifference, Metrics } from "patchword/domain"
 *
 * const of = (right: number) => ({ value: right / 1000, interval: Metrics.interval(right, 1000) })
 * assert.strictEqual(AccuracyDifference.between(of(500), of(520)).isClear, false)
 * assert.strictEqual(AccuracyDifference.between(of(500), of(580)).isClear, true)
 * ```
 */

/** An accuracy from 0 to 1 with its interval. */
export interface Measured {
  readonly value: number
  readonly interval: readonly [low: number, high: number]
}

/** A difference of accuracies. */
export interface Difference {
  readonly difference: number
  readonly interval: readonly [low: number, high: number]
  /** True if the interval lies on one side of 0. */
  readonly isClear: boolean
}

/** Computes the difference of `other` to `one`: it is positive if `other` is more accurate. */
export const between = (one: Measured, other: Measured): Difference => {
  const difference = other.value - one.value
  const low = difference - Math.hypot(other.value - other.interval[0], one.interval[1] - one.value)
  const high = difference + Math.hypot(other.interval[1] - other.value, one.value - one.interval[0])
  return { difference, interval: [low, high], isClear: low > 0 || high < 0 }
}
