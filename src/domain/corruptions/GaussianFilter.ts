/** The Gaussian filter of SciPy: columns first, then rows, cut off at a number of standard deviations. */
import * as Border from "./Border.ts"
import type { Size } from "./UnitValues.ts"

/** The weights of a Gaussian at the integers from `-reach` to `reach`. They add up to 1. */
export const weights = (sigma: number, reach: number): Float64Array => {
  const raw = Float64Array.from(
    { length: 2 * reach + 1 },
    (_, i) => Math.exp(-0.5 / (sigma * sigma) * (i - reach) ** 2)
  )
  const sum = raw.reduce((a, b) => a + b, 0)
  return raw.map((weight) => weight / sum)
}

/**
 * Filters an array `[outer, length, inner]` along its middle axis. Weights of places beyond the border are added to those of the
 * pixels that stand there, so long filters cost no more than the line is long.
 */
const along = (
  values: Float64Array,
  [outer, length, inner]: readonly [number, number, number],
  kernel: Float64Array,
  border: Border.Border
): Float64Array => {
  const out = new Float64Array(values.length)
  const reach = (kernel.length - 1) / 2
  const folded = new Float64Array(length)
  for (let place = 0; place < length; place++) {
    const [low, high] = [Math.max(0, place - reach), Math.min(length - 1, place + reach)]
    folded.fill(0, low, high + 1)
    for (let tap = 0; tap < kernel.length; tap++) folded[border(place + tap - reach, length)]! += kernel[tap]!
    for (let block = 0; block < outer; block++) {
      const start = block * length * inner
      const to = start + place * inner
      for (let from = low; from <= high; from++) {
        const weight = folded[from]!
        const at = start + from * inner
        for (let i = 0; i < inner; i++) out[to + i]! += weight * values[at + i]!
      }
    }
  }
  return out
}

/** Blurs an image `[height, width, channels]`. It is cut off at `truncate` standard deviations. */
export const blur = (
  values: Float64Array,
  { height, width }: Size,
  sigma: number,
  { border = Border.nearest, truncate = 4 }: { readonly border?: Border.Border; readonly truncate?: number } = {}
): Float64Array => {
  const kernel = weights(sigma, Math.trunc(truncate * sigma + 0.5))
  const rowLength = values.length / height
  const columns = along(values, [1, height, rowLength], kernel, border)
  return along(columns, [height, width, rowLength / width], kernel, border)
}
