/** What networks give, looked at before anybody uses it. */
import { Effect, Runtime, Schema } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"

/** A network gives NaN or infinity for an image. Exits with 65. */
export class OutputError extends Schema.TaggedError<OutputError>()("OutputError", {
  /** What is not finite: `features`, `logits`, `vectors before their codes`. */
  what: Schema.String,
  image: Schema.String,
  found: NonFiniteValue.NonFiniteValue
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const { found: { index, value }, image, what } = this
    return `the ${what} of image ${image} hold ${value} (element ${index}), so nothing is written; the network's numbers ` +
      "grow beyond what its element type holds: use other weights, or --precision fp32"
  }
}

/**
 * Fails with {@link OutputError} where one of the first rows of a batch is not finite, and names its image. `describe` tells
 * an image by its row.
 */
export const checkFinite = (
  what: string,
  values: Float32Array,
  { describe, rows, valid }: {
    /** Images in the batch, and how many of them count. */
    readonly rows: number
    readonly valid: number
    readonly describe: (row: number) => string
  }
): Effect.Effect<void, OutputError> => {
  const length = values.length / rows
  const found = NonFiniteValue.first(values.subarray(0, valid * length))
  if (found === undefined) return Effect.void
  const row = Math.floor(found.index / length)
  const place = { index: found.index % length, value: found.value }
  return Effect.fail(new OutputError({ what, image: describe(row), found: place }))
}
