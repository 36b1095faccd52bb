/**
 * The vision transformer that everything is built from: patches, a class token, positions, blocks.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Vit } from "patchword/nn"
 *
 * const base = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
 * const tokens: 197 = base.tokens
 * assert.strictEqual(tokens, 197)
 * const wide = Vit.dims({ image: [224, 448], patch: 16, width: 768, heads: 12 })
 * assert.deepStrictEqual(Vit.grid(wide), { height: 14, width: 28 })
 * ```
 */
import type { Grid } from "../domain/Grid.ts"
import * as RelativePosition from "../domain/RelativePosition.ts"
import * as Attention from "../shapes/Attention.ts"
import * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { ShapeError } from "../shapes/ShapeError.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import * as Parameter from "./Parameter.ts"

/** An image's sides in pixels: one number where they are equal, height and width where they need not be. */
export type Sides = number | readonly [height: number, width: number]

type Height<S extends Sides> = S extends readonly [infer Y extends number, number] ? Y : S & number
type Width<S extends Sides> = S extends readonly [number, infer X extends number] ? X : S & number

/** The sizes of a transformer over images of `Y` by `X` pixels. */
export interface Dims<
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  H extends number,
  N extends number,
  T extends number
> {
  readonly image: readonly [height: Y, width: X]
  readonly patch: P
  readonly width: C
  readonly heads: H
  readonly patches: N
  readonly tokens: T
}

type Divisor<A extends number, B extends number, What extends string> = Dim.Div<A, B> extends ShapeError<infer M>
  ? ShapeError<`${What}: ${M}`>
  : B

/**
 * Checked sizes: where they are literals, the compiler refuses patches that do not tile the image and heads that do not
 * divide the width; run-time numbers are refused with the same words.
 *
 * @throws ShapeError
 */
export const dims = <const S extends Sides, const P extends number, const C extends number, const H extends number>(
  options: {
    readonly image: S
    readonly patch: P & Divisor<Height<S>, P, "image"> & Divisor<Width<S>, P, "image">
    readonly width: C
    readonly heads: H & Divisor<C, H, "heads">
  }
): Dims<
  Height<S>,
  Width<S>,
  P,
  C,
  H,
  Dim.Patches<Height<S>, Width<S>, P>,
  Dim.Plus<Dim.Patches<Height<S>, Width<S>, P>, 1>
> => {
  const { heads, patch, width } = options
  const sides: Sides = options.image
  const image = (typeof sides === "number" ? [sides, sides] : sides) as [Height<S>, Width<S>]
  for (const side of image) Dim.divisible("image", side, patch)
  Dim.divisible("heads", width, heads)
  const patches = Dim.mul(Dim.div<Height<S>, P>(image[0], patch), Dim.div<Width<S>, P>(image[1], patch))
  return { image, patch, width, heads, patches, tokens: Dim.plus(patches, 1) }
}

/** Rows and columns of patches. */
export const grid = (
  { image: [height, width], patch }: { readonly image: readonly [number, number]; readonly patch: number }
): Grid => ({ height: height / patch, width: width / patch })

/** What comes before and between the blocks. `I` channels in, `R` rows in a relative-position table. */
export interface VitParams<
  in out I extends number,
  in out P extends number,
  in out C extends number,
  in out F extends number,
  in out H extends number,
  in out R extends number,
  in out T extends number
> {
  readonly cls_token: Tensor<[1, 1, C]>
  readonly pos_embed?: Tensor<[1, T, C]>
  readonly patch_embed: { readonly proj: Tokens.PatchParams<I, P, C> }
  readonly rel_pos_bias?: { readonly relative_position_bias_table: Tensor<[R, H]> }
  readonly blocks: ReadonlyArray<Block.BlockParams<C, F, H, R>>
}

/** Whose tables bias attention by relative position: one of all blocks, one of each block, or both added up. */
export type RelativePositions = "none" | "shared" | "perBlock" | "both"

/** Whether every block has a table of its own. */
export const ownTable = (positions: RelativePositions): boolean => positions === "perBlock" || positions === "both"

/** The sizes and the kind of a transformer. */
export interface VitOptions<
  I extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number
> {
  readonly channels: I
  readonly patch: P
  readonly width: C
  readonly hidden: F
  readonly heads: H
  readonly relativeRows: R
  readonly tokens: T
  readonly depth: number
  readonly absolutePositions: boolean
  readonly relativePositions: RelativePositions
  readonly qkvBias: boolean
  readonly layerScale: number
  readonly regime: Parameter.Regime
}

