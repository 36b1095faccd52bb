/**
 * RandAugment as in timm 0.4.12 with `rand-m9-mstd0.5-inc1`. It draws some of fifteen operations, and applies each with
 * probability one half. Their magnitudes lie around a common one of 0 to 10. Pixels equal those of Pillow, bit for bit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom, RandAugment } from "patchword/domain"
 *
 * const picture = { width: 4, height: 2, data: Uint8Array.from({ length: 24 }, (_, i) => 10 * i) }
 * assert.deepStrictEqual(RandAugment.invert(RandAugment.invert(picture)), picture)
 * assert.strictEqual(RandAugment.levels.rotate(9), 27)
 * const draws = KeyedRandom.generator({ seed: 0, purpose: "view", epoch: 0, index: 7 })
 * const changed = RandAugment.random(picture, { operations: 2, magnitude: 9, deviation: 0.5 }, [124, 116, 104], draws)
 * assert.strictEqual(changed.data.length, 24)
 * ```
 */
import type { Generator } from "../values/KeyedRandom.ts"
import * as ColorJitter from "./ColorJitter.ts"
import type { Picture } from "./Picture.ts"

/** A colour, 0 to 255 per channel. */
export type Colour = readonly [red: number, green: number, blue: number]

/** Maps every value by a table of 256 entries, one table for each channel. */
const looked = (picture: Picture, tables: ReadonlyArray<ArrayLike<number>>): Picture => ({
  ...picture,
  data: picture.data.map((value, i) => Math.min(255, Math.max(0, tables[i % tables.length]![value]!)))
})

const table = (of: (value: number) => number): ReadonlyArray<number> => Array.from({ length: 256 }, (_, i) => of(i))

const histograms = ({ data }: Picture): ReadonlyArray<Int32Array> => {
  const counts = [0, 1, 2].map(() => new Int32Array(256))
  data.forEach((value, i) => counts[i % 3]![value]!++)
  return counts
}

const identity = table((value) => value)

/** Stretches each channel over the whole range. */
export const autoContrast = (picture: Picture): Picture =>
  looked(
    picture,
    histograms(picture).map((counts) => {
      const low = counts.findIndex((count) => count > 0)
      const high = counts.findLastIndex((count) => count > 0)
      if (high <= low) return identity
      const scale = 255 / (high - low)
      const offset = -low * scale
      return table((value) => Math.trunc(value * scale + offset))
    })
  )

/** Equalizes the histogram of each channel. */
export const equalize = (picture: Picture): Picture =>
  looked(
    picture,
    histograms(picture).map((counts) => {
      const used = counts.filter((count) => count > 0)
      const step = Math.floor((used.reduce((sum, count) => sum + count, 0) - used.at(-1)!) / 255)
      if (used.length <= 1 || step === 0) return identity
      let sum = Math.floor(step / 2)
      return table((value) => {
        const place = Math.floor(sum / step)
        sum += counts[value]!
        return place
      })
    })
  )

/** Inverts all values. */
export const invert = (picture: Picture): Picture => looked(picture, [table((value) => 255 - value)])

/** Keeps only the highest `bits` bits of each value. */
export const posterize = (picture: Picture, bits: number): Picture =>
  bits >= 8 ? picture : looked(picture, [table((value) => value & ~(2 ** (8 - bits) - 1))])

/** Inverts values from `threshold` on. */
export const solarize = (picture: Picture, threshold: number): Picture =>
  looked(picture, [table((value) => (value < threshold ? value : 255 - value))])

/** Adds `added` to values below 128. */
export const solarizeAdd = (picture: Picture, added: number): Picture =>
  looked(picture, [table((value) => (value < 128 ? Math.min(255, value + added) : value))])

