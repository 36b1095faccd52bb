/**
 * Patches of pictures: alone, or in their surroundings with a frame.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Patches } from "patchword/pipelines"
 *
 * const picture = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) }
 * assert.deepStrictEqual([...Patches.cut(picture, 1, 1).data], [0, 0, 255])
 * ```
 */
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Resample from "../../domain/pixels/Resample.ts"

/** Cuts one patch out of a picture, by its row-major number. */
export const cut = (picture: Picture, patch: number, index: number): Picture => {
  const columns = picture.width / patch
  const [top, left] = [Math.floor(index / columns) * patch, (index % columns) * patch]
  return Resample.cut(picture, { left, top, width: patch, height: patch })
}

const FRAME = [224, 32, 32] as const

/** The number of patches on each side of a framed one, by default. */
export const AROUND = 2

/** Returns the side of a framed picture, in pixels. */
export const windowOf = (imageSize: number, patch: number, around = AROUND): number =>
  Math.min(imageSize, (2 * around + 1) * patch)

/**
 * Cuts a patch with its surroundings out of a picture, by its row-major number, and frames it in red. `around` is the number of
 * patches on each side. At the border of the picture the window is moved inwards.
 */
export const framed = (picture: Picture, patch: number, index: number, around = AROUND): Picture => {
  const { height, width } = picture
  const columns = width / patch
  const [top, left] = [Math.floor(index / columns) * patch, (index % columns) * patch]
  const side = { width: windowOf(width, patch, around), height: windowOf(height, patch, around) }
  const startOf = (at: number, whole: number, part: number) => Math.max(0, Math.min(at - around * patch, whole - part))
  const [y0, x0] = [startOf(top, height, side.height), startOf(left, width, side.width)]
  // A window of the whole picture is the picture itself, which the frame would change.
  const window = Resample.cut(picture, { left: x0, top: y0, ...side }).data.slice()
  // The frame lies around the patch, so that all of it is seen.
  const paint = (x: number, y: number) => {
    if (x >= 0 && y >= 0 && x < side.width && y < side.height) window.set(FRAME, (y * side.width + x) * 3)
  }
  for (let i = -1; i <= patch; i++) {
    const [x, y] = [left - x0, top - y0]
    paint(x + i, y - 1)
    paint(x + i, y + patch)
    paint(x - 1, y + i)
    paint(x + patch, y + i)
  }
  return { ...side, data: window }
}

/** Computes the mean of patches of one size, pixel by pixel. */
export const mean = (patches: ReadonlyArray<Picture>): Picture => {
  const [{ height, width }] = patches as readonly [Picture]
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.round(patches.reduce((sum, patch) => sum + patch.data[i]!, 0) / patches.length)
  }
  return { width, height, data }
}

const NEAR = 24 // of 255, to the median of a channel
const FEW = 1 / 20 // of the pixels, as those that a neighbouring drawing leaves in a corner

/** Tests whether a patch has one colour. */
export const isFlat = (patch: Picture): boolean => {
  const { data } = patch
  const medians = [0, 1, 2].map((channel) => {
    const values = data.filter((_, i) => i % 3 === channel).toSorted()
    return values[values.length >> 1]!
  })
  const far = new Set(
    Array.from(data.keys()).filter((i) => Math.abs(data[i]! - medians[i % 3]!) > NEAR).map((i) => Math.floor(i / 3))
  )
  return far.size <= FEW * data.length / 3
}