/** The parameters of a transformer. */
export const spec = <
  I extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number
>(options: VitOptions<I, P, C, F, H, R, T>): Parameter.ParametersOf<VitParams<I, P, C, F, H, R, T>> => {
  const { channels, depth, heads, patch, regime, relativeRows, tokens, width } = options
  const fanIn = channels * patch * patch
  const weight: [C, I, P, P] = [width, channels, patch, patch]
  return {
    cls_token: Parameter.normal([1, 1, width], regime),
    ...(options.absolutePositions ? { pos_embed: Parameter.normal([1, tokens, width], regime) } : {}),
    patch_embed: {
      proj: regime.name === "pretraining"
        ? { weight: Parameter.normal(weight, regime), bias: Parameter.zeros([width]) }
        : { weight: Parameter.byFanIn(weight, fanIn), bias: Parameter.byFanIn([width], fanIn) }
    },
    ...(options.relativePositions === "shared" || options.relativePositions === "both"
      ? { rel_pos_bias: { relative_position_bias_table: Parameter.zeros([relativeRows, heads]) } }
      : {}),
    blocks: Array.from(
      { length: depth },
      (_, place) => Block.spec({ ...options, ownTable: ownTable(options.relativePositions), place })
    )
  }
}

/** The rows of a relative-position table for every pair of tokens on a grid of patches. */
export const relativeIndex = <T extends number>(grid: Grid, tokens: T): Block.RelativeIndex<T> =>
  HostTensor.make([tokens, tokens], "int32", RelativePosition.index(grid))

/** What a forward pass needs beside parameters and images. */
export interface Context<B extends number, T extends number, H extends number> {
  readonly heads: H
  readonly index?: Block.RelativeIndex<T> | undefined
  /** One entry per block; none when nothing is dropped. */
  readonly dropPath?: ReadonlyArray<Block.DropPath<B>> | undefined
  /** Added to the variance in layer norms; `Block.EPSILON` when absent. */
  readonly epsilon?: number | undefined
}

/** The bias that all blocks share, if there is one. */
export const sharedBias = <
  I extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number
>(
  params: VitParams<I, P, C, F, H, R, T>,
  index: Block.RelativeIndex<T> | undefined
): Tensor<[H, T, T]> | undefined =>
  params.rel_pos_bias === undefined || index === undefined
    ? undefined
    : Attention.relativeBias(params.rel_pos_bias.relative_position_bias_table, index)

/** The class token before patches, with absolute positions: `[B, N, C]` to `[B, N+1, C]`. */
export const withClassToken = <
  B extends number,
  I extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  N extends number
>(
  params: VitParams<I, P, C, F, H, R, NoInfer<Dim.Plus<N, 1>>>,
  patches: Tensor<[B, N, C]>
): Tensor<[B, Dim.Plus<N, 1>, C]> => {
  const tokens = Tokens.prepend(Tokens.repeat(params.cls_token, patches.shape[0]), patches)
  return params.pos_embed === undefined ? tokens : Elementwise.addToSamples(tokens, params.pos_embed)
}

/** The output of every block, in order, `[B, T, C]` each. */
export const blocks = <
  B extends number,
  I extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  T extends number
>(
  params: VitParams<I, P, C, F, H, R, T>,
  tokens: Tensor<[B, T, C]>,
  { dropPath, epsilon, heads, index }: Context<B, T, H>
): ReadonlyArray<Tensor<[B, T, C]>> => {
  const bias = sharedBias(params, index)
  const outputs: Array<Tensor<[B, T, C]>> = []
  for (const [place, block] of params.blocks.entries()) {
    const input = outputs.at(-1) ?? tokens
    outputs.push(Block.forward(block, input, { heads, bias, index, epsilon, dropPath: dropPath?.[place] }))
  }
  return outputs
}

/** The last block's output for images `[B, I, Y, X]`, without any final norm: `[B, N+1, C]`. */
export const forward = <
  B extends number,
  I extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number
>(
  params: VitParams<I, P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>>,
  images: Tensor<[B, I, Y, X]>,
  context: Context<B, Dim.Plus<Dim.Patches<Y, X, P>, 1>, H>
): Tensor<[B, Dim.Plus<Dim.Patches<Y, X, P>, 1>, C]> => {
  const tokens = withClassToken(params, Tokens.patchEmbed(images, params.patch_embed.proj))
  return blocks(params, tokens, context).at(-1) ?? tokens
}
