/**
 * Resizes absolute position embeddings. A learned table `[1 + H W, width]`, class token first, is interpolated to a grid of
 * another size by bicubic filters. The official codes of BEiT and DINO do this in two ways, which differ in the fourth digit.
 * Networks with registers use a third way.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AbsolutePosition, Grid } from "patchword/domain"
 *
 * const table = Float32Array.of(7, 1, 1, 1, 1)
 * const resized = AbsolutePosition.resize(table, 1, Grid.square(2), Grid.square(3))
 * assert.deepStrictEqual(resized.map((x) => Math.round(x)), Float32Array.of(7, 1, 1, 1, 1, 1, 1, 1, 1, 1))
 * ```
 */
import * as Grid from "../values/Grid.ts"

/** The bicubic kernel with coefficient `a`. PyTorch uses -0.75, and -0.5 with antialiasing. */
const cubic = (a: number) => (distance: number): number => {
  const x = Math.abs(distance)
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0
}

type Axis = (from: number, to: number) => Grid.Weights

const sampled = (extra: number): Axis => (from, to) => {
  const kernel = cubic(-0.75)
  return Array.from({ length: to }, (_, target) => {
    const source = (target + 0.5) / ((to + extra) / from) - 0.5
    const weights = new Float64Array(from)
    for (let tap = Math.floor(source) - 1; tap <= Math.floor(source) + 2; tap++) {
      weights[Math.min(Math.max(tap, 0), from - 1)]! += kernel(source - tap)
    }
    return weights
  })
}

const antialiased: Axis = (from, to) => {
  const kernel = cubic(-0.5)
  const scale = Math.max(1, from / to)
  return Array.from({ length: to }, (_, target) => {
    const center = (target + 0.5) * from / to
    const weights = Float64Array.from({ length: from }, (__, source) => kernel((source + 0.5 - center) / scale))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return weights.map((weight) => weight / total)
  })
}

const resizeBy = (axis: Axis) => (table: Float32Array, width: number, from: Grid.Grid, to: Grid.Grid): Float32Array => {
  if (table.length !== (1 + from.height * from.width) * width) {
    throw new RangeError(
      `absolute positions: a grid of ${from.height}x${from.width} has ${
        1 + from.height * from.width
      } rows of ${width}, ` +
        `but the table holds ${table.length} values`
    )
  }
  if (Grid.equal(from, to)) return table.slice()
  const patches = Grid.resample(
    table.subarray(width),
    width,
    axis(from.height, to.height),
    axis(from.width, to.width)
  )
  const resized = new Float32Array(width + patches.length)
  resized.set(table.subarray(0, width))
  resized.set(patches, width)
  return resized
}

/**
 * Resizes a table when a checkpoint is loaded into a network of another image size (`run_class_finetuning.py`). It samples at
 * the exact ratio of the sizes. The class token's row is copied. An unchanged grid gives a copy.
 */
export const resize = resizeBy(sampled(0))

/**
 * Resizes a table at run time, as tokenizer encoders and teachers do for images of another size than their own
 * (`interpolate_pos_encoding`). It samples at the ratio of the new size **plus 0.1** to the old size.
 */
export const resizeAtRunTime = resizeBy(sampled(0.1))

/** Resizes a table at run time, as networks with registers do: at the exact ratio, with antialiasing. */
export const resizeAntialiased = resizeBy(antialiased)
