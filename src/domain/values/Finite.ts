/**
 * Finding what is no number: NaN and infinity, of which everything that is computed from them is one again.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Finite } from "patchword/domain"
 *
 * assert.strictEqual(Finite.firstNot(Float32Array.of(1, 2)), undefined)
 * assert.deepStrictEqual(Finite.firstNot(Float32Array.of(1, -Infinity)), { index: 1, value: "-Infinity" })
 * ```
 */
import { Schema } from "effect"

/** A number that is none, and where it stands. */
export const Found = Schema.Struct({ index: Schema.Int, value: Schema.String })
export type Found = typeof Found.Type

/** The first value that is not finite; `undefined` where all are. */
export const firstNot = (values: ArrayLike<number>): Found | undefined => {
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!
    if (!Number.isFinite(value)) return { index, value: String(value) }
  }
  return undefined
}
