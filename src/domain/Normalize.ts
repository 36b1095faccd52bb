/**
 * From pictures to the numbers that networks take: float32 `[B, 3, H, W]`, from 0 to 1 for teachers and tokenizers,
 * standardised per channel for the rest.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Normalize } from "patchword/domain"
 *
 * const picture = { width: 1, height: 1, data: Uint8Array.of(0, 51, 255) }
 * const unit = Normalize.unit([picture])
 * assert.deepStrictEqual([...unit], [0, Math.fround(0.2), 1])
 * const channels = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
 * assert.strictEqual(Normalize.standardise(unit, 1, channels)[2], 1)
 * ```
 */
import type { Picture } from "./Picture.ts"

/** Mean and standard deviation of each channel, of values from 0 to 1. */
export interface Channels {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

const SHARES = Float32Array.from({ length: 256 }, (_, value) => value / 255)

/** What the 256 values of a channel become: red, green, blue. */
export type Tables = readonly [red: Float32Array, green: Float32Array, blue: Float32Array]

/** The tables of values from 0 to 1. */
export const shares: Tables = [SHARES, SHARES, SHARES]

/** The tables of standardised values: what {@link standardise} makes of {@link shares}. */
export const standards = (channels: Channels): Tables => {
  const planes = standardise(Float32Array.from([...SHARES, ...SHARES, ...SHARES]), 256, channels)
  return [planes.subarray(0, 256), planes.subarray(256, 512), planes.subarray(512)]
}

/** Writes a picture by tables into `values`, from `at` on, as planes of red, green and blue. */
export const write = ({ data, height, width }: Picture, tables: Tables, values: Float32Array, at: number): void => {
  const [reds, greens, blues] = tables
  const pixels = width * height
  const [green, blue] = [at + pixels, at + 2 * pixels]
  for (let pixel = 0, from = 0; pixel < pixels; pixel++, from += 3) {
    values[at + pixel] = reds[data[from]!]!
    values[green + pixel] = greens[data[from + 1]!]!
    values[blue + pixel] = blues[data[from + 2]!]!
  }
}

/** The pictures, all of one size, as `[B, 3, H, W]` with values from 0 to 1. */
export const unit = (pictures: ReadonlyArray<Picture>): Float32Array => {
  const first = pictures[0]
  if (first === undefined) return new Float32Array(0)
  const size = 3 * first.width * first.height
  const values = new Float32Array(pictures.length * size)
  pictures.forEach((picture, index) => {
    const { height, width } = picture
    if (width !== first.width || height !== first.height) {
      throw new RangeError(
        `a batch holds pictures of one size, but picture ${index} is ${width} × ${height} and the first is ${first.width} × ${first.height}`
      )
    }
    write(picture, shares, values, index * size)
  })
  return values
}

/** `value * scale + shift`, with one of each per channel. */
const perChannel = (
  values: Float32Array,
  pixels: number,
  scales: ReadonlyArray<number>,
  shifts: ReadonlyArray<number>
): Float32Array => {
  const changed = new Float32Array(values.length)
  for (let plane = 0; plane * pixels < values.length; plane++) {
    const scale = scales[plane % 3]!
    const shift = shifts[plane % 3]!
    for (let i = plane * pixels; i < (plane + 1) * pixels; i++) changed[i] = values[i]! * scale + shift
  }
  return changed
}

/** `(value - mean) / std` per channel, of `[B, 3, H, W]` with `pixels = H * W`. */
export const standardise = (values: Float32Array, pixels: number, { mean, std }: Channels): Float32Array =>
  perChannel(values, pixels, std.map((s) => 1 / s), mean.map((m, channel) => -m / std[channel]!))

/** The inverse of {@link standardise}: values from 0 to 1 again, as far as rounding allows. */
export const restore = (values: Float32Array, pixels: number, { mean, std }: Channels): Float32Array =>
  perChannel(values, pixels, std, mean)
