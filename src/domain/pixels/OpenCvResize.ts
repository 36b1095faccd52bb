/**
 * Resizes pictures as OpenCV does (`INTER_LINEAR`): bilinear, without antialiasing. Every pixel is a mean of four pixels, even
 * when a picture shrinks. `Resample` has Pillow's filters, which give other pixels.
 *
 * ```ts
 * import assert from "node:assert"
 * import { OpenCvResize } from "patchword/domain"
 *
 * const two = { width: 2, height: 1, data: Uint8Array.of(0, 0, 0, 100, 100, 100) }
 * const four = OpenCvResize.bilinear(two, 4, 1)
 * assert.deepStrictEqual([0, 3, 6, 9].map((at) => four.data[at]), [0, 25, 75, 100])
 * ```
 */
import * as Rounding from "../values/Rounding.ts"
import type { Picture } from "./Picture.ts"

// Weights are fixed-point numbers of 11 bits.
const BITS = 11

/** For each pixel of a line that is resized: the two pixels that it mixes, and the weight of the second. */
const mixing = (length: number, out: number) => {
  const scale = 1 / (out / length)
  const within = (place: number): number => Math.min(Math.max(place, 0), length - 1)
  const centres = Float32Array.from({ length: out }, (_, at) => (at + 0.5) * scale - 0.5)
  return {
    first: Int32Array.from(centres, (centre) => within(Math.floor(centre))),
    second: Int32Array.from(centres, (centre) => within(Math.floor(centre) + 1)),
    weight: Int32Array.from(
      centres,
      (centre) => Rounding.halfToEven(Math.fround(centre - Math.floor(centre)) * 2 ** BITS)
    )
  }
}

/** Resizes a picture. */
export const bilinear = (picture: Picture, width: number, height: number): Picture => {
  if (picture.width === width && picture.height === height) return picture
  const one = 2 ** BITS
  const columns = mixing(picture.width, width)
  const rows = mixing(picture.height, height)
  const line = width * 3
  const across = new Int32Array(picture.height * line)
  for (let row = 0; row < picture.height; row++) {
    const from = row * picture.width * 3
    for (let at = 0; at < width; at++) {
      const weight = columns.weight[at]!
      const [first, second] = [from + columns.first[at]! * 3, from + columns.second[at]! * 3]
      for (let channel = 0; channel < 3; channel++) {
        across[row * line + at * 3 + channel] = picture.data[first + channel]! * (one - weight) +
          picture.data[second + channel]! * weight
      }
    }
  }
  const data = new Uint8Array(height * line)
  for (let row = 0; row < height; row++) {
    const weight = rows.weight[row]!
    const [first, second] = [rows.first[row]! * line, rows.second[row]! * line]
    for (let at = 0; at < line; at++) {
      // OpenCV drops these bits so that 32 bits hold the products. So the first and the last row may be darker by one level.
      const upper = ((one - weight) * (across[first + at]! >> 4)) >> 16
      const lower = (weight * (across[second + at]! >> 4)) >> 16
      data[row * line + at] = (upper + lower + 2) >> 2
    }
  }
  return { width, height, data }
}
