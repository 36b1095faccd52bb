/**
 * Relative position bias: the table row of each pair of tokens, and the resizing of a learned table to a grid of another size.
 *
 * A table has one row for each displacement between two patches, and three more: class token to anything, anything to class
 * token, class token to itself. Its columns are the attention heads.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Grid, RelativePosition } from "patchword/domain"
 *
 * assert.strictEqual(RelativePosition.rows(Grid.square(14)), 732)
 * assert.deepStrictEqual([...RelativePosition.index(Grid.square(2)).subarray(0, 10)], [11, 9, 9, 9, 9, 10, 4, 3, 1, 0])
 * ```
 */
import * as Grid from "../values/Grid.ts"

/** The interpolation between learned displacements: the official cubic spline, or linear as in timm. */
export type Interpolation = "cubic" | "linear"

/** The number of rows for the class token. */
const special = 3

/** Returns the number of rows of a grid's table, `(2 H - 1) (2 W - 1) + 3`. */
export const rows = (grid: Grid.Grid): number => (2 * grid.height - 1) * (2 * grid.width - 1) + special

/**
 * Returns the table row of every pair of tokens, `[N + 1, N + 1]`, row-major, query first. The class token is token 0
 * (`modeling_finetune.py`, `RelativePositionBias`).
 */
export const index = (grid: Grid.Grid): Int32Array => {
  const { height, width } = grid
  const tokens = height * width + 1
  const last = rows(grid) - 1
  const pairs = new Int32Array(tokens * tokens).fill(last - 1)
  pairs.fill(last - 2, 0, tokens)
  pairs[0] = last
  // The rows of a patch and of those on one line of the grid descend by 1.
  const descending = Int32Array.from({ length: last }, (_, place) => last - 1 - place)
  for (let query = 1; query < tokens; query++) {
    const [line, column] = [Math.floor((query - 1) / width), (query - 1) % width]
    for (let other = 0; other < height; other++) {
      const first = (line - other + height - 1) * (2 * width - 1) + column + width - 1
      const place = last - 1 - first
      pairs.set(descending.subarray(place, place + width), query * tokens + 1 + other * width)
    }
  }
  return pairs
}

/**
 * Resizes a table `[rows(from), heads]` to another grid: `[rows(to), heads]`.
 *
 * The learned displacements are placed on an axis with geometrically growing gaps. Short displacements keep their meaning, and
 * long ones reach the new border. A cubic spline interpolates between them (`run_class_finetuning.py`). It equals
 * `scipy.interpolate.interp2d`. The class token's three rows are copied. The official code supports square grids only. Here
 * each axis is treated separately, and an axis of unchanged length stays as it is.
 *
 * `"linear"` interpolates linearly between the displacements, as timm does (`resize_rel_pos_bias_table`).
 */
export const resize = (
  table: Float32Array,
  heads: number,
  from: Grid.Grid,
  to: Grid.Grid,
  interpolation: Interpolation = "cubic"
): Float32Array => {
  if (table.length !== rows(from) * heads) {
    throw new RangeError(
      `relative positions: a grid of ${from.height}x${from.width} has ${rows(from)} rows of ${heads} heads, ` +
        `but the table holds ${table.length} values`
    )
  }
  if (Grid.equal(from, to)) return table.slice()
  const split = table.length - special * heads
  const patches = Grid.resample(
    table.subarray(0, split),
    heads,
    axisWeights(from.height, to.height, interpolation),
    axisWeights(from.width, to.width, interpolation)
  )
  const resized = new Float32Array(rows(to) * heads)
  resized.set(patches)
  resized.set(table.subarray(split), patches.length)
  return resized
}

/**
 * Returns the positions of the learned displacements `-(from - 1) .. from - 1` on the axis of a grid of `to` patches. They are
 * symmetric about 0, with gaps `1, q, q^2, ...`. `q` is bisected in [1.01, 1.5] so that the last position is `to - 1`. If the
 * grid shrinks, hardly grows, or grows too much, `q` stays at an end of that range. The table is then cut off, or continued
 * with its border values.
 */
