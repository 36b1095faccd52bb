/**
 * Image sizes and the grid of square patches.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PatchGrid } from "patchword/nn"
 *
 * assert.deepStrictEqual(PatchGrid.grid({ image: [224, 448], patch: 16 }), { height: 14, width: 28 })
 * ```
 */
import type { Grid } from "../../domain/values/Grid.ts"
import * as Dim from "../../shapes/Dim.ts"
import type { SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"

/** An image's height and width in pixels. */
export interface Sides {
  get 0(): number
  set 0(_: never)
  get 1(): number
  set 1(_: never)
}

/** The sides of the images and of their square patches. */
export interface Sizes {
  get image(): Sides
  set image(_: never)
  get patch(): number
  set patch(_: never)
}

/** Colour images, `[B, 3, Y, X]`. */
export type Images<B extends number, N extends Sizes> = Tensor<[B, 3, N["image"][0], N["image"][1]]>

/** Colour images as an argument. `N` is inferred from the parameters only. */
export type GivenImages<B extends number, N extends Sizes> = Tensor<
  [B, 3, NoInfer<N["image"][0]>, NoInfer<N["image"][1]>]
>

/** The number of rows of patches. */
export type Rows<N extends Sizes> = Dim.Div<N["image"][0], N["patch"]>

/** The number of columns of patches. */
export type Columns<N extends Sizes> = Dim.Div<N["image"][1], N["patch"]>

/** The number of patches of an image. */
export type Patches<N extends Sizes> = Dim.Mul<Rows<N>, Columns<N>>

const sides = <N extends Sizes>({ image }: Readonly<N>): Readonly<N["image"]> => image

/** Returns the number of rows of patches. */
export const rows = <N extends Sizes>(sizes: Readonly<N>): Rows<N> => Dim.div(sides(sizes)[0], sizes.patch)

/** Returns the number of columns of patches. */
export const columns = <N extends Sizes>(sizes: Readonly<N>): Columns<N> => Dim.div(sides(sizes)[1], sizes.patch)

/** Returns the number of patches of an image. */
export const patches = <N extends Sizes>(sizes: Readonly<N>): Patches<N> => Dim.mul(rows(sizes), columns(sizes))

/** Returns the grid of patches: its rows and columns. */
export const grid = (sizes: { readonly image: Readonly<Sides>; readonly patch: number }): Grid => {
  const { image, patch } = sizes
  return {
    height: image[0] / patch,
    width: image[1] / patch
  }
}

/** Specifies the images of a batch. */
export const images = <B extends number, N extends Sizes>(sizes: Readonly<N>, batch: B): SpecOf<Images<B, N>> => {
  const { 0: height, 1: width } = sides(sizes)
  return { shape: [batch, 3, height, width], dtype: "float32", split: "rows" }
}
