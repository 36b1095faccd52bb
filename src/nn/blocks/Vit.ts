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
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import * as Attention from "../../shapes/Attention.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as Elementwise from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { ShapeError } from "../../shapes/ShapeError.ts"
import type { SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tokens from "../../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import type * as DropPath from "./DropPath.ts"
import * as Parameter from "./Parameter.ts"

/** An image's height and width in pixels. */
export interface Sides {
  get 0(): number
  set 0(_: never)
  get 1(): number
  set 1(_: never)
}

/** Images, and the squares that they are cut into. */
export interface Cut {
  get image(): Sides
  set image(_: never)
  get patch(): number
  set patch(_: never)
}

/** Colour images, `[B, 3, Y, X]`. */
export type Images<B extends number, N extends Cut> = Tensor<[B, 3, N["image"][0], N["image"][1]]>

/** Colour images as an argument: parameters say what `N` is. */
export type GivenImages<B extends number, N extends Cut> = Tensor<
  [B, 3, NoInfer<N["image"][0]>, NoInfer<N["image"][1]>]
>

/** How many rows of patches an image makes. */
export type Rows<N extends Cut> = Dim.Div<N["image"][0], N["patch"]>

/** How many patches stand in a row. */
export type Columns<N extends Cut> = Dim.Div<N["image"][1], N["patch"]>

/** How many patches an image makes. */
export type Patches<N extends Cut> = Dim.Mul<Rows<N>, Columns<N>>

const sides = <N extends Cut>({ image }: Readonly<N>): Readonly<N["image"]> => image

/** How many rows of patches an image makes. */
export const rows = <N extends Cut>(sizes: Readonly<N>): Rows<N> => Dim.div(sides(sizes)[0], sizes.patch)

/** How many patches stand in a row. */
export const columns = <N extends Cut>(sizes: Readonly<N>): Columns<N> => Dim.div(sides(sizes)[1], sizes.patch)

/** How many patches an image makes. */
export const patches = <N extends Cut>(sizes: Readonly<N>): Patches<N> => Dim.mul(rows(sizes), columns(sizes))

/** Rows and columns of patches. */
export const grid = ({ image, patch }: { readonly image: Readonly<Sides>; readonly patch: number }): Grid => ({
  height: image[0] / patch,
  width: image[1] / patch
})

/** Images in a batch. */
export const images = <B extends number, N extends Cut>(sizes: Readonly<N>, batch: B): SpecOf<Images<B, N>> => {
  const { 0: height, 1: width } = sides(sizes)
  return { shape: [batch, 3, height, width], dtype: "float32" }
}

/** What `dims` is asked for: one side where both are equal. */
export interface Outline {
  readonly image: number | readonly [height: number, width: number]
  readonly patch: number
  readonly width: number
  readonly heads: number
}

type Height<N extends Outline> = N["image"] extends readonly [infer Y extends number, number] ? Y : N["image"] & number
type Width<N extends Outline> = N["image"] extends readonly [number, infer X extends number] ? X : N["image"] & number

type Divisor<A extends number, B extends number, What extends string> = Dim.Div<A, B> extends ShapeError<infer M>
  ? ShapeError<`${What}: ${M}`>
  : B

/** Sizes that have been checked. */
export interface Dims<N extends Outline> {
  readonly image: readonly [height: Height<N>, width: Width<N>]
  readonly patch: N["patch"]
  readonly width: N["width"]
  readonly heads: N["heads"]
  readonly patches: Dim.Patches<Height<N>, Width<N>, N["patch"]>
  readonly tokens: Dim.Plus<Dim.Patches<Height<N>, Width<N>, N["patch"]>, 1>
}

/**
 * Checked sizes: where they are literals, the compiler refuses patches that do not tile the image and heads that do not
 * divide the width; run-time numbers are refused with the same words.
 *
 * @throws ShapeError
 */
export const dims = <const N extends Outline>(
  options: N & {
    readonly patch: Divisor<Height<N>, N["patch"], "image"> & Divisor<Width<N>, N["patch"], "image">
    readonly heads: Divisor<N["width"], N["heads"], "heads">
  }
): Dims<N> => {
  const { heads, patch, width }: Readonly<N> = options
  const sides: Outline["image"] = options.image
  const image = (typeof sides === "number" ? [sides, sides] : sides) as [Height<N>, Width<N>]
  for (const side of image) Dim.divisible("image", side, patch)
  Dim.divisible("heads", width, heads)
  const count = Dim.mul(Dim.div(image[0], patch), Dim.div(image[1], patch))
  return { image, patch, width, heads, patches: count, tokens: Dim.plus(count, 1) }
}

/** The sizes of blocks and of what comes before them: `channels` go in. */
export interface Trunk extends Block.Sizes {
  get channels(): number
  set channels(_: never)
  get patch(): number
  set patch(_: never)
}

/** What comes before and between the blocks. */
export interface VitParams<in out N extends Trunk> {
  readonly cls_token: Tensor<[1, 1, N["width"]]>
  readonly pos_embed?: Tensor<[1, Block.TokensOf<N>, N["width"]]>
  readonly patch_embed: { readonly proj: Tokens.PatchParams<N["channels"], N["patch"], N["width"]> }
  readonly rel_pos_bias?: { readonly relative_position_bias_table: Tensor<[N["relativeRows"], N["heads"]]> }
  readonly blocks: ReadonlyArray<Block.BlockParams<N>>
}

/** What a forward pass needs beside parameters and images. */
export interface Context<B extends number, N extends Trunk> {
  readonly heads: N["heads"]
  readonly index?: Block.RelativeIndex<Block.TokensOf<N>> | undefined
  /** One entry per block; none when nothing is dropped. */
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>> | undefined
  /** Added to the variance in layer norms; `Block.EPSILON` when absent. */
  readonly epsilon?: number | undefined
}

/** The bias that all blocks share, if there is one. */
export const sharedBias = <N extends Trunk>(
  { rel_pos_bias: shared }: VitParams<N>,
  index: Block.RelativeIndex<NoInfer<Block.TokensOf<N>>> | undefined
) => shared && index && Attention.relativeBias(shared.relative_position_bias_table, index)

/** The class token before patches, with absolute positions. */
export const withClassToken = <B extends number, N extends Trunk>(
  { cls_token, pos_embed }: VitParams<N>,
  patches: Tensor<[B, NoInfer<N["patches"]>, NoInfer<N["width"]>]>
): Block.Sequence<B, N> => {
  const tokens = Tokens.prepend(Tokens.repeat(cls_token, patches.shape[0]), patches)
  return pos_embed === undefined ? tokens : Elementwise.addToSamples(tokens, pos_embed)
}

/** The output of every block, in order. */
export const blocks = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  tokens: Block.Given<B, N>,
  { dropPath, epsilon, heads, index }: Context<B, N>
): ReadonlyArray<Block.Sequence<B, N>> => {
  const bias = sharedBias(params, index)
  const outputs: Array<Block.Sequence<B, N>> = []
  for (const [place, block] of params.blocks.entries()) {
    const input = outputs.at(-1) ?? tokens
    outputs.push(Block.forward(block, input, { heads, bias, index, epsilon, dropPath: dropPath?.[place] }))
  }
  return outputs
}

