/**
 * Converts pictures to the input of networks: float32 `[B, 3, H, W]`. Teachers and tokenizers take values from 0 to 1. Other
 * networks take values standardised per channel.
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

/** Mean and standard deviation of each channel, for values from 0 to 1. */
export interface Channels {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

const SHARES = Float32Array.from({ length: 256 }, (_, value) => value / 255)

/** Converts pictures of one size to `[B, 3, H, W]` with values from 0 to 1. */
export const unit = (pictures: ReadonlyArray<Picture>): Float32Array => {
  const first = pictures[0]
  if (first === undefined) return new Float32Array(0)
  const pixels = first.width * first.height
  const values = new Float32Array(pictures.length * 3 * pixels)
  pictures.forEach(({ data, height, width }, index) => {
    if (width !== first.width || height !== first.height) {
      throw new RangeError(
        `a batch holds pictures of one size, but picture ${index} is ${width} × ${height} and the first is ${first.width} × ${first.height}`
      )
    }
    const red = index * 3 * pixels
    for (let pixel = 0; pixel < pixels; pixel++) {
      values[red + pixel] = SHARES[data[pixel * 3]!]!
      values[red + pixels + pixel] = SHARES[data[pixel * 3 + 1]!]!
      values[red + 2 * pixels + pixel] = SHARES[data[pixel * 3 + 2]!]!
    }
  })
  return values
}

/** `value * scale + shift`, with one scale and one shift per channel. */
export interface Affine {
  readonly scales: ReadonlyArray<number>
  readonly shifts: ReadonlyArray<number>
}

/** The identity. */
export const identity: Affine = { scales: [1, 1, 1], shifts: [0, 0, 0] }

/** Returns {@link standardise} as an affine map of values from 0 to 1. */
export const standard = (channels: Channels): Affine => ({
  scales: channels.std.map((s) => 1 / s),
  shifts: channels.mean.map((m, channel) => -m / channels.std[channel]!)
})

const perChannel = (values: Float32Array, pixels: number, { scales, shifts }: Affine): Float32Array => {
  const changed = new Float32Array(values.length)
  for (let plane = 0; plane * pixels < values.length; plane++) {
    const scale = scales[plane % 3]!
    const shift = shifts[plane % 3]!
    for (let i = plane * pixels; i < (plane + 1) * pixels; i++) changed[i] = values[i]! * scale + shift
  }
  return changed
}

/** Computes `(value - mean) / std` per channel, for `[B, 3, H, W]` with `pixels = H * W`. */
export const standardise = (values: Float32Array, pixels: number, channels: Channels): Float32Array =>
  perChannel(values, pixels, standard(channels))

/** Inverts {@link standardise}: returns values from 0 to 1, up to rounding. */
export const restore = (values: Float32Array, pixels: number, channels: Channels): Float32Array =>
  perChannel(values, pixels, { scales: channels.std, shifts: channels.mean })
