/** Checks the outputs of networks before they are used. */
import { Effect, Runtime, Schema } from "effect"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** The output of a network for an image is NaN or infinite. */
export class OutputError extends TaggedError<OutputError>()("OutputError", {
  /** The name of the output: `features`, `logits`, `vectors before their codes`. */
  what: Schema.String,
  image: Schema.String,
  found: NonFiniteValue.NonFiniteValue
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { found: { index, value }, image, what } = this
    return `the ${what} of image ${image} hold ${value} (element ${index}). Nothing is written, because the network's ` +
      "numbers overflow"
  }
  get remedy() {
    return "use other weights, or --precision fp32"
  }
}

/**
 * Fails with {@link OutputError} if one of the first rows of a batch is not finite. The error names the image. `describe`
 * returns the name of the image of a row.
 */
export const checkFinite = (
  what: string,
  values: Float32Array,
  { describe, rows, valid }: {
    /** Number of images in the batch, and the number of those that count. */
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