/** The last block's output for patches, without any final norm. */
export const forward = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  patches: Tensor<[B, NoInfer<N["patches"]>, NoInfer<N["width"]>]>,
  context: Context<B, N>
): Block.Sequence<B, N> => {
  const tokens = withClassToken(params, patches)
  return blocks(params, tokens, context).at(-1) ?? tokens
}

/** Whose tables bias attention by relative position: one of all blocks, one of each block, or both added up. */
export type RelativePositions = "none" | "shared" | "perBlock" | "both"

/** Whether every block has a table of its own. */
export const ownTable = (positions: RelativePositions): boolean => positions === "perBlock" || positions === "both"

/** What kind of transformer it is. */
export interface Kind {
  readonly depth: number
  readonly absolutePositions: boolean
  readonly relativePositions: RelativePositions
  readonly qkvBias: boolean
  readonly layerScale: number
  /** Added to the variance in layer norms; `Block.EPSILON` when absent. */
  readonly epsilon?: number | undefined
}

/** The parameters of a transformer. */
export const spec = <const N extends Trunk>(
  trunk: Readonly<N>,
  { absolutePositions, depth, layerScale, qkvBias, relativePositions }: Kind,
  regime: Parameter.Regime
): Parameter.ParametersOf<VitParams<N>> => {
  const { channels, heads, patch, patches, relativeRows, width } = trunk
  const fanIn = channels * patch * patch
  return {
    cls_token: Parameter.normal([1, 1, width], regime),
    ...(absolutePositions ? { pos_embed: Parameter.normal([1, Dim.plus(patches, 1), width], regime) } : {}),
    patch_embed: {
      proj: regime.name === "pretraining"
        ? { weight: Parameter.normal([width, channels, patch, patch], regime), bias: Parameter.zeros([width]) }
        : {
          weight: Parameter.byFanIn([width, channels, patch, patch], fanIn),
          bias: Parameter.byFanIn([width], fanIn)
        }
    },
    ...(relativePositions === "shared" || relativePositions === "both"
      ? { rel_pos_bias: { relative_position_bias_table: Parameter.zeros([relativeRows, heads]) } }
      : {}),
    blocks: Array.from(
      { length: depth },
      (_, place) => Block.spec(trunk, { ownTable: ownTable(relativePositions), qkvBias, layerScale, regime, place })
    )
  }
}

