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
 * ```
 */
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

/** The sizes of a transformer over square images. */
export interface Dims<
  I extends number,
  P extends number,
  C extends number,
  H extends number,
  N extends number,
  T extends number
> {
  readonly image: I
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
export const dims = <const I extends number, const P extends number, const C extends number, const H extends number>(
  options: {
    readonly image: I
    readonly patch: P & Divisor<I, P, "image">
    readonly width: C
    readonly heads: H & Divisor<C, H, "heads">
  }
): Dims<I, P, C, H, Dim.Patches<I, I, P>, Dim.Plus<Dim.Patches<I, I, P>, 1>> => {
  const { heads, image, patch, width } = options
  Dim.divisible("image", image, patch)
  Dim.divisible("heads", width, heads)
  const side = Dim.div<I, P>(image, patch)
  const patches = Dim.mul(side, side)
  return { image, patch, width, heads, patches, tokens: Dim.plus(patches, 1) }
}

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
  readonly relativePositions: "none" | "shared" | "perBlock"
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
  const ownTable = options.relativePositions === "perBlock"
  return {
    cls_token: Parameter.normal([1, 1, width], regime),
    ...(options.absolutePositions ? { pos_embed: Parameter.normal([1, tokens, width], regime) } : {}),
    patch_embed: {
      proj: regime.name === "pretraining"
        ? { weight: Parameter.normal(weight, regime), bias: Parameter.zeros([width]) }
        : { weight: Parameter.byFanIn(weight, fanIn), bias: Parameter.byFanIn([width], fanIn) }
    },
    ...(options.relativePositions === "shared"
      ? { rel_pos_bias: { relative_position_bias_table: Parameter.zeros([relativeRows, heads]) } }
      : {}),
    blocks: Array.from({ length: depth }, (_, place) => Block.spec({ ...options, ownTable, place }))
  }
}

/** The rows of a relative-position table for every pair of tokens on a grid of patches. */
export const relativeIndex = <T extends number>(
  grid: { readonly height: number; readonly width: number },
  tokens: T
): Block.RelativeIndex<T> => HostTensor.make([tokens, tokens], "int32", RelativePosition.index(grid))

/** What a forward pass needs beside parameters and images. */
export interface Context<B extends number, T extends number, H extends number> {
  readonly heads: H
  readonly index?: Block.RelativeIndex<T> | undefined
  /** One entry per block; none when nothing is dropped. */
  readonly dropPath?: ReadonlyArray<Block.DropPath<B>> | undefined
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
  { dropPath, heads, index }: Context<B, T, H>
): ReadonlyArray<Tensor<[B, T, C]>> => {
  const bias = sharedBias(params, index)
  const outputs: Array<Tensor<[B, T, C]>> = []
  for (const [place, block] of params.blocks.entries()) {
    const input = outputs.at(-1) ?? tokens
    outputs.push(Block.forward(block, input, { heads, bias, index, dropPath: dropPath?.[place] }))
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
