/**
 * Resizes pictures with the antialiased filters of Pillow, bit for bit. One pass goes along rows and one along columns, and
 * each rounds to 8 bits. Filters of the same names in other libraries give other pixels. A tokenizer gives other codes for
 * those.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Resample } from "patchword/domain"
 *
 * const grey = { width: 4, height: 2, data: new Uint8Array(24).fill(90) }
 * const small = Resample.resize(grey, 2, 1, "bicubic")
 * assert.deepStrictEqual(small, { width: 2, height: 1, data: new Uint8Array(6).fill(90) })
 * ```
 */
import type { Picture } from "./Picture.ts"

/** A rectangle of whole pixels inside a picture. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** The name of a filter. */
export type Filter = "box" | "bilinear" | "bicubic" | "lanczos"

interface Kernel {
  readonly support: number
  readonly weight: (x: number) => number
}

const sinc = (x: number): number => x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)

// The formulas of Pillow's Resample.c, in its order of operations.
const KERNELS: Readonly<Record<Filter, Kernel>> = {
  box: { support: 0.5, weight: (x) => -0.5 < x && x <= 0.5 ? 1 : 0 },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (x) => {
      const t = Math.abs(x)
      if (t < 1) return ((-0.5 + 2) * t - (-0.5 + 3)) * t * t + 1
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0
    }
  },
  lanczos: { support: 3, weight: (x) => -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0 }
}

// Pillow's fixed point: 32 bits less 8 of the pixel and 2 of head-room.
const BITS = 22

/**
 * For every output pixel: the first input pixel, their number, and their weights. Weights are integers in units of 2^-22, with
 * `taps` entries per output pixel.
 */
export interface Table {
  readonly taps: number
  readonly first: Int32Array
  readonly count: Int32Array
  readonly weights: Int32Array
}

/** Computes the table of a filter that resizes `length` pixels to `out`, for the `size` output pixels from `start` on. */
const table = (length: number, out: number, filter: Filter, start: number, size: number): Table => {
  const { support, weight } = KERNELS[filter]
  const scale = length / out
  const stretch = Math.max(scale, 1)
  const reach = support * stretch
  const taps = Math.ceil(reach) * 2 + 1
  const first = new Int32Array(size)
  const count = new Int32Array(size)
  const weights = new Int32Array(size * taps)
  const exact = new Float64Array(taps)
  for (let position = 0; position < size; position++) {
    const centre = (start + position + 0.5) * scale
    const low = Math.max(0, Math.trunc(centre - reach + 0.5))
    const many = Math.min(length, Math.trunc(centre + reach + 0.5)) - low
    let sum = 0
    for (let tap = 0; tap < many; tap++) {
      exact[tap] = weight((tap + low - centre + 0.5) * (1 / stretch))
      sum += exact[tap]!
    }
    first[position] = low
    count[position] = many
    for (let tap = 0; tap < many; tap++) {
      const share = sum === 0 ? exact[tap]! : exact[tap]! / sum
      weights[position * taps + tap] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * 2 ** BITS)
    }
  }
  return { taps, first, count, weights }
}

/** The input of a filter along one axis: the pixels that it reads, and their table, with indices relative to `from`. */
export interface Axis {
  readonly from: number
  readonly length: number
  /** Undefined if the axis keeps its length and is not filtered. */
  readonly table: Table | undefined
}

/**
 * Computes the axis of a filter that resizes `length` pixels to `out`, for the `size` output pixels from `start` on. It reads
 * only the input that these need. A line one pixel wide can become thousands of times as long.
 */
export const axis = (length: number, out: number, filter: Filter, start: number, size: number): Axis => {
  if (length === out) return { from: start, length: size, table: undefined }
  const made = table(length, out, filter, start, size)
  const from = made.first[0]!
  const end = made.first[size - 1]! + made.count[size - 1]!
  return { from, length: end - from, table: { ...made, first: made.first.map((first) => first - from) } }
}

/** The layout of one pass: index steps along the filtered axis and across it. */
interface Strides {
  readonly offset: number
  readonly step: number
  readonly lineStep: number
  readonly lines: number
  readonly outStep: number
  readonly outLineStep: number
}