/** The sizes of a transformer over colour images. */
export interface Sizes extends Cut {
  get width(): number
  set width(_: never)
  get heads(): number
  set heads(_: never)
  get hidden(): number
  set hidden(_: never)
  get relativeRows(): number
  set relativeRows(_: never)
}

/** A whole network: its sizes and its kind. */
export interface Network extends Sizes, Kind {}

/** The trunk of a transformer over colour images. */
export interface Encoder<N extends Sizes> {
  readonly channels: 3
  readonly patch: N["patch"]
  readonly patches: Patches<N>
  readonly width: N["width"]
  readonly hidden: N["hidden"]
  readonly heads: N["heads"]
  readonly relativeRows: N["relativeRows"]
}

/** The trunk of a transformer over colour images. */
export const encoder = <N extends Sizes>(sizes: Readonly<N>): Encoder<N> => {
  const { heads, hidden, patch, relativeRows, width } = sizes
  return { channels: 3, patch, patches: patches(sizes), width, hidden, heads, relativeRows }
}

/** The rows of a relative-position table for every pair of tokens. */
export const relativeIndex = <N extends Cut>(sizes: Readonly<N>): Block.RelativeIndex<Dim.Plus<Patches<N>, 1>> => {
  const tokens = Dim.plus(patches(sizes), 1)
  return HostTensor.make([tokens, tokens], "int32", RelativePosition.index(grid(sizes)))
}

/** What the sizes and the kind of a network say of its forward pass. */
export const contextOf = <B extends number, N extends Network>(
  sizes: Readonly<N>,
  dropPath?: ReadonlyArray<DropPath.Factors<B>>
): Context<B, Encoder<N>> => {
  const { epsilon, heads } = sizes
  return { heads, index: relativeIndex(sizes), epsilon, dropPath }
}

/** The last block's output for images, without any final norm. */
export const tokensOf = <B extends number, N extends Network>(
  sizes: Readonly<N>,
  params: VitParams<Encoder<N>>,
  images: GivenImages<B, N>
): Block.Sequence<B, Encoder<N>> => {
  const patches = Tokens.patchEmbed(images, params.patch_embed.proj)
  return forward(params, patches, contextOf(sizes))
}
