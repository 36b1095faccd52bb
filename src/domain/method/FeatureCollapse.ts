/**
 * The collapse of features: all images get nearly the same vector. Two figures show it. The mean cosine similarity of two
 * different images is 1 when all are alike. The spread is the standard deviation of the channels of vectors of unit length, as in
 * figure 2 of SimSiam (Chen and He, 2021), times the square root of the width. It is 0 when all are alike, and 1 for vectors that are
 * spread evenly over the sphere.
 *
 * Both are computed from sums. So memory does not grow with the number of images.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FeatureCollapse } from "patchword/domain"
 *
 * const sums = FeatureCollapse.begin(2)
 * FeatureCollapse.add(sums, Float32Array.of(3, 0, 0, 5))
 * assert.strictEqual(FeatureCollapse.similarity(sums), 0)
 * assert.ok(Math.abs(FeatureCollapse.spread(sums) - Math.SQRT1_2) < 1e-12)
 * ```
 */

/** Sums over vectors of unit length. */
export interface Sums {
  readonly width: number
  rows: number
  readonly sum: Float64Array
  readonly squares: Float64Array
}

/** Begins without a vector. */
export const begin = (width: number): Sums => ({
  width,
  rows: 0,
  sum: new Float64Array(width),
  squares: new Float64Array(width)
})

/** Adds vectors `[n, width]`, row-major. Vectors of zeros stay zeros. */
export const add = (sums: Sums, vectors: Float32Array): void => {
  const { squares, sum, width } = sums
  for (let start = 0; start < vectors.length; start += width) {
    let length = 0
    for (let i = 0; i < width; i++) length += vectors[start + i]! ** 2
    const scale = length === 0 ? 0 : 1 / Math.sqrt(length)
    for (let i = 0; i < width; i++) {
      const value = vectors[start + i]! * scale
      sum[i]! += value
      squares[i]! += value * value
    }
  }
  sums.rows += vectors.length / width
}

/** Computes the mean cosine similarity of two different vectors, -1 to 1; 1 for fewer than two. */
export const similarity = (sums: Sums): number => {
  const { rows, squares, sum } = sums
  if (rows < 2) return 1
  const own = squares.reduce((all, value) => all + value, 0)
  return (sum.reduce((all, value) => all + value * value, 0) - own) / (rows * (rows - 1))
}

/** Computes the spread: 0 when all vectors point the same way, 1 for an even spread. */
export const spread = (sums: Sums): number => {
  const { rows, squares, sum, width } = sums
  if (rows === 0) return 0
  const deviations = sum.map((value, i) => Math.sqrt(Math.max(0, squares[i]! / rows - (value / rows) ** 2)))
  return deviations.reduce((all, value) => all + value, 0) / width * Math.sqrt(width)
}