const pass = (
  source: Uint8Array,
  target: Uint8Array,
  { count, first, taps, weights }: Table,
  strides: Strides
): void => {
  const { lines, step } = strides
  for (let line = 0; line < lines; line++) {
    const start = strides.offset + line * strides.lineStep
    let to = line * strides.outLineStep
    for (let position = 0; position < count.length; position++) {
      let red = 1 << (BITS - 1)
      let green = red
      let blue = red
      let from = start + first[position]! * step
      const end = position * taps + count[position]!
      for (let tap = position * taps; tap < end; tap++) {
        const weight = weights[tap]!
        red = (red + Math.imul(source[from]!, weight)) | 0
        green = (green + Math.imul(source[from + 1]!, weight)) | 0
        blue = (blue + Math.imul(source[from + 2]!, weight)) | 0
        from += step
      }
      target[to] = Math.min(255, Math.max(0, red >> BITS))
      target[to + 1] = Math.min(255, Math.max(0, green >> BITS))
      target[to + 2] = Math.min(255, Math.max(0, blue >> BITS))
      to += strides.outStep
    }
  }
}

/** Returns the pixels of `picture` inside `box`; the picture itself if the box is all of it. */
export const cut = (picture: Picture, box: Box): Picture => {
  if (box.width === picture.width && box.height === picture.height) return picture
  const data = new Uint8Array(box.width * box.height * 3)
  for (let row = 0; row < box.height; row++) {
    const start = ((box.top + row) * picture.width + box.left) * 3
    data.set(picture.data.subarray(start, start + box.width * 3), row * box.width * 3)
  }
  return { width: box.width, height: box.height, data }
}

/**
 * Tests whether columns are filtered before rows. They are if the height shrinks by more than twice as many pixels as the
 * width, as in Pillow 13. Older versions always begin with rows; their results differ by the rounding in between.
 */
export const columnsFirst = (from: Pick<Box, "width" | "height">, width: number, height: number): boolean => {
  const shorter = from.height - height
  return shorter > 0 && shorter > 2 * (from.width - width)
}

/** Computes the part of a box that a window of the resized picture needs, and the two axes. */
export const reading = (box: Box, width: number, height: number, filter: Filter, window: Box) => {
  const columns = axis(box.width, width, filter, window.left, window.width)
  const rows = axis(box.height, height, filter, window.top, window.height)
  const inside: Box = {
    left: box.left + columns.from,
    top: box.top + rows.from,
    width: columns.length,
    height: rows.length
  }
  return { columns, rows, inside }
}

/** Returns the box of a whole picture. */
export const whole = (box: Pick<Box, "width" | "height">): Box => ({
  left: 0,
  top: 0,
  width: box.width,
  height: box.height
})

/**
 * Resizes `picture`, or its part inside `box`, and returns the part inside `window`. Nothing else is computed. Pixels outside
 * the box contribute nothing, as in torchvision's `resized_crop`. An axis that keeps its length is not filtered.
 */
export const resize = (
  picture: Picture,
  width: number,
  height: number,
  filter: Filter,
  box: Box = whole(picture),
  window: Box = whole({ width, height })
): Picture => {
  const { columns, inside, rows } = reading(box, width, height, filter, window)
  return columnsFirst(box, width, height)
    ? horizontal(vertical(picture, inside, rows), whole({ width: inside.width, height: window.height }), columns)
    : vertical(horizontal(picture, inside, columns), whole({ width: window.width, height: inside.height }), rows)
}

const horizontal = (picture: Picture, from: Box, { table }: Axis): Picture => {
  if (table === undefined) return cut(picture, from)
  const width = table.count.length
  const data = new Uint8Array(width * from.height * 3)
  pass(picture.data, data, table, {
    offset: (from.top * picture.width + from.left) * 3,
    step: 3,
    lineStep: picture.width * 3,
    lines: from.height,
    outStep: 3,
    outLineStep: width * 3
  })
  return { width, height: from.height, data }
}

const vertical = (picture: Picture, from: Box, { table }: Axis): Picture => {
  if (table === undefined) return cut(picture, from)
  const height = table.count.length
  const data = new Uint8Array(from.width * height * 3)
  pass(picture.data, data, table, {
    offset: (from.top * picture.width + from.left) * 3,
    step: picture.width * 3,
    lineStep: 3,
    lines: from.width,
    outStep: from.width * 3,
    outLineStep: 3
  })
  return { width: from.width, height, data }
}
