/**
 * The effective rank of a set of vectors: the exponential of the entropy of their normalised singular values. It is RankMe (Garrido
 * and others, 2023, equation 1; Roy and Vetterli, 2007). It lies between 1, when all vectors lie on one line, and the smaller one of
 * their number and their width.
 *
 * The vectors are not centred, as in RankMe. Their Gram matrix is summed up row by row. So memory does not grow with their number.
 *
 * ```ts
 * import assert from "node:assert"
 * import { EffectiveRank } from "patchword/domain"
 *
 * const gram = EffectiveRank.begin(3)
 * EffectiveRank.add(gram, Float32Array.of(2, 0, 0, 0, 2, 0))
 * assert.strictEqual(gram.rows, 2)
 * assert.ok(Math.abs(EffectiveRank.of(gram) - 2) < 1e-9)
 * ```
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix"
import { finish, type Pausable } from "../values/Pausable.ts"

/** The sum of the outer products of vectors. */
export interface Gram {
  readonly width: number
  /** The number of vectors. */
  rows: number
  /** `[width, width]`, the upper triangle. */
  readonly sums: Float64Array
}

/** Begins without a vector. */
export const begin = (width: number): Gram => ({ width, rows: 0, sums: new Float64Array(width * width) })

/** The number of vectors that are added without a pause. */
const AT_ONCE = 512

/** Adds vectors `[n, width]`, row-major. */
export const add = (gram: Gram, vectors: Float32Array): void => finish(adding(gram, vectors))

/** Does {@link add} with pauses. */
export function* adding(gram: Gram, vectors: Float32Array): Pausable<void> {
  const { sums, width } = gram
  for (let start = 0; start < vectors.length; start += width) {
    if (start % (AT_ONCE * width) === 0) yield
    for (let i = 0; i < width; i++) {
      const value = vectors[start + i]!
      if (value === 0) continue
      for (let j = i; j < width; j++) sums[i * width + j]! += value * vectors[start + j]!
    }
  }
  gram.rows += vectors.length / width
}

/** Computes the effective rank of singular values; 0 if none is above 0. */
export const ofSingularValues = (values: ReadonlyArray<number>): number => {
  const total = values.reduce((sum, value) => sum + value, 0)
  if (!(total > 0)) return 0
  return Math.exp(
    values.reduce((sum, value) => value > 0 ? sum - value / total * Math.log(value / total) : sum, 0)
  )
}

/** Computes the effective rank of the vectors that were added; 0 if there is none, or if all are zero. */
export const of = (gram: Gram): number => {
  const { sums, width } = gram
  const matrix = Matrix.zeros(width, width)
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      matrix.set(i, j, sums[i * width + j]!)
      matrix.set(j, i, sums[i * width + j]!)
    }
  }
  const { realEigenvalues } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true })
  const most = Math.max(0, ...realEigenvalues)
  // Rounding makes small eigenvalues of the zeros of a matrix without full rank.
  return ofSingularValues(realEigenvalues.map((value) => value > most * width * Number.EPSILON ? Math.sqrt(value) : 0))
}
