/**
 * The vision transformer, the base of all networks: patches, a class token, positions and blocks.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Vit } from "patchword/nn"
 *
 * const base = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
 * const tokens: 197 = base.tokens
 * assert.strictEqual(tokens, 197)
 * const wide = Vit.dims({ image: [224, 448], patch: 16, width: 768, heads: 12 })
 * assert.strictEqual(wide.patches, 14 * 28)
 * ```
 */
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import { relativeBias } from "../../shapes/Attention.ts"
import * as Dim from "../../shapes/Dim.ts"
import { addToSamples } from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { ShapeError } from "../../shapes/ShapeError.ts"
import { part } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchEmbed, prepend, repeat } from "../../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import type { Given, Sequence, TokensOf } from "./BlockParams.ts"
import type * as DropPath from "./DropPath.ts"
import * as PatchGrid from "./PatchGrid.ts"
import type { Encoder, Network, Trunk, VitParams } from "./VitParams.ts"

/** The sizes that `dims` checks. A single number for `image` is both sides. */
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

/** Checked sizes. */
export interface Dims<N extends Outline> {
  readonly image: readonly [height: Height<N>, width: Width<N>]
  readonly patch: N["patch"]
  readonly width: N["width"]
  readonly heads: N["heads"]
  readonly patches: Dim.Patches<Height<N>, Width<N>, N["patch"]>
  readonly tokens: Dim.Plus<Dim.Patches<Height<N>, Width<N>, N["patch"]>, 1>
}

/**
 * Checks sizes. For literals, the compiler refuses patches that do not tile the image and heads that do not divide the width.
 * Run-time numbers are refused with the same messages.
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

/** Patches as an argument. `N` is inferred from the parameters only. */
type Patches<B extends number, N extends Trunk> = Tensor<[B, NoInfer<N["patches"]>, NoInfer<N["width"]>]>

/** The inputs of a forward pass besides parameters and images. */
export interface Context<B extends number, N extends Trunk> {
  readonly heads: N["heads"]
  readonly index?: Block.RelativeIndex<TokensOf<N>> | undefined
  /** Drop-path factors, one entry per block. Absent if nothing is dropped. */
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>> | undefined
  /** The epsilon of layer norms. `Block.EPSILON` by default. */
  readonly epsilon?: number | undefined
}

/** Computes the bias that all blocks share, if there is one. */
export const sharedBias = <N extends Trunk>(
  params: VitParams<N>,
  index: Block.RelativeIndex<NoInfer<TokensOf<N>>> | undefined
) => params.rel_pos_bias && index && relativeBias(params.rel_pos_bias.relative_position_bias_table, index)

/** Puts the class token before the patches and adds absolute positions. */
export const withClassToken = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  patches: Patches<B, N>
): Sequence<B, N> => {
  const { cls_token, pos_embed } = params
  const tokens = prepend(repeat(cls_token, patches.shape[0]), patches)
  return pos_embed === undefined ? tokens : addToSamples(tokens, pos_embed)
}

/** Returns the output of every block, in order. */
export const blocks = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  tokens: Given<B, N>,
  context: Context<B, N>
): ReadonlyArray<Sequence<B, N>> => {
  const { dropPath, epsilon, heads, index } = context
  const bias = sharedBias(params, index)
  const outputs: Array<Sequence<B, N>> = []
  for (const [place, block] of params.blocks.entries()) {
    const x = outputs.at(-1) ?? tokens
    outputs.push(Block.forward(block, x, { heads, bias, index, epsilon, dropPath: dropPath?.[place] }))
  }
  return outputs
}

/** Returns the last block's output for patches, without a final norm. */
export const forward = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  patches: Patches<B, N>,
  context: Context<B, N>
): Sequence<B, N> => {
  const tokens = withClassToken(params, patches)
  return blocks(params, tokens, context).at(-1) ?? tokens
}

/** Returns the rows of a relative position table for every pair of tokens. */
export const relativeIndex = <N extends PatchGrid.Sizes>(
  sizes: Readonly<N>
): Block.RelativeIndex<Dim.Plus<PatchGrid.Patches<N>, 1>> => {
  const tokens = Dim.plus(PatchGrid.patches(sizes), 1)
  return part(() => HostTensor.make([tokens, tokens], "int32", RelativePosition.index(PatchGrid.grid(sizes))))
}

/** Makes the context of a forward pass from the sizes and variant of a network. */
export const contextOf = <B extends number, N extends Network>(
  sizes: Readonly<N>,
  dropPath?: ReadonlyArray<DropPath.Factors<B>>
): Context<B, Encoder<N>> => {
  const { epsilon, heads } = sizes
  return { heads, index: relativeIndex(sizes), epsilon, dropPath }
}

/** Returns the last block's output for images, without a final norm. */
export const tokensOf = <B extends number, N extends Network>(
  sizes: Readonly<N>,
  params: VitParams<Encoder<N>>,
  images: PatchGrid.GivenImages<B, N>
): Sequence<B, Encoder<N>> => {
  const patches = patchEmbed(images, params.patch_embed.proj)
  return forward(params, patches, contextOf(sizes))
}

/** Returns the output of every block for images, in order, without a final norm. */
export const blocksOf = <B extends number, const N extends Network>(
  sizes: Readonly<N>,
  params: VitParams<Encoder<N>>,
  images: PatchGrid.GivenImages<B, N>
): ReadonlyArray<Sequence<B, Encoder<N>>> => {
  const patches = patchEmbed(images, params.patch_embed.proj)
  return blocks(params, withClassToken(params, patches), contextOf(sizes))
}
