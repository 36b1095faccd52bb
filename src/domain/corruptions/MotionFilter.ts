/** The motion blur of ImageMagick: half of a Gaussian along a line. */
import * as Border from "./Border.ts"
import type { Size } from "./UnitValues.ts"

/** The length of a blur in pixels, its standard deviation, and its direction in degrees. */
export interface Motion {
  readonly radius: number
  readonly sigma: number
  readonly angle: number
}

// At half a pixel, downwards.
const rounded = (x: number): number => Math.ceil(x - 0.5)

/** Blurs an image of numbers from 0 to 1, `[height, width, channels]`. The result is rounded to multiples of 1/255. */
export const blur = (values: Float64Array, { height, width }: Size, { angle, radius, sigma }: Motion): Float64Array => {
  const channels = values.length / (height * width)
  const taps = Array.from({ length: 2 * Math.ceil(radius) + 1 }, (_, step) => ({
    right: rounded(step * Math.cos(angle * Math.PI / 180)),
    down: rounded(step * Math.sin(angle * Math.PI / 180)),
    weight: Math.exp(-step * step / (2 * sigma * sigma))
  }))
  const whole = taps.reduce((sum, { weight }) => sum + weight, 0)
  const out = new Float64Array(values.length)
  for (const { down, right, weight } of taps) {
    for (let row = 0, to = 0; row < height; row++) {
      const line = Border.nearest(row + down, height) * width
      for (let column = 0; column < width; column++) {
        const from = (line + Border.nearest(column + right, width)) * channels
        for (let channel = 0; channel < channels; channel++) out[to++]! += weight / whole * values[from + channel]!
      }
    }
  }
  return out.map((value) => Math.round(255 * value) / 255)
}
