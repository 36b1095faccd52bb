/**
 * Checks the directions of teacher features. A tokenizer learns by cosine similarity. It learns the direction of a feature
 * vector, not its length.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FeatureDirections } from "patchword/domain"
 *
 * const shape = { tokens: 2, width: 2, nameOf: (image: number) => `number ${image}` }
 * const refused = FeatureDirections.check(Float32Array.of(1, 2, 0, 0), shape)
 * assert.match(String(refused), /patch 1 of image number 0/)
 * assert.strictEqual(FeatureDirections.hasChanged(Float32Array.of(1, 2), Float32Array.of(1, 2.5)), true)
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError } from "../values/TaggedError.ts"

/** The features of a patch have no direction. */
export class NoDirection extends TaggedError<NoDirection>()("NoDirection", {
  /** The name of the image. */
  image: Schema.String,
  /** The number of the patch, counted from 0, row by row. */
  patch: Schema.Int,
  /** The problem of the features, as "are all 0". */
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the features of patch ${this.patch} of image ${this.image} ${this.problem}. They have no direction, and a ` +
      "tokenizer learns directions"
  }
  get remedy() {
    return "check the image, and the input and the output of the teacher's model, remove the image, or use another teacher"
  }
}

/** The sizes of features, and the names of their images. */
export interface Shape {
  /** Number of patches of an image. */
  readonly tokens: number
  /** Number of features of a patch. */
  readonly width: number
  /** Returns the name of an image by its index in the batch. */
  readonly nameOf: (image: number) => string
}

// Between these, sums of squares are exact enough in 32 bits, in which the cosine is computed.
const LEAST = 2 ** -100
const MOST = 2 ** 126

const squares = (values: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return sum
}

const problemOf = (values: Float32Array, sum: number): string => {
  const odd = values.find((value) => !Number.isFinite(value))
  if (odd !== undefined) return `hold ${odd}`
  if (sum === 0) return "are all 0"
  return `are too ${sum < LEAST ? "small" : "large"} for 32 bits (length ${Math.sqrt(sum).toPrecision(2)})`
}

/**
 * Checks that the features of every patch have a direction, `[B, tokens, width]`. Fails with the first patch that has none: a
 * number is not finite, all are 0, or their length underflows or overflows.
 */
export const check = (features: Float32Array, shape: Shape): Result.Result<void, NoDirection> => {
  const { nameOf, tokens, width } = shape
  for (let row = 0; row * width < features.length; row++) {
    const values = features.subarray(row * width, (row + 1) * width)
    const sum = squares(values)
    if (sum >= LEAST && sum <= MOST) continue
    const [image, patch] = [nameOf(Math.floor(row / tokens)), row % tokens]
    return Result.fail(new NoDirection({ image, patch, problem: problemOf(values, sum) }))
  }
  return Result.void
}

/** Computes the length of a vector. */
export const length = (values: Float32Array): number => Math.sqrt(squares(values))

/** The tolerance of {@link hasChanged}, relative to the length: twice the rounding error of normal 16-bit floats. */
const TOLERANCE = 2 ** -10

/** Tests whether storage in fewer bits changed the direction of a vector by more than 16-bit rounding does. */
export const hasChanged = (values: Float32Array, stored: Float32Array): boolean =>
  !(length(values.map((value, i) => value - stored[i]!)) <= TOLERANCE * length(values))
