/**
 * Checks of the directions of teacher features. A tokenizer learns by cosine: it learns the direction of a feature
 * vector, and nothing of its length.
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

/** The features of a patch have no direction. Exits with 65. */
export class NoDirection extends Schema.TaggedError<NoDirection>()("NoDirection", {
  /** What the image is called. */
  image: Schema.String,
  /** Counted from 0, row by row. */
  patch: Schema.Int,
  /** What its features are, as "are all 0". */
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the features of patch ${this.patch} of image ${this.image} ${this.problem}, so they have no direction, which is ` +
      "all that a tokenizer is taught; look at the image, and at the pixels and the output that the teacher's model " +
      "expects, leave the image out, or use another teacher"
  }
}

/** The images and sizes of features. */
export interface Shape {
  /** Patches of an image. */
  readonly tokens: number
  /** Numbers of a patch. */
  readonly width: number
  /** What the images are called, by their places in the batch. */
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
 * Features `[B, tokens, width]` of which every patch has a direction. Fails with the first one that has none: where a number
 * is not finite, or all are 0, or so small or large that their length is.
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

/** The length of a vector. */
export const length = (values: Float32Array): number => Math.sqrt(squares(values))

/** Twice what rounding to 16 bits changes of numbers that are not too small for them, as a share of their length. */
const TOLERANCE = 2 ** -10

/** Whether the direction of a vector, stored in fewer bits, has changed by more than 16 bits account for. */
export const hasChanged = (values: Float32Array, stored: Float32Array): boolean =>
  !(length(values.map((value, i) => value - stored[i]!)) <= TOLERANCE * length(values))
