/**
 * An estimate of the inverse of the second derivatives of logistic regression, from the second moments of the features. L-BFGS
 * with it takes far fewer steps to the same optimum, where features are correlated or of different sizes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Preconditioner } from "patchword/domain"
 *
 * const moments = Preconditioner.moments({ features: Float32Array.of(1, -1, 3, -3), width: 1 })
 * assert.deepStrictEqual([...moments.data], [5, 0, 0, 1])
 * const inverse = Preconditioner.make(moments, { classes: 2, l2: 1 })
 * const step = Array.from(inverse(Float64Array.of(2.25, 0, 0.25, 0)), (value) => Number(value.toFixed(6)))
 * assert.deepStrictEqual(step, [1, 0, 1, 0])
 * ```
 */
import { finish, type Pausable } from "../values/Pausable.ts"

/** The means of products of two features, where a last feature is 1: `[C + 1, C + 1]`, row-major. */
export interface Moments {
  readonly side: number
  readonly data: Float64Array
}

/** So many rows are read at once. */
const ROWS = 4

/** So many products are done between two pauses. */
const PAUSE = 1e7

/** Computes the second moments of rows `[N, C]`. The generator pauses a few times in a second for large data. */
export function* steps(
  rows: { readonly features: Float32Array; readonly width: number }
): Pausable<Moments> {
  const { features, width } = rows
  const side = width + 1
  const count = features.length / width
  const data = new Float64Array(side * side)
  const read = Array.from({ length: ROWS }, () => new Float64Array(side))
  const [x, y, z, q] = read as [Float64Array, Float64Array, Float64Array, Float64Array]
  const perPause = ROWS * Math.max(1, Math.floor(PAUSE / (ROWS * side * side)))
  for (let from = 0; from < count; from += ROWS) {
    read.forEach((row, at) => {
      const there = from + at < count
      row.fill(0)
      if (there) row.set(features.subarray((from + at) * width, (from + at + 1) * width))
      row[width] = there ? 1 : 0
    })
    for (let i = 0; i < side; i++) {
      const a = x[i]! / count
      const b = y[i]! / count
      const c = z[i]! / count
      const d = q[i]! / count
      const at = i * side
      for (let j = 0; j <= i; j++) data[at + j]! += a * x[j]! + b * y[j]! + (c * z[j]! + d * q[j]!)
    }
    if (from % perPause === 0 && from > 0) yield
  }
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < i; j++) data[j * side + i] = data[i * side + j]!
  }
  return { side, data }
}

/** Computes {@link steps} without a pause. */
export const moments = (rows: Parameters<typeof steps>[0]): Moments => finish(steps(rows))

/** What is added to the diagonal, as a share of its mean, so that features that depend on each other have a solution. */
const RIDGE = 1e-10

/** Computes the lower triangle L of a symmetric matrix L Lᵀ, row-major (Cholesky). */
const triangle = (matrix: Float64Array, side: number): Float64Array => {
  const lower = new Float64Array(matrix.length)
  for (let i = 0; i < side; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * side + j]!
      for (let k = 0; k < j; k++) sum -= lower[i * side + k]! * lower[j * side + k]!
      lower[i * side + j] = i === j ? Math.sqrt(sum) : sum / lower[j * side + j]!
    }
  }
  return lower
}

/** Solves L Lᵀ x = v, in place. */
const solve = (lower: Float64Array, side: number, v: Float64Array): void => {
  for (let i = 0; i < side; i++) {
    let sum = v[i]!
    for (let k = 0; k < i; k++) sum -= lower[i * side + k]! * v[k]!
    v[i] = sum / lower[i * side + i]!
  }
  for (let i = side - 1; i >= 0; i--) {
    const found = v[i]! / lower[i * side + i]!
    v[i] = found
    for (let k = 0; k < i; k++) v[k]! -= lower[i * side + k]! * found
  }
}

/**
 * Makes the function that multiplies a gradient by the inverse. Gradients hold weights `[K, C]`, row-major, then biases `[K]`. The
 * classes are taken as equally probable, and as independent of each other.
 */
export const make = (
  moments: Moments,
  options: { readonly classes: number; readonly l2: number }
): (gradient: Float64Array) => Float64Array => {
  const { data, side } = moments
  const { classes, l2 } = options
  const width = side - 1
  const share = (1 - 1 / classes) / classes
  let trace = 0
  for (let i = 0; i < side; i++) trace += share * data[i * side + i]! / side
  const lower = triangle(
    data.map((moment, at) => {
      const [row, column] = [Math.floor(at / side), at % side]
      const penalty = row === width ? 0 : l2
      return share * moment + (row === column ? penalty + RIDGE * trace : 0)
    }),
    side
  )
  return (gradient) => {
    const found = new Float64Array(gradient.length)
    const one = new Float64Array(side)
    for (let k = 0; k < classes; k++) {
      one.set(gradient.subarray(k * width, (k + 1) * width))
      one[width] = gradient[classes * width + k]!
      solve(lower, side, one)
      found.set(one.subarray(0, width), k * width)
      found[classes * width + k] = one[width]!
    }
    return found
  }
}