export const axis = (from: number, to: number): ReadonlyArray<number> => {
  const reach = from - 1
  let low = 1.01
  let high = 1.5
  let q = high
  while (high - low > 1e-6) {
    q = (low + high) / 2
    if ((1 - q ** reach) / (1 - q) > to - 1) high = q
    else low = q
  }
  const positive: Array<number> = []
  for (let k = 0, at = 1; k < reach; k++) {
    positive.push(at)
    at += q ** (k + 1)
  }
  return [...positive.map((x) => -x).toReversed(), 0, ...positive]
}

const axisWeights = (from: number, to: number, interpolation: Interpolation): Grid.Weights => {
  if (from === to) return Grid.identity(2 * from - 1)
  const knots = axis(from, to)
  const reach = knots.at(-1)!
  const queries = Array.from({ length: 2 * to - 1 }, (_, i) => Math.min(Math.max(i - to + 1, -reach), reach))
  // A curve is linear in its values: the curves through the unit vectors are the columns of the weights.
  const columns = knots.map((_, j) => curves[interpolation](knots, knots.map((__, i) => (i === j ? 1 : 0))))
  return queries.map((x) => Float64Array.from(columns, (column) => column(x)))
}

/**
 * Returns the cubic spline through points of ascending abscissae, with the not-a-knot end condition. Three points give a
 * parabola, one point a constant.
 */
export const spline = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>): (x: number) => number => {
  const n = xs.length
  if (n < 4) return lagrange(xs, ys)
  const h = xs.slice(1).map((x, i) => x - xs[i]!)
  const slope = h.map((gap, i) => (ys[i + 1]! - ys[i]!) / gap)

  // Tridiagonal equations for the second derivatives at the inner points; "not a knot" expresses the two outer ones by
  // their neighbours.
  const inner = n - 2
  const lower = Array.from({ length: inner }, (_, i) => h[i]!)
  const main = Array.from({ length: inner }, (_, i) => 2 * (h[i]! + h[i + 1]!))
  const upper = Array.from({ length: inner }, (_, i) => h[i + 1]!)
  const right = Array.from({ length: inner }, (_, i) => 6 * (slope[i + 1]! - slope[i]!))
  const first = h[0]! / h[1]!
  const final = h[n - 2]! / h[n - 3]!
  main[0]! += h[0]! * (1 + first)
  upper[0]! -= h[0]! * first
  main[inner - 1]! += h[n - 2]! * (1 + final)
  lower[inner - 1]! -= h[n - 2]! * final
  for (let i = 1; i < inner; i++) {
    const factor = lower[i]! / main[i - 1]!
    main[i]! -= factor * upper[i - 1]!
    right[i]! -= factor * right[i - 1]!
  }
  const second = new Float64Array(n)
  for (let i = inner - 1; i >= 0; i--) {
    second[i + 1] = (right[i]! - (i === inner - 1 ? 0 : upper[i]! * second[i + 2]!)) / main[i]!
  }
  second[0] = second[1]! * (1 + first) - second[2]! * first
  second[n - 1] = second[n - 2]! * (1 + final) - second[n - 3]! * final

  return (x) => {
    const found = xs.findIndex((knot) => knot > x)
    const i = found === -1 ? n - 2 : Math.max(found - 1, 0)
    const a = xs[i + 1]! - x
    const b = x - xs[i]!
    const gap = h[i]!
    return (second[i]! * a ** 3 + second[i + 1]! * b ** 3) / (6 * gap) +
      (ys[i]! / gap - (second[i]! * gap) / 6) * a +
      (ys[i + 1]! / gap - (second[i + 1]! * gap) / 6) * b
  }
}

const lagrange = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>) => (x: number): number =>
  ys.reduce(
    (sum, y, i) => sum + xs.reduce((term, knot, j) => (i === j ? term : (term * (x - knot)) / (xs[i]! - knot)), y),
    0
  )

const polyline = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>) => (x: number): number => {
  if (xs.length === 1) return ys[0]!
  const right = Math.max(1, xs.findIndex((knot) => knot >= x))
  const [from, to] = [xs[right - 1]!, xs[right]!]
  return ys[right - 1]! + (ys[right]! - ys[right - 1]!) * (x - from) / (to - from)
}

const curves = { cubic: spline, linear: polyline }
