/**
 * Hue, saturation and value in 8 bits, as OpenCV computes them. The hue goes from 0 to 179, in steps of two degrees.
 *
 * ```ts
 * import assert from "node:assert"
 * import { OpenCvHsv } from "patchword/domain"
 *
 * const green = { width: 1, height: 1, data: Uint8Array.of(0, 200, 0) }
 * const hsv = OpenCvHsv.of(green)
 * assert.deepStrictEqual([...hsv], [60, 255, 200])
 * assert.deepStrictEqual(OpenCvHsv.toPicture(green, hsv), green)
 * ```
 */
import * as Rounding from "../values/Rounding.ts"
import type { Picture } from "./Picture.ts"

/** The number of hues. */
export const HUES = 180

// OpenCV divides by tables of fixed-point numbers.
const BITS = 12
const HALF = 1 << (BITS - 1)

const quotients = (whole: number): Int32Array =>
  Int32Array.from({ length: 256 }, (_, i) => i === 0 ? 0 : Rounding.halfToEven((whole * 2 ** BITS) / i))

const SATURATIONS = quotients(255)
const HUES_BY_RANGE = quotients(HUES / 6)

/** Converts a picture to hue, saturation and value, interleaved: `3 * width * height` values. */
export const of = (picture: Picture): Uint8Array => {
  const { data } = picture
  const hsv = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i += 3) {
    const [red, green, blue] = [data[i]!, data[i + 1]!, data[i + 2]!]
    const value = Math.max(red, green, blue)
    const range = value - Math.min(red, green, blue)
    const sixths = value === red
      ? green - blue
      : value === green
      ? blue - red + 2 * range
      : red - green + 4 * range
    const hue = (sixths * HUES_BY_RANGE[range]! + HALF) >> BITS
    hsv[i] = hue < 0 ? hue + HUES : hue
    hsv[i + 1] = (range * SATURATIONS[value]! + HALF) >> BITS
    hsv[i + 2] = value
  }
  return hsv
}

// OpenCV converts back in 32-bit floats, and rounds a product and a difference at once.
const STEP = Math.fround(6 / HUES)
const SHARE = Math.fround(1 / 255)

/** For each sixth of the hues, the places of red, green and blue among the four levels of a colour. */
const PLACES = [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]] as const

// OpenCV's vector code takes so many pixels at once, on processors with AVX2.
const VECTOR = 32

/**
 * Converts hue, saturation and value back to a picture of the size of `picture`. Values are cut to whole numbers, but rounded in
 * the last `width % 32` pixels of a row, as in OpenCV on processors with AVX2.
 */
export const toPicture = (picture: Pick<Picture, "width" | "height">, hsv: Uint8Array): Picture => {
  const { fround, trunc } = Math
  const { height, width } = picture
  const data = new Uint8Array(hsv.length)
  for (let i = 0; i < hsv.length; i += 3) {
    const whole = i / 3 % width < width - width % VECTOR ? trunc : Rounding.halfToEven
    const hue = fround(hsv[i]! * STEP)
    const saturation = fround(hsv[i + 1]! * SHARE)
    const value = fround(hsv[i + 2]! * SHARE)
    const sixth = trunc(hue)
    const rest = fround(hue - sixth)
    const levels = [
      value,
      fround(value - value * saturation),
      fround(value - fround(value * saturation) * rest),
      fround(value - value * fround(saturation * fround(1 - rest)))
    ]
    PLACES[sixth % 6]!.forEach((place, channel) => (data[i + channel] = whole(fround(levels[place]! * 255))))
  }
  return { width, height, data }
}
