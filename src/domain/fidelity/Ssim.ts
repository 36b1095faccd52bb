/**
 * The structural similarity of two pictures: brightness, contrast and structure are compared in each window of 11 by 11 pixels
 * (Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004). Equal pictures have 1.
 *
 * It equals `structural_similarity` of scikit-image with `gaussian_weights=True`, `sigma=1.5` and `use_sample_covariance=False`.
 * Windows lie inside of the picture.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Ssim } from "patchword/domain"
 *
 * const size = { channels: 1, height: 12, width: 16 }
 * const values = Float32Array.from({ length: 192 }, (_, i) => (i % 5) / 4)
 * assert.ok(Math.abs(Ssim.ssim(values, values, size) - 1) < 1e-12)
 * assert.ok(Ssim.ssim(values, values.map((value) => 1 - value), size) < 0)
 * ```
 */

/** The size of a picture with values `[channels, height, width]`, row-major. */
export interface Size {
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** The sides of a window, in pixels. */
export const WINDOW = 11

/** The standard deviation of the weights of a window, in pixels. */
const SIGMA = 1.5

/** The constants that keep the ratios stable, as shares of the range. */
const [K1, K2] = [0.01, 0.03]

const bell = Float64Array.from(
  { length: WINDOW },
  (_, i) => Math.exp(-((i - (WINDOW - 1) / 2) ** 2) / (2 * SIGMA ** 2))
)
const taps = bell.map((weight) => weight / bell.reduce((a, b) => a + b))

/** Computes the weighted mean of every window of a plane: `[height, width]` to `[height - 10, width - 10]`. */
const windows = (plane: Float64Array, height: number, width: number): Float64Array => {
  const [tall, wide] = [height - WINDOW + 1, width - WINDOW + 1]
  const across = new Float64Array(height * wide)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < wide; x++) {
      let sum = 0
      for (let i = 0; i < WINDOW; i++) sum += taps[i]! * plane[y * width + x + i]!
      across[y * wide + x] = sum
    }
  }
  const means = new Float64Array(tall * wide)
  for (let y = 0; y < tall; y++) {
    for (let x = 0; x < wide; x++) {
      let sum = 0
      for (let i = 0; i < WINDOW; i++) sum += taps[i]! * across[(y + i) * wide + x]!
      means[y * wide + x] = sum
    }
  }
  return means
}

/**
 * Computes the structural similarity of two pictures: its mean over all windows and channels. `range` is the largest difference
 * of two values: 1 for values from 0 to 1.
 *
 * @throws RangeError if the values do not fill the size, or if the picture is smaller than a window.
 */
export const ssim = (a: ArrayLike<number>, b: ArrayLike<number>, size: Size, range = 1): number => {
  const { channels, height, width } = size
  const pixels = height * width
  if (a.length !== channels * pixels || b.length !== channels * pixels) {
    throw new RangeError(`ssim: ${a.length} and ${b.length} values are not ${channels} × ${height} × ${width}`)
  }
  if (channels < 1 || height < WINDOW || width < WINDOW) {
    throw new RangeError(
      `ssim: ${channels} channels of ${height} × ${width} pixels are smaller than a window of ${WINDOW}`
    )
  }
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2]
  const plane = new Float64Array(pixels)
  const means = (x: ArrayLike<number>, y: ArrayLike<number> | undefined, from: number): Float64Array => {
    for (let i = 0; i < pixels; i++) plane[i] = y === undefined ? x[from + i]! : x[from + i]! * y[from + i]!
    return windows(plane, height, width)
  }
  let sum = 0
  for (let channel = 0; channel < channels; channel++) {
    const from = channel * pixels
    const [ma, mb] = [means(a, undefined, from), means(b, undefined, from)]
    const [aa, bb, ab] = [means(a, a, from), means(b, b, from), means(a, b, from)]
    const similarity = ma.reduce((total, m, i) => {
      const n = mb[i]!
      const spread = aa[i]! - m ** 2 + bb[i]! - n ** 2
      return total + (2 * m * n + c1) * (2 * (ab[i]! - m * n) + c2) / ((m ** 2 + n ** 2 + c1) * (spread + c2))
    }, 0)
    sum += similarity / ma.length
  }
  return sum / channels
}