// Pillow's kernel SMOOTH in 32-bit floats; pixels of the edge stay as they are.
const smooth = ({ data, height, width }: Picture): Picture => {
  const out = data.slice()
  const [side, middle] = [Math.fround(1 / 13), Math.fround(5 / 13)]
  const row = width * 3
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + 3; i < (y + 1) * row - 3; i++) {
      let sum = 0.5
      for (const line of [i + row, i, i - row]) {
        const centre = line === i ? middle : side
        const three = Math.fround(
          Math.fround(Math.fround(data[line - 3]! * side) + Math.fround(data[line]! * centre)) +
            Math.fround(data[line + 3]! * side)
        )
        sum = Math.fround(sum + three)
      }
      out[i] = Math.min(255, Math.max(0, Math.trunc(sum)))
    }
  }
  return { width, height, data: out }
}

/** Changes the sharpness: closer to a smoothed picture for factors below 1, farther from it above. */
export const sharpness = (picture: Picture, factor: number): Picture => {
  const single = Math.fround(factor)
  const soft = smooth(picture).data
  return { ...picture, data: picture.data.map((value, i) => ColorJitter.blend(soft[i]!, value, single)) }
}

/** The source `x = a·column + b·row + c`, `y = d·column + e·row + f` of each pixel's centre. */
type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

/** Interpolates between the second and the third of four values, with Pillow's cubic. */
const cubic = (v1: number, v2: number, v3: number, v4: number, at: number): number => {
  const p2 = -v1 + v3
  const p3 = 2 * (v1 - v2) + v3 - v4
  const p4 = -v1 + v2 - v3 + v4
  return v2 + at * (p2 + at * (p3 + at * p4))
}

/** Transforms a picture by an affine map, with bicubic interpolation. Pixels from outside have the given colour. */
const affine = ({ data, height, width }: Picture, [a, b, c, d, e, f]: Matrix, fill: Colour): Picture => {
  const out = Uint8Array.from({ length: data.length }, (_, i) => fill[i % 3]!)
  const columns = [0, 0, 0, 0]
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const x = a * (column + 0.5) + b * (row + 0.5) + c
      const y = d * (column + 0.5) + e * (row + 0.5) + f
      if (x < 0 || x >= width || y < 0 || y >= height) continue
      const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)]
      const [right, down] = [x - 0.5 - left, y - 0.5 - top]
      for (let tap = 0; tap < 4; tap++) columns[tap] = Math.min(width - 1, Math.max(0, left - 1 + tap)) * 3
      for (let channel = 0; channel < 3; channel++) {
        const line = (at: number) => {
          const start = Math.min(height - 1, Math.max(0, at)) * width * 3 + channel
          const [v1, v2, v3, v4] = columns.map((offset) => data[start + offset]!) as [number, number, number, number]
          return cubic(v1, v2, v3, v4, right)
        }
        const value = cubic(line(top - 1), line(top), line(top + 1), line(top + 2), down)
        out[(row * width + column) * 3 + channel] = Math.min(255, Math.max(0, Math.trunc(value)))
      }
    }
  }
  return { width, height, data: out }
}

const rounded = (x: number): number => Number(x.toFixed(15))

/** Rotates a picture counter-clockwise around its centre, by an angle in degrees. */
export const rotate = (picture: Picture, degrees: number, fill: Colour): Picture => {
  const angle = -(((degrees % 360) + 360) % 360) * Math.PI / 180
  if (angle === 0) return picture
  const [cosine, sine] = [rounded(Math.cos(angle)), rounded(Math.sin(angle))]
  const back = rounded(-Math.sin(angle))
  const [x, y] = [picture.width / 2, picture.height / 2]
  const c = cosine * -x + sine * -y + x
  const f = back * -x + cosine * -y + y
  return affine(picture, [cosine, sine, c, back, cosine, f], fill)
}

/** Shifts every row to the left by `factor` times its number. */
export const shearX = (picture: Picture, factor: number, fill: Colour): Picture =>
  affine(picture, [1, factor, 0, 0, 1, 0], fill)

/** Shifts every column up by `factor` times its number. */
export const shearY = (picture: Picture, factor: number, fill: Colour): Picture =>
  affine(picture, [1, 0, 0, factor, 1, 0], fill)

/** Shifts a picture to the left by a share of its width. */
export const translateX = (picture: Picture, share: number, fill: Colour): Picture =>
  affine(picture, [1, 0, share * picture.width, 0, 1, 0], fill)

