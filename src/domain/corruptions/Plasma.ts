/** Clouds by midpoint displacement on a square whose opposite edges meet. */
import type { Generator } from "../values/KeyedRandom.ts"

const FIRST = 100

/**
 * Makes a cloud of `side` × `side` values from 0 to 1, row by row. `side` is a power of two. The random displacements become
 * smaller by `decay` with each halving of the distance between points.
 */
export const make = (side: number, decay: number, { uniform }: Pick<Generator, "uniform">): Float64Array => {
  const values = new Float64Array(side * side)
  const at = (row: number, column: number) => values[((row + side) % side) * side + (column + side) % side]!
  let reach = FIRST
  for (let step = side; step >= 2; step /= 2, reach /= decay) {
    const half = step / 2
    const put = (row: number, column: number, around: ReadonlyArray<readonly [down: number, right: number]>) => {
      const mean = around.reduce((sum, [down, right]) => sum + at(row + down, column + right), 0) / 4
      values[row * side + column] = mean + reach * reach * (2 * uniform() - 1)
    }
    const corners = [[-half, -half], [-half, half], [half, -half], [half, half]] as const
    const sides = [[-half, 0], [half, 0], [0, -half], [0, half]] as const
    for (let row = half; row < side; row += step) {
      for (let column = half; column < side; column += step) put(row, column, corners)
    }
    for (let row = 0; row < side; row += half) {
      for (let column = row % step === 0 ? half : 0; column < side; column += step) put(row, column, sides)
    }
  }
  const least = values.reduce((a, b) => Math.min(a, b))
  const most = values.reduce((a, b) => Math.max(a, b))
  return values.map((value) => (value - least) / (most - least))
}
