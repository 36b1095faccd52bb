/** Enlarges the centre of an image to the size of the whole, as SciPy's linear `zoom` does. */
import * as Rounding from "../values/Rounding.ts"
import type { Size } from "./UnitValues.ts"

/** A line of the enlarged image: for each pixel, its left neighbour in the original and the share of the right one. */
interface Axis {
  readonly from: Int32Array
  readonly share: Float64Array
}

const axis = (length: number, factor: number): Axis => {
  const cut = Math.ceil(length / factor)
  const start = Math.floor((length - cut) / 2)
  const enlarged = Rounding.halfToEven(cut * factor)
  const trim = Math.floor((enlarged - length) / 2)
  const scale = enlarged === 1 ? 1 : (cut - 1) / (enlarged - 1)
  const from = new Int32Array(length)
  const share = new Float64Array(length)
  for (let place = 0; place < length; place++) {
    const at = (place + trim) * scale
    const left = Math.floor(at)
    // A place that rounding pushes beyond the last pixel is black, as in SciPy.
    from[place] = at > cut - 1 ? -1 : start + left
    share[place] = left >= cut - 1 ? 0 : at - left
  }
  return { from, share }
}

/** Enlarges the centre of `values`, `[height, width, channels]`, by a factor of at least 1. */
export const zoom = (values: Float64Array, { height, width }: Size, factor: number): Float64Array => {
  const channels = values.length / (height * width)
  const [rows, columns] = [axis(height, factor), axis(width, factor)]
  const out = new Float64Array(values.length)
  for (let row = 0, to = 0; row < height; row++) {
    const top = rows.from[row]!
    const down = rows.share[row]!
    const bottom = down === 0 ? top : top + 1
    for (let column = 0; column < width; column++) {
      const left = columns.from[column]!
      const across = columns.share[column]!
      const right = across === 0 ? left : left + 1
      for (let channel = 0; channel < channels; channel++, to++) {
        if (top < 0 || left < 0) continue
        const at = (y: number, x: number) => values[(y * width + x) * channels + channel]!
        out[to] = (1 - down) * ((1 - across) * at(top, left) + across * at(top, right)) +
          down * ((1 - across) * at(bottom, left) + across * at(bottom, right))
      }
    }
  }
  return out
}
