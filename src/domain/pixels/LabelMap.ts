/**
 * The class of each pixel of an image, for semantic segmentation. Pixels without a class are {@link IGNORED}: neither a loss nor
 * a score counts them. Sizes change as in OpenCV, bit for bit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LabelMap } from "patchword/domain"
 *
 * const stored = { width: 2, height: 1, data: Uint8Array.of(0, 7) }
 * const labels = LabelMap.reduceZero(stored)
 * assert.deepStrictEqual([...labels.data], [LabelMap.IGNORED, 6])
 * assert.deepStrictEqual([...LabelMap.resize(labels, 4, 1).data], [255, 255, 6, 6])
 * ```
 */
import type { Box } from "./Resample.ts"

/** `height * width` classes, row-major: `data.length === width * height`. */
export interface LabelMap {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** The label of pixels that do not count. */
export const IGNORED = 255

/**
 * Lowers every label by 1, and ignores 0, as for ADE20K (`reduce_zero_label` of mmsegmentation). Labels of one map are reduced
 * once.
 */
export const reduceZero = (map: LabelMap): LabelMap => ({
  ...map,
  data: map.data.map((label) => label === 0 || label === IGNORED ? IGNORED : label - 1)
})

/** Returns, for each pixel of a line that is resized, the pixel whose label it takes. */
const nearest = (length: number, out: number): Int32Array => {
  const step = 1 / (out / length)
  return Int32Array.from({ length: out }, (_, at) => Math.min(Math.floor(at * step), length - 1))
}

/** Resizes a map. A pixel takes the label of one pixel: the corner of its area decides, not the centre (`INTER_NEAREST`). */
export const resize = (map: LabelMap, width: number, height: number): LabelMap => {
  const columns = nearest(map.width, width)
  const rows = nearest(map.height, height)
  const data = new Uint8Array(width * height)
  rows.forEach((from, row) =>
    columns.forEach((column, at) => {
      data[row * width + at] = map.data[from * map.width + column]!
    })
  )
  return { width, height, data }
}

/** Returns the labels inside a box. */
export const cut = (map: LabelMap, box: Box): LabelMap => {
  const { height, left, top, width } = box
  const data = new Uint8Array(width * height)
  for (let row = 0; row < height; row++) {
    const start = (top + row) * map.width + left
    data.set(map.data.subarray(start, start + width), row * width)
  }
  return { width, height, data }
}

/** Mirrors a map: left and right are exchanged. */
export const flip = (map: LabelMap): LabelMap => {
  const { height, width } = map
  const data = new Uint8Array(map.data.length)
  for (let row = 0; row < height; row++) {
    data.set(map.data.subarray(row * width, (row + 1) * width).toReversed(), row * width)
  }
  return { width, height, data }
}

/** Extends a map to the right and to the bottom, up to a square of `size`. The new pixels do not count. */
export const pad = (map: LabelMap, size: number): LabelMap => {
  const data = new Uint8Array(size * size).fill(IGNORED)
  for (let row = 0; row < map.height; row++) {
    data.set(map.data.subarray(row * map.width, (row + 1) * map.width), row * size)
  }
  return { width: size, height: size, data }
}
