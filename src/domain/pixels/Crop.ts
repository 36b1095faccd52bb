/**
 * Crops pictures to the part that a network sees. Training uses a random rectangle, sometimes mirrored. Evaluation uses the
 * centre.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Crop, KeyedRandom } from "patchword/domain"
 *
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "view", epoch: 0, index: 7 })
 * const box = Crop.random(640, 480, { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3] }, draws)
 * assert.ok(box.left >= 0 && box.left + box.width <= 640)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as Rounding from "../values/Rounding.ts"
import type { Picture } from "./Picture.ts"
import * as Resample from "./Resample.ts"

/** The limits of area and aspect ratio of random crops. */
export interface Bounds {
  /** Smallest and largest area, as a share of the picture's. */
  readonly cropScale: readonly [number, number]
  /** Smallest and largest ratio of width to height. */
  readonly cropRatio: readonly [number, number]
}

const TRIES = 10

/**
 * Draws a random rectangle in a picture of `width` × `height` pixels, as torchvision's `RandomResizedCrop` does. The area is
 * uniform in `cropScale`, the logarithm of the aspect ratio is uniform in `cropRatio`, and the position is uniform. After ten
 * draws that do not fit, it returns the largest central rectangle of an allowed ratio.
 */
export const random = (
  width: number,
  height: number,
  bounds: Bounds,
  draws: Generator
): Resample.Box => {
  const { integer, uniform } = draws
  const [smallest, largest] = bounds.cropScale
  const [narrowest, widest] = bounds.cropRatio
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = width * height * (smallest + (largest - smallest) * uniform())
    const ratio = Math.exp(Math.log(narrowest) + (Math.log(widest) - Math.log(narrowest)) * uniform())
    const w = Rounding.halfToEven(Math.sqrt(area * ratio))
    const h = Rounding.halfToEven(Math.sqrt(area / ratio))
    if (0 < w && w <= width && 0 < h && h <= height) {
      return { top: integer(0, height - h), left: integer(0, width - w), width: w, height: h }
    }
  }
  const ratio = width / height
  const w = ratio > widest ? Math.max(1, Rounding.halfToEven(height * widest)) : width
  const h = ratio < narrowest ? Math.max(1, Rounding.halfToEven(width / narrowest)) : height
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h }
}

/** Mirrors a picture: left and right are exchanged. */
export const flip = (picture: Picture): Picture => {
  const { data, height, width } = picture
  const mirrored = new Uint8Array(data.length)
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + column) * 3
      const to = (row * width + width - 1 - column) * 3
      mirrored[to] = data[from]!
      mirrored[to + 1] = data[from + 1]!
      mirrored[to + 2] = data[from + 2]!
    }
  }
  return { width, height, data: mirrored }
}

/** The settings of the evaluation crop. */
export interface Evaluation {
  readonly interpolation: Resample.Filter
  /** Side of the central square, as a share of the shorter side of the resized picture. */
  readonly evaluationCrop: number
  /** The sides that are resized: the shorter one, by default, or both. */
  readonly evaluationSides?: "shorter" | "both" | undefined
  /** The rounding of an offset of half a pixel; `even` by default. */
  readonly evaluationOffset?: "even" | "down" | undefined
}

/**
 * Resizes the shorter side to `size / evaluationCrop` and returns the central square of `size` pixels. Sides and offsets are
 * rounded as in the official code. `resize` may compute the same pixels in another way.
 */
export const central = (
  picture: Picture,
  size: number,
  evaluation: Evaluation,
  resize: typeof Resample.resize = Resample.resize
): Picture => {
  const short = Math.trunc(size / evaluation.evaluationCrop)
  const { height, width } = picture
  const long = (side: number, other: number) =>
    side <= other || evaluation.evaluationSides === "both" ? short : Math.trunc((short * side) / other)
  const half = evaluation.evaluationOffset === "down" ? Math.floor : Rounding.halfToEven
  const [across, down] = [long(width, height), long(height, width)]
  const window = { left: half((across - size) / 2), top: half((down - size) / 2), width: size, height: size }
  return resize(picture, across, down, evaluation.interpolation, Resample.whole(picture), window)
}
