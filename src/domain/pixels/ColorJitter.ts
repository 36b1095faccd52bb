/**
 * Random changes of brightness, contrast and saturation. Pixels equal those of Pillow, bit for bit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ColorJitter } from "patchword/domain"
 *
 * const red = { width: 1, height: 1, data: Uint8Array.of(200, 50, 50) }
 * assert.deepStrictEqual([...ColorJitter.brightness(red, 0.5).data], [100, 25, 25])
 * assert.deepStrictEqual([...ColorJitter.saturation(red, 0).data], [95, 95, 95])
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import type { Picture } from "./Picture.ts"

/** The largest relative change of each property; 0 for no change. */
export interface Amounts {
  readonly brightness: number
  readonly contrast: number
  readonly saturation: number
}

/** Blends `from` and `to`; factors above 1 go beyond `to`. Pillow computes in 32-bit floats and truncates, and so does this. */
export const blend = (from: number, to: number, factor: number): number =>
  Math.trunc(Math.min(255, Math.max(0, Math.fround(from + Math.fround(factor * (to - from))))))

/** Computes Pillow's luminance of a colour, 0 to 255. */
const luminance = (red: number, green: number, blue: number): number =>
  (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16

/** Blends every value with `origin`. */
const scaled = ({ data, height, width }: Picture, origin: number, factor: number): Picture => {
  const single = Math.fround(factor)
  const table = new Uint8Array(256)
  for (let value = 0; value < 256; value++) table[value] = blend(origin, value, single)
  const out = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = table[data[i]!]!
  return { width, height, data: out }
}

/** Changes the brightness: darker for factors below 1, brighter above. */
export const brightness = (picture: Picture, factor: number): Picture => scaled(picture, 0, factor)

/** Changes the contrast: closer to the picture's mean luminance for factors below 1, farther from it above. */
export const contrast = (picture: Picture, factor: number): Picture => {
  const { data } = picture
  let sum = 0
  for (let i = 0; i < data.length; i += 3) sum += luminance(data[i]!, data[i + 1]!, data[i + 2]!)
  return scaled(picture, Math.trunc(sum / (data.length / 3) + 0.5), factor)
}

/** Changes the saturation: greyer for factors below 1, more colourful above. */
export const saturation = (picture: Picture, factor: number): Picture => {
  const { data, height, width } = picture
  const single = Math.fround(factor)
  const out = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i += 3) {
    const grey = luminance(data[i]!, data[i + 1]!, data[i + 2]!)
    for (let channel = i; channel < i + 3; channel++) out[channel] = blend(grey, data[channel]!, single)
  }
  return { width, height, data: out }
}

const CHANGES = { brightness, contrast, saturation }

const PROPERTIES = ["brightness", "contrast", "saturation"] as const

/** A change of one property, for all pixels. */
export interface Change {
  readonly property: keyof typeof CHANGES
  readonly factor: number
}

/**
 * Draws a change for each property with an amount `a` above 0. Factors lie between `max(0, 1 - a)` and `1 + a`. The order is
 * random, as in torchvision's `ColorJitter`.
 */
export const draw = (amounts: Amounts, draws: Generator): ReadonlyArray<Change> => {
  const left = PROPERTIES.filter((property) => amounts[property] > 0).map((property): Change => {
    const amount = amounts[property]
    const least = Math.max(0, 1 - amount)
    return { property, factor: least + (1 + amount - least) * draws.uniform() }
  })
  const drawn: Array<Change> = []
  while (left.length > 0) drawn.push(...left.splice(draws.integer(0, left.length - 1), 1))
  return drawn
}

/** Applies changes one after another. */
export const apply = (picture: Picture, changes: ReadonlyArray<Change>): Picture =>
  changes.reduce((changed, { factor, property }) => CHANGES[property](changed, factor), picture)

/** Draws changes and applies them. */
export const random = (picture: Picture, amounts: Amounts, draws: Generator): Picture =>
  apply(picture, draw(amounts, draws))