/** Shifts a picture up by a share of its height. */
export const translateY = (picture: Picture, share: number, fill: Colour): Picture =>
  affine(picture, [1, 0, 0, 0, 1, share * picture.height], fill)

/** Converts a magnitude of 0 to 10 to the parameter of each operation. Greater magnitudes are stronger, as with `inc1`. */
export const levels = {
  /** The angle in degrees. */
  rotate: (magnitude: number): number => magnitude / 10 * 30,
  /** The number of bits that are kept. */
  posterize: (magnitude: number): number => 4 - Math.trunc(magnitude / 10 * 4),
  /** The threshold. */
  solarize: (magnitude: number): number => 256 - Math.trunc(magnitude / 10 * 256),
  /** The value that is added. */
  solarizeAdd: (magnitude: number): number => Math.trunc(magnitude / 10 * 110),
  /** The distance from 1 of the factors of colour, contrast, brightness and sharpness. */
  enhance: (magnitude: number): number => magnitude / 10 * 0.9,
  /** The shear factor. */
  shear: (magnitude: number): number => magnitude / 10 * 0.3,
  /** The shift, as a share of the picture's side. */
  translate: (magnitude: number): number => magnitude / 10 * 0.45
} as const

/** An operation at a magnitude. `sign` is 1 or -1, at random. */
export type Operation = (picture: Picture, magnitude: number, sign: number, fill: Colour) => Picture

const signed = (
  apply: (picture: Picture, argument: number, fill: Colour) => Picture,
  level: (magnitude: number) => number,
  origin = 0
): Operation =>
(picture, magnitude, sign, fill) => apply(picture, origin + sign * level(magnitude), fill)

/** Makes an operation without a sign, from the parameter of a magnitude. */
export const unsigned =
  (apply: (picture: Picture, argument: number) => Picture, level: (magnitude: number) => number): Operation =>
  (picture, magnitude) => apply(picture, level(magnitude))

/** The fifteen operations by timm's names. */
export const operations: Readonly<Record<string, Operation>> = {
  AutoContrast: autoContrast,
  Equalize: equalize,
  Invert: invert,
  Rotate: signed(rotate, levels.rotate),
  PosterizeIncreasing: unsigned(posterize, levels.posterize),
  SolarizeIncreasing: unsigned(solarize, levels.solarize),
  SolarizeAdd: unsigned(solarizeAdd, levels.solarizeAdd),
  ColorIncreasing: signed(ColorJitter.saturation, levels.enhance, 1),
  ContrastIncreasing: signed(ColorJitter.contrast, levels.enhance, 1),
  BrightnessIncreasing: signed(ColorJitter.brightness, levels.enhance, 1),
  SharpnessIncreasing: signed(sharpness, levels.enhance, 1),
  ShearX: signed(shearX, levels.shear),
  ShearY: signed(shearY, levels.shear),
  TranslateXRel: signed(translateX, levels.translate),
  TranslateYRel: signed(translateY, levels.translate)
}

const all = Object.values(operations)

const PROBABILITY = 0.5

/** The options of the draw. */
export interface Options {
  /** The number of operations. */
  readonly operations: number
  /** Their magnitude, 0 to 10. */
  readonly magnitude: number
  /** Standard deviation of the magnitude, which is normally distributed. */
  readonly deviation: number
}

/** Applies random operations to a picture. They are drawn with replacement, and each is applied with probability one half. */
export const random = (
  picture: Picture,
  options: Options,
  fill: Colour,
  draws: Generator
): Picture => {
  const { integer, normal, uniform } = draws
  let changed = picture
  for (let turn = 0; turn < options.operations; turn++) {
    const operation = all[integer(0, all.length - 1)]!
    if (uniform() >= PROBABILITY) continue
    const strength = Math.min(10, Math.max(0, options.magnitude + options.deviation * normal()))
    changed = operation(changed, strength, uniform() < 0.5 ? 1 : -1, fill)
  }
  return changed
}
