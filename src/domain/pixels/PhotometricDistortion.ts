/**
 * Random changes of brightness, contrast, saturation and hue (`PhotoMetricDistortion` of mmsegmentation). Each happens with
 * probability 0.5, and cuts values to whole numbers.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom, PhotometricDistortion } from "patchword/domain"
 *
 * const red = { width: 1, height: 1, data: Uint8Array.of(200, 50, 50) }
 * assert.deepStrictEqual([...PhotometricDistortion.contrast(red, 0.51).data], [102, 25, 25])
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "distortion", epoch: 0, index: 7 })
 * assert.strictEqual(PhotometricDistortion.random(red, draws).data.length, 3)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as OpenCvHsv from "./OpenCvHsv.ts"
import type { Picture } from "./Picture.ts"

const BRIGHTNESS = 32
const FACTORS = [0.5, 1.5] as const
const HUE = 18

/** Computes `value * factor + shift` in 32-bit floats for every value of a byte, and cuts it to a whole number of 8 bits. */
const converted = (factor: number, shift: number): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, value) => {
    const moved = Math.fround(Math.fround(value * Math.fround(factor)) + Math.fround(shift))
    return Math.trunc(Math.min(255, Math.max(0, moved)))
  })

const all = (picture: Picture, table: Uint8Array): Picture => ({
  ...picture,
  data: picture.data.map((value) => table[value]!)
})

/** Adds a number of levels to every value. */
export const brightness = (picture: Picture, levels: number): Picture => all(picture, converted(1, levels))

/** Multiplies every value by a factor. */
export const contrast = (picture: Picture, factor: number): Picture => all(picture, converted(factor, 0))

/** Changes one of hue (0), saturation (1) and value (2) of every pixel. */
const inHsv = (picture: Picture, channel: number, change: (value: number) => number): Picture => {
  const hsv = OpenCvHsv.of(picture)
  for (let i = channel; i < hsv.length; i += 3) hsv[i] = change(hsv[i]!)
  return OpenCvHsv.toPicture(picture, hsv)
}

/** Multiplies the saturation of every pixel by a factor. */
export const saturation = (picture: Picture, factor: number): Picture => {
  const table = converted(factor, 0)
  return inHsv(picture, 1, (value) => table[value]!)
}

/** Turns the hue of every pixel by steps of two degrees. */
export const hue = (picture: Picture, steps: number): Picture =>
  inHsv(picture, 0, (value) => (value + steps + OpenCvHsv.HUES) % OpenCvHsv.HUES)

/** Applies random changes, in the order of the official code. The contrast changes before or after the colours. */
export const random = (picture: Picture, draws: Generator): Picture => {
  const { integer, uniform } = draws
  const happens = (): boolean => integer(0, 1) === 1
  const between = (least: number, most: number): number => least + (most - least) * uniform()
  const maybe = (before: Picture, change: (picture: Picture, amount: number) => Picture, amount: () => number) =>
    happens() ? change(before, amount()) : before
  const factor = () => between(...FACTORS)

  const lit = maybe(picture, brightness, () => between(-BRIGHTNESS, BRIGHTNESS))
  const early = happens()
  const contrasted = early ? maybe(lit, contrast, factor) : lit
  const saturated = maybe(contrasted, saturation, factor)
  const turned = maybe(saturated, hue, () => integer(-HUE, HUE - 1))
  return early ? turned : maybe(turned, contrast, factor)
}
