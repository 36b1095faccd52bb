/**
 * Finds NaN and infinity among numbers.
 *
 * ```ts
 * import assert from "node:assert"
 * import { NonFiniteValue } from "patchword/domain"
 *
 * assert.strictEqual(NonFiniteValue.first(Float32Array.of(1, 2)), undefined)
 * assert.deepStrictEqual(NonFiniteValue.first(Float32Array.of(1, -Infinity)), { index: 1, value: "-Infinity" })
 * ```
 */
import { Schema } from "effect"

/** A number that is not finite, and its index. */
export const NonFiniteValue = Schema.Struct({ index: Schema.Int, value: Schema.String })
export type NonFiniteValue = typeof NonFiniteValue.Type

/** Returns the first value that is not finite; `undefined` if all are finite. */
export const first = (values: ArrayLike<number>): NonFiniteValue | undefined => {
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!
    if (!Number.isFinite(value)) return { index, value: String(value) }
  }
  return undefined
}
