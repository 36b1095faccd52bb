/**
 * Images cut into a grid of square patches.
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

/** The sides of images, and of the squares that they are cut into. */
export interface Sizes {
  get image(): Sides
  set image(_: never)
  get patch(): number
  set patch(_: never)
}

/** Colour images, `[B, 3, Y, X]`. */
export type Images<B extends number, N extends Sizes> = Tensor<[B, 3, N["image"][0], N["image"][1]]>

/** Colour images as an argument: parameters say what `N` is. */
export type GivenImages<B extends number, N extends Sizes> = Tensor<
  [B, 3, NoInfer<N["image"][0]>, NoInfer<N["image"][1]>]
>

/** How many rows of patches an image makes. */
export type Rows<N extends Sizes> = Dim.Div<N["image"][0], N["patch"]>

/** How many patches stand in a row. */
export type Columns<N extends Sizes> = Dim.Div<N["image"][1], N["patch"]>

/** How many patches an image makes. */
export type Patches<N extends Sizes> = Dim.Mul<Rows<N>, Columns<N>>

const sides = <N extends Sizes>({ image }: Readonly<N>): Readonly<N["image"]> => image

/** How many rows of patches an image makes. */
export const rows = <N extends Sizes>(sizes: Readonly<N>): Rows<N> => Dim.div(sides(sizes)[0], sizes.patch)

/** How many patches stand in a row. */
export const columns = <N extends Sizes>(sizes: Readonly<N>): Columns<N> => Dim.div(sides(sizes)[1], sizes.patch)

/** How many patches an image makes. */
export const patches = <N extends Sizes>(sizes: Readonly<N>): Patches<N> => Dim.mul(rows(sizes), columns(sizes))

/** Rows and columns of patches. */
export const grid = (sizes: { readonly image: Readonly<Sides>; readonly patch: number }): Grid => {
  const { image, patch } = sizes
  return {
    height: image[0] / patch,
    width: image[1] / patch
  }
}

/** Images in a batch. */
export const images = <B extends number, N extends Sizes>(sizes: Readonly<N>, batch: B): SpecOf<Images<B, N>> => {
  const { 0: height, 1: width } = sides(sizes)
  return { shape: [batch, 3, height, width], dtype: "float32" }
}
