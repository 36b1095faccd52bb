/**
 * Absolute positions: how a learned table `[1 + H W, width]`, class token first, is carried over to a grid of another size
 * by bicubic interpolation. The official code does it in two ways that differ in the fourth digit.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Grid, Positions } from "patchword/domain"
 *
 * const table = Float32Array.of(7, 1, 1, 1, 1)
 * const resized = Positions.resize(table, 1, Grid.square(2), Grid.square(3))
 * assert.deepStrictEqual(resized.map((x) => Math.round(x)), Float32Array.of(7, 1, 1, 1, 1, 1, 1, 1, 1, 1))
 * ```
 */
import * as Grid from "./Grid.ts"

/** PyTorch's bicubic coefficient. */
const a = -0.75

const cubic = (distance: number): number => {
  const x = Math.abs(distance)
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0
}

const axisWeights = (from: number, to: number, scale: number): Grid.Weights =>
  Array.from({ length: to }, (_, target) => {
    const source = (target + 0.5) / scale - 0.5
    const weights = new Float64Array(from)
    for (let tap = Math.floor(source) - 1; tap <= Math.floor(source) + 2; tap++) {
      weights[Math.min(Math.max(tap, 0), from - 1)]! += cubic(source - tap)
    }
    return weights
  })

const resizeBy =
  (extra: number) => (table: Float32Array, width: number, from: Grid.Grid, to: Grid.Grid): Float32Array => {
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
      axisWeights(from.height, to.height, (to.height + extra) / from.height),
      axisWeights(from.width, to.width, (to.width + extra) / from.width)
    )
    const resized = new Float32Array(width + patches.length)
    resized.set(table.subarray(0, width))
    resized.set(patches, width)
    return resized
  }

/**
 * The resize on loading a checkpoint into a network of another image size (`run_class_finetuning.py`): sampled at the exact
 * ratio of the sizes. The class token's row is copied; an unchanged grid is a copy.
 */
export const resize = resizeBy(0)

/**
 * The resize that tokenizer encoders and teachers do at run time for images of another size than their own
 * (`interpolate_pos_encoding`): sampled at the ratio of the new size **plus 0.1** to the old.
 */
export const resizeAtRunTime = resizeBy(0.1)
