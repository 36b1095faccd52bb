/**
 * Grids of patches, and separable interpolation of the values on a grid.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Grid } from "patchword/domain"
 *
 * const halves = [Float64Array.of(1, 0), Float64Array.of(0.5, 0.5), Float64Array.of(0, 1)]
 * const one = [Float64Array.of(1)]
 * assert.deepStrictEqual(Grid.resample(Float32Array.of(2, 4), 1, one, halves), Float32Array.of(2, 3, 4))
 * ```
 */

/** The size of a grid: rows and columns. */
export interface Grid {
  readonly height: number
  readonly width: number
}

/** Returns the grid with the same number of rows and columns. */
export const square = (side: number): Grid => ({ height: side, width: side })

/** Tests whether two grids have the same rows and columns. */
export const equal = (a: Grid, b: Grid): boolean => a.height === b.height && a.width === b.width

/** The interpolation weights of an axis, as a matrix `[target, source]`. */
export type Weights = ReadonlyArray<Float64Array>

/** Returns the weights that leave an axis unchanged. */
export const identity = (length: number): Weights =>
  Array.from({ length }, (_, i) => Float64Array.from({ length }, (__, j) => (i === j ? 1 : 0)))

/**
 * Interpolates along rows, then along columns: `values` `[H, W, channels]` become `[rows.length, columns.length, channels]`.
 * Sums are computed in 64 bits and rounded once.
 */
export const resample = (values: Float32Array, channels: number, rows: Weights, columns: Weights): Float32Array => {
  const height = rows[0]?.length ?? 0
  const width = columns[0]?.length ?? 0
  if (values.length !== height * width * channels) {
    throw new RangeError(`grid of ${height}x${width} with ${channels} channels expected, ${values.length} values came`)
  }
  const tall = contract(values, 1, rows, width * channels)
  return Float32Array.from(contract(tall, rows.length, columns, channels))
}

// [outer, source, inner] -> [outer, target, inner]
const contract = (values: ArrayLike<number>, outer: number, weights: Weights, inner: number): Float64Array => {
  const out = new Float64Array(outer * weights.length * inner)
  for (let o = 0; o < outer; o++) {
    weights.forEach((row, target) => {
      const at = (o * weights.length + target) * inner
      row.forEach((weight, source) => {
        if (weight === 0) return
        const from = (o * row.length + source) * inner
        for (let i = 0; i < inner; i++) out[at + i]! += weight * values[from + i]!
      })
    })
  }
  return out
}
