/**
 * Principal component analysis: the directions in which rows vary most, by the eigenvectors of their covariance. The sign of an axis
 * is fixed: its entry of largest magnitude is positive, as in scikit-learn. So equal rows give equal axes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PrincipalComponents } from "patchword/domain"
 *
 * const found = PrincipalComponents.fit(Float32Array.of(1, 1, 2, 2, 3, 3), 2, 1)
 * assert.ok(Math.abs(PrincipalComponents.explained(found)[0]! - 1) < 1e-12)
 * const [first, second, third] = PrincipalComponents.project(found, Float32Array.of(1, 1, 2, 2, 3, 3))
 * assert.ok(first! < second! && second! < third!)
 * ```
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix"

/** The principal components of rows of `width` numbers, the one of largest variance first. */
export interface PrincipalComponents {
  readonly width: number
  /** `[width]`: the mean row. */
  readonly mean: Float64Array
  /** The axes, each `[width]`, of unit length. */
  readonly axes: ReadonlyArray<Float64Array>
  /** The variance along each axis: the mean square, as numpy's `cov` with `ddof=0`. */
  readonly variances: ReadonlyArray<number>
  /** The sum of the variances along all axes, also those that are not kept. */
  readonly total: number
}

const moments = (rows: Float32Array, width: number) => {
  const count = rows.length / width
  const mean = new Float64Array(width)
  for (let i = 0; i < rows.length; i++) mean[i % width]! += rows[i]! / count
  const sums = new Float64Array(width * width)
  const centred = new Float64Array(width)
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) centred[i] = rows[start + i]! - mean[i]!
    for (let i = 0; i < width; i++) {
      const value = centred[i]!
      for (let j = i; j < width; j++) sums[i * width + j]! += value * centred[j]!
    }
  }
  const covariance = Matrix.zeros(width, width)
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      covariance.set(i, j, sums[i * width + j]! / count)
      covariance.set(j, i, sums[i * width + j]! / count)
    }
  }
  return { mean, covariance }
}

/** Computes the first `components` principal components of one or more rows of `width` finite numbers. */
export const fit = (rows: Float32Array, width: number, components: number): PrincipalComponents => {
  const { covariance, mean } = moments(rows, width)
  const { eigenvectorMatrix, realEigenvalues } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true })
  const order = realEigenvalues.map((_, i) => i).toSorted((a, b) => realEigenvalues[b]! - realEigenvalues[a]!)
    .slice(0, components)
  return {
    width,
    mean,
    axes: order.map((place) => {
      const axis = Float64Array.from(eigenvectorMatrix.getColumn(place))
      const peak = axis.reduce((most, value) => Math.abs(value) > Math.abs(most) ? value : most, 0)
      return peak < 0 ? axis.map((value) => -value) : axis
    }),
    variances: order.map((place) => Math.max(0, realEigenvalues[place]!)),
    total: covariance.trace()
  }
}

/** Returns the share of the variance along each axis, 0 to 1. Rows that are all equal have no variance, so the shares are 0. */
export const explained = (components: PrincipalComponents): ReadonlyArray<number> =>
  components.variances.map((variance) => components.total > 0 ? variance / components.total : 0)

/** Projects rows onto the axes, around the mean row: `[M, components]`, row-major. */
export const project = (components: PrincipalComponents, rows: Float32Array): Float64Array => {
  const { axes, mean, width } = components
  const origins = axes.map((axis) => axis.reduce((sum, value, i) => sum + value * mean[i]!, 0))
  const count = rows.length / width
  const projected = new Float64Array(count * axes.length)
  for (let row = 0; row < count; row++) {
    for (let component = 0; component < axes.length; component++) {
      const axis = axes[component]!
      let sum = -origins[component]!
      for (let i = 0; i < width; i++) sum += axis[i]! * rows[row * width + i]!
      projected[row * axes.length + component] = sum
    }
  }
  return projected
}
