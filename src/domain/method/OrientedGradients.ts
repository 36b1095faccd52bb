/**
 * Patch features that need no training: histograms of oriented gradients in each quarter of a patch, and its colours. The
 * averages over the neighbouring patches and over the whole image are appended. A teacher of such features needs no download.
 *
 * ```ts
 * import assert from "node:assert"
 * import { OrientedGradients } from "patchword/domain"
 *
 * const grey = new Float32Array(3 * 16 * 16).fill(0.5)
 * const described = OrientedGradients.describe(grey, { height: 16, width: 16, patchSize: 8 })
 * assert.strictEqual(described.length, 4 * OrientedGradients.WIDTH)
 * assert.ok(described.every((value) => value === 0))
 * ```
 */
import { finish, type Pausable } from "../values/Pausable.ts"

/** The sizes of images and patches, in pixels. Both sides are multiples of the patch's side, which is even. */
export interface Measures {
  readonly height: number
  readonly width: number
  readonly patchSize: number
}

const BINS = 9

const CELLS = 4

const COLOURS = 3

const OWN = CELLS * (BINS + COLOURS)

/** Number of features of a patch: its own 48 (36 of directions, 12 of colours), those of its neighbours, those of the image. */
export const WIDTH = 3 * OWN

const COLOUR_WEIGHT = 0.7

// Gradients that sum to less than this in a patch are the noise of a plain surface; they are not blown up to unit length.
const FLOOR = 0.5

/**
 * Writes the features of each patch itself. A pixel's gradient is that of its strongest colour channel. Its magnitude is shared
 * between the two nearest of nine directions. Opposite directions are equal.
 */
const describeOwn = (
  images: Float32Array,
  image: number,
  { height, patchSize, width }: Measures,
  own: Float32Array
) => {
  const pixels = height * width
  const half = patchSize / 2
  const across = width / patchSize
  const share = COLOUR_WEIGHT / (half * half)
  const red = image * COLOURS * pixels
  const green = red + pixels
  const blue = green + pixels
  own.fill(0)
  for (let y = 0; y < height; y++) {
    const here = y * width
    const up = y === 0 ? here : here - width
    const down = y === height - 1 ? here : here + width
    const row = Math.floor(y / patchSize) * across * OWN
    const upper = y % patchSize < half ? 0 : 2
    for (let x = 0; x < width; x++) {
      const before = x === 0 ? here : here + x - 1
      const after = x === width - 1 ? here + x : here + x + 1
      const quarter = Math.floor(x / half)
      const patch = row + (quarter >> 1) * OWN
      const cell = upper + (quarter & 1)
      const colour = patch + CELLS * BINS + cell * COLOURS
      own[colour]! += (images[red + here + x]! - 0.5) * share
      own[colour + 1]! += (images[green + here + x]! - 0.5) * share
      own[colour + 2]! += (images[blue + here + x]! - 0.5) * share

      let gx = images[red + after]! - images[red + before]!
      let gy = images[red + down + x]! - images[red + up + x]!
      let strongest = gx * gx + gy * gy
      for (let plane = green; plane <= blue; plane += pixels) {
        const dx = images[plane + after]! - images[plane + before]!
        const dy = images[plane + down + x]! - images[plane + up + x]!
        const strength = dx * dx + dy * dy
        if (strength > strongest) {
          strongest = strength
          gx = dx
          gy = dy
        }
      }
      if (strongest === 0) continue
      const size = Math.sqrt(strongest)
      const turn = Math.atan2(gy, gx) * (BINS / Math.PI) + BINS
      const bin = Math.floor(turn)
      const second = (turn - bin) * size
      const first = patch + cell * BINS
      own[first + bin % BINS]! += size - second
      own[first + (bin + 1) % BINS]! += second
    }
  }
  for (let patch = 0; patch < own.length; patch += OWN) {
    let sum = FLOOR * FLOOR
    for (let i = patch; i < patch + CELLS * BINS; i++) sum += own[i]! * own[i]!
    const scale = 1 / Math.sqrt(sum)
    for (let i = patch; i < patch + CELLS * BINS; i++) own[i]! *= scale
  }
}

/** Averages the own features of a rectangle of patches into `target`. */
const average = (
  own: Float32Array,
  across: number,
  [top, bottom, left, right]: readonly [number, number, number, number],
  target: Float32Array
) => {
  const share = 1 / ((bottom - top) * (right - left))
  for (let row = top; row < bottom; row++) {
    for (let from = (row * across + left) * OWN; from < (row * across + right) * OWN; from += OWN) {
      for (let i = 0; i < OWN; i++) target[i]! += own[from + i]! * share
    }
  }
}

/**
 * Computes the features of every patch, `[B, N, WIDTH]`, from images `[B, 3, H, W]` with values from 0 to 1. At the border,
 * only neighbours inside the image count.
 */
export const describe = (images: Float32Array, measures: Measures): Float32Array => finish(describing(images, measures))

/** Computes {@link describe} with a pause before each image. */
export function* describing(images: Float32Array, measures: Measures): Pausable<Float32Array> {
  const { height, patchSize, width } = measures
  const down = height / patchSize
  const across = width / patchSize
  const count = images.length / (COLOURS * height * width)
  const own = new Float32Array(down * across * OWN)
  const described = new Float32Array(count * down * across * WIDTH)
  const whole = new Float32Array(OWN)
  for (let image = 0; image < count; image++) {
    yield
    describeOwn(images, image, measures, own)
    whole.fill(0)
    average(own, across, [0, down, 0, across], whole)
    for (let patch = 0; patch < down * across; patch++) {
      const row = Math.floor(patch / across)
      const column = patch % across
      const target = described.subarray((image * down * across + patch) * WIDTH)
      target.set(own.subarray(patch * OWN, (patch + 1) * OWN))
      const around = [
        Math.max(0, row - 1),
        Math.min(down, row + 2),
        Math.max(0, column - 1),
        Math.min(across, column + 2)
      ] as const
      average(own, across, around, target.subarray(OWN))
      target.set(whole, 2 * OWN)
    }
  }
  return described
}
