/**
 * Square windows that cover an image, for a network that sees only crops of one size (mmsegmentation's `slide_inference`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { SlidingWindows } from "patchword/domain"
 *
 * assert.deepStrictEqual(SlidingWindows.starts(96, 64, 42), [0, 32])
 * const boxes = SlidingWindows.boxes({ width: 96, height: 50 }, 64, 42)
 * assert.deepStrictEqual(boxes[1], { left: 32, top: 0, width: 64, height: 50 })
 * ```
 */
import type { Picture } from "./Picture.ts"
import type { Box } from "./Resample.ts"

/**
 * Computes where the windows of an axis begin. They are `stride` pixels apart. The last one is moved back to end with the axis. An
 * axis that is shorter than a window has one window, at its start.
 */
export const starts = (length: number, size: number, stride: number): ReadonlyArray<number> => {
  const count = Math.floor(Math.max(length - size + stride - 1, 0) / stride) + 1
  return Array.from({ length: count }, (_, i) => Math.max(Math.min(i * stride + size, length) - size, 0))
}

/**
 * Computes the windows of an image, row by row. A window is smaller than `size` where the image is. The network sees it padded to
 * the right and to the bottom, and its scores of the padding are dropped.
 */
export const boxes = (
  image: Pick<Picture, "width" | "height">,
  size: number,
  stride: number
): ReadonlyArray<Box> => {
  const { height, width } = image
  return starts(height, size, stride).flatMap((top) =>
    starts(width, size, stride).map((left) => ({
      left,
      top,
      width: Math.min(size, width),
      height: Math.min(size, height)
    }))
  )
}

/** Counts the windows over each pixel. */
export const counts = (image: Pick<Picture, "width" | "height">, windows: ReadonlyArray<Box>): Int32Array => {
  const found = new Int32Array(image.width * image.height)
  for (const { height, left, top, width } of windows) {
    for (let row = top; row < top + height; row++) {
      for (let at = row * image.width + left; at < row * image.width + left + width; at++) found[at]!++
    }
  }
  return found
}
