/**
 * Schemas of the numbers in configurations. Each names its expected values in errors.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Schema } from "effect"
 * import { Quantity } from "patchword/domain"
 *
 * assert.strictEqual(Schema.decodeUnknownSync(Quantity.Share)(0.4), 0.4)
 * assert.throws(() => Schema.decodeUnknownSync(Quantity.Count)(0), /a whole number of at least 1/)
 * ```
 */
import { Schema } from "effect"

/** A whole number of at least 1. */
export const Count = Schema.Int.check(
  Schema.makeFilter((n: number) => n >= 1, { expected: "a whole number of at least 1" })
)

/** Makes the schema of whole numbers from 1 to `greatest`. Larger numbers are taken for typing errors. */
export const upTo = (greatest: number) =>
  Schema.Int.check(
    Schema.makeFilter((n: number) => n >= 1 && n <= greatest, { expected: `a whole number from 1 to ${greatest}` })
  )

/** A side in pixels, or a number of channels: a whole number from 1 to 65536. */
export const Size = upTo(65_536)

/** A number of blocks: a whole number from 1 to 1000. */
export const Blocks = upTo(1000)

/** A whole number of at least 0. */
export const Whole = Schema.Int.check(
  Schema.makeFilter((n: number) => n >= 0, { expected: "a whole number of at least 0" })
)

/** A number greater than 0. */
export const Positive = Schema.Finite.check(
  Schema.makeFilter((n: number) => n > 0, { expected: "a number greater than 0" })
)

/** A number of at least 0. */
export const NonNegative = Schema.Finite.check(
  Schema.makeFilter((n: number) => n >= 0, { expected: "a number of at least 0" })
)

/** A number from 0 to 1, both inclusive: a probability or a share. */
export const Share = Schema.Finite.check(
  Schema.makeFilter((n: number) => n >= 0 && n <= 1, { expected: "a number from 0 to 1" })
)

/** A number from 0 (inclusive) to 1 (exclusive): a rate or probability that must be below 1. */
export const Rate = Schema.Finite.check(
  Schema.makeFilter((n: number) => n >= 0 && n < 1, { expected: "a number from 0 to below 1" })
)

/** A number greater than 0 and at most 1: a factor or a share. */
export const Factor = Schema.Finite.check(
  Schema.makeFilter((n: number) => n > 0 && n <= 1, { expected: "a number above 0 and at most 1" })
)

/** A number greater than 0 and less than 1: a part of a whole that leaves a rest. */
export const Part = Schema.Finite.check(
  Schema.makeFilter((n: number) => n > 0 && n < 1, { expected: "a number above 0 and below 1" })
)

/** Two numbers greater than 0, the first at most the second. */
export const Range = Schema.Tuple([Positive, Positive]).check(
  Schema.makeFilter(([low, high]: readonly [number, number]) => low <= high, {
    expected: "two numbers in ascending order"
  })
)

/** One number per colour channel: red, green, blue. */
export const Channels = Schema.Tuple([Schema.Finite, Schema.Finite, Schema.Finite])
