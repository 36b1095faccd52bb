/**
 * The pixel decoder: a small transformer that draws images from codes. Each code becomes a token by a projection of its vector
 * in the codebook, which stays as it is. Behind the blocks, a linear layer makes the pixels of each patch.
 *
 * It has the shape of the tokenizer's decoder (`Vqkd`), with pixels in place of the teacher's features.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PixelDecoder, Vit } from "patchword/nn"
 *
 * const { head, patch_embed: embed } = PixelDecoder.spec({
 *   ...Vit.dims({ image: 224, patch: 16, width: 512, heads: 16 }),
 *   hidden: 2048,
 *   depth: 8,
 *   codes: 8192,
 *   codeWidth: 32
 * })
 * assert.deepStrictEqual(embed.proj.weight.shape, [512, 32, 1, 1])
 * assert.deepStrictEqual(head.weight.shape, [768, 512])
 * ```
 */
import { asGrid, lookup } from "../../shapes/Codes.ts"
import * as Dim from "../../shapes/Dim.ts"
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { asLinear } from "../../shapes/Tokens.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as VitParams from "../blocks/VitParams.ts"
import * as Vqkd from "../tokenizer/Vqkd.ts"

/** The sizes of a pixel decoder and of the codebook. */
export interface Sizes extends VitParams.AbsoluteSizes {
  get codes(): number
  set codes(_: never)
  get codeWidth(): number
  set codeWidth(_: never)
  readonly depth: number
}

/** The trunk sizes, whose input is one code for each patch. */
export interface Trunk<N extends Sizes> {
  readonly channels: N["codeWidth"]
  readonly patch: 1
  readonly patches: PatchGrid.Patches<N>
  readonly width: N["width"]
  readonly hidden: N["hidden"]
  readonly heads: N["heads"]
  readonly relativeRows: 1
}

/** The number of values of a patch, three for each pixel. */
export type Values<N extends Sizes> = Dim.Mul<3, Dim.Mul<N["patch"], N["patch"]>>

/** The number of codes of `B` images. */
export type Vectors<B extends number, N extends Sizes> = Dim.Mul<B, PatchGrid.Patches<N>>

/** The vectors of the codes, which the decoder does not change. */
export type Codebook<N extends Sizes> = Tensor<[N["codes"], N["codeWidth"]]>

/** The parameters of a pixel decoder. */
export interface PixelDecoderParams<in out N extends Sizes> extends Vqkd.TrunkParams<Trunk<N>> {
  readonly head: LinearParams<N["width"], Values<N>>
}

/** Returns the number of values of a patch. */
export const values = <N extends Sizes>(sizes: Readonly<N>): Values<N> =>
  Dim.mul(3, Dim.mul<N["patch"], N["patch"]>(sizes.patch, sizes.patch))

/**
 * Draws the patches of images from their codes `[B·N]`: standardised values `[B, N, 3·P·P]` in the order channel, row, column.
 */
export const forward = <B extends number, const N extends Sizes>(
  sizes: Readonly<N>,
  params: PixelDecoderParams<N>,
  codebook: Codebook<N>,
  codes: Tensor<[Vectors<B, N>], "int32">,
  batchSize: B
): Tensor<[B, PatchGrid.Patches<N>, Values<N>]> => {
  const grid = asGrid<B, PatchGrid.Patches<N>>(codes, batchSize, PatchGrid.patches(sizes))
  const vectors = lookup<[B, PatchGrid.Patches<N>], N["codes"], N["codeWidth"]>(codebook, grid)
  const trunk: Vqkd.TrunkParams<Trunk<N>> = params
  const tokens = Vqkd.through<B, Trunk<N>>(trunk, linear(vectors, asLinear(trunk.patch_embed.proj)), sizes.heads)
  return linear(tokens, params.head)
}

/** Specifies the parameters of a pixel decoder. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): Parameter.ParametersOf<PixelDecoderParams<N>> => {
  const { codeWidth, depth, heads, hidden, width } = sizes
  const trunk: Trunk<N> = {
    channels: codeWidth,
    patch: 1,
    patches: PatchGrid.patches(sizes),
    width,
    hidden,
    heads,
    relativeRows: 1
  }
  const kind = { depth, absolutePositions: true, relativePositions: "none", qkvBias: true, layerScale: 0 } as const
  const all = values(sizes)
  return {
    ...VitParams.spec(trunk, kind, Parameter.finetuning),
    fc_norm: BlockParams.norm(width),
    head: { weight: Parameter.normal([all, width], Parameter.finetuning), bias: Parameter.zeros([all]) }
  }
}
