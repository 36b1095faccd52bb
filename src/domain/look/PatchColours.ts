/**
 * The colours of patches by their features, as DINOv2 shows them: the first three principal components of the patches of several
 * images together, as red, green and blue. Before, the first component may tell the foreground from the background. The colours are then
 * those of the patches in the foreground (DINOv2, section 7.5 and figure 1).
 *
 * ```ts
 * import assert from "node:assert"
 * import { PatchColours } from "patchword/domain"
 *
 * const rows = Float32Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 3, 3)
 * const colours = PatchColours.fit(rows, 3, { grid: { height: 2, width: 2 }, foreground: "none" })
 * const { values } = PatchColours.apply(colours, rows)
 * assert.strictEqual(values.length, 12)
 * assert.deepStrictEqual([Math.min(...values), Math.max(...values)], [0, 1])
 * ```
 */
import * as PrincipalComponents from "../method/PrincipalComponents.ts"
import type { Grid } from "../values/Grid.ts"

/**
 * The choice of the foreground: all patches (`none`), or those with a `positive` or a `negative` first component. `inner` takes the sign
 * that fewer patches at the edges of the images have, and `positive` if these are as many.
 */
export type Foreground = "none" | "inner" | "positive" | "negative"

/** The options of colours. */
export interface Options {
  /** The patches of an image. */
  readonly grid: Grid
  readonly foreground: Foreground
}

/** A map from features to colours. */
export interface PatchColours {
  /** The first component of all patches, and the sign of the foreground. Absent if all patches are foreground. */
  readonly ground: { readonly components: PrincipalComponents.PrincipalComponents; readonly sign: 1 | -1 } | undefined
  /** The components of the patches in the foreground. */
  readonly components: PrincipalComponents.PrincipalComponents
  /** The smallest and the largest projection of each component. They become 0 and 1. */
  readonly ranges: ReadonlyArray<readonly [low: number, high: number]>
}

/** The colours of patches. */
export interface Coloured {
  /** `[M, 3]`: red, green and blue, 0 to 1. Those of the background are 0. */
  readonly values: Float32Array
  /** `[M]`: 1 for each patch in the foreground. */
  readonly foreground: Uint8Array
}

const CHANNELS = 3

/** Tests whether a patch, counted row-major in its image, is at the edge of it. */
const isAtEdge = ({ height, width }: Grid) => (patch: number): boolean => {
  const [row, column] = [Math.floor(patch / width), patch % width]
  return row === 0 || column === 0 || row === height - 1 || column === width - 1
}

const signOf = (firsts: Float64Array, { foreground, grid }: Options): 1 | -1 => {
  if (foreground !== "inner") return foreground === "negative" ? -1 : 1
  const patches = grid.height * grid.width
  const edge = isAtEdge(grid)
  const sum = firsts.reduce((sum, first, row) => edge(row % patches) ? sum + Math.sign(first) : sum, 0)
  return sum > 0 ? -1 : 1
}

const inFront = (firsts: Float64Array, sign: 1 | -1): Uint8Array =>
  Uint8Array.from(firsts, (first) => +(sign * first > 0))

const selected = (rows: Float32Array, width: number, chosen: Uint8Array): Float32Array => {
  const kept = Array.from(chosen.keys()).filter((row) => chosen[row] === 1)
  const found = new Float32Array(kept.length * width)
  kept.forEach((row, at) => found.set(rows.subarray(row * width, (row + 1) * width), at * width))
  return found
}

/** Computes the colours of the patches of whole images, `[images * patches, width]` row-major, for a `width` of 3 or more. */
export const fit = (rows: Float32Array, width: number, options: Options): PatchColours => {
  const over = (front: Float32Array, ground: PatchColours["ground"]): PatchColours => {
    // Where all patches are equal, none is in the foreground, and the components are not used.
    const used = front.length === 0 ? rows : front
    const components = PrincipalComponents.fit(used, width, CHANNELS)
    const projected = PrincipalComponents.project(components, used)
    const ranges = Array.from({ length: CHANNELS }, (_, channel) => {
      let [low, high] = [Infinity, -Infinity]
      for (let i = channel; i < projected.length; i += CHANNELS) {
        low = Math.min(low, projected[i]!)
        high = Math.max(high, projected[i]!)
      }
      return [low, high] as const
    })
    return { ground, components, ranges }
  }
  if (options.foreground === "none") return over(rows, undefined)
  const components = PrincipalComponents.fit(rows, width, 1)
  const firsts = PrincipalComponents.project(components, rows)
  const sign = signOf(firsts, options)
  return over(selected(rows, width, inFront(firsts, sign)), { components, sign })
}

/** Colours patches, `[M, width]` row-major. Projections beyond the ranges get the colours at their ends. */
export const apply = (colours: PatchColours, rows: Float32Array): Coloured => {
  const { components, ground, ranges } = colours
  const count = rows.length / components.width
  const foreground = ground === undefined
    ? new Uint8Array(count).fill(1)
    : inFront(PrincipalComponents.project(ground.components, rows), ground.sign)
  const values = Float32Array.from(PrincipalComponents.project(components, rows), (value, i) => {
    const [low, high] = ranges[i % CHANNELS]!
    if (foreground[Math.floor(i / CHANNELS)] === 0) return 0
    return high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5
  })
  return { values, foreground }
}
