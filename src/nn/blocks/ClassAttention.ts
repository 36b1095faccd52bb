/**
 * The attention of the class token: how it weighs the tokens of an image, in each head of a block. The blocks compute attention as
 * one fused operation, which returns no weights. Here they are computed from queries, keys and the relative position bias.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ClassAttention, Parameter, Vit, VitParams } from "patchword/nn"
 * import { Tensor, Tree } from "patchword/shapes"
 *
 * const sizes = {
 *   ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
 *   hidden: 16,
 *   relativeRows: 12,
 *   depth: 2,
 *   absolutePositions: false,
 *   relativePositions: "perBlock",
 *   qkvBias: true,
 *   layerScale: 0
 * } as const
 * const spec = VitParams.spec(VitParams.encoder(sizes), sizes, Parameter.finetuning)
 * const params = Tree.map<VitParams.VitParams<VitParams.Encoder<typeof sizes>>>(spec, ({ shape }) => Tensor.zeros(shape))
 * const attention = ClassAttention.ofImages(sizes, params, Tensor.zeros([3, 3, 16, 16]), 1)
 * assert.deepStrictEqual(attention.shape, [3, 2, 5])
 * ```
 */
import { firstTokenWeights } from "../../shapes/Attention.ts"
import type * as Dim from "../../shapes/Dim.ts"
import { layerNorm } from "../../shapes/Normalization.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchEmbed } from "../../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import type { TokensOf } from "./BlockParams.ts"
import type * as PatchGrid from "./PatchGrid.ts"
import * as Vit from "./Vit.ts"
import type { AbsoluteSizes, Encoder, Network, Trunk, VitParams } from "./VitParams.ts"

/** The attention of the class token in each head: over itself first, and then over the patches, row-major. A row sums to 1. */
export interface ClassAttention<in out B extends number, in out N extends AbsoluteSizes> {
  readonly attention: Tensor<[B, N["heads"], Dim.Plus<PatchGrid.Patches<N>, 1>]>
}

/** Computes the class token's attention in the block at `place`, counted from 0, for embedded patches: `[B, H, N+1]`. */
export const ofPatches = <B extends number, N extends Trunk>(
  params: VitParams<N>,
  patches: Tensor<[B, NoInfer<N["patches"]>, NoInfer<N["width"]>]>,
  place: number,
  context: Vit.Context<B, N>
): Tensor<[B, N["heads"], TokensOf<N>]> => {
  const { blocks } = params
  const block = blocks[place]
  if (block === undefined) {
    throw new RangeError(`attention: there is no block ${place}, only 0 to ${blocks.length - 1}`)
  }
  const { epsilon, heads, index } = context
  const x = Vit.forward({ ...params, blocks: blocks.slice(0, place) }, patches, context)
  const { bias, k, q } = Block.headsOf(block.attn, layerNorm(x, block.norm1, epsilon ?? Block.EPSILON), {
    heads,
    bias: Vit.sharedBias(params, index),
    index
  })
  return firstTokenWeights(q, k, bias)
}

/** Computes the class token's attention in the block at `place`, counted from 0, for images: `[B, H, N+1]`. */
export const ofImages = <B extends number, const N extends Network>(
  sizes: Readonly<N>,
  params: VitParams<Encoder<N>>,
  images: PatchGrid.GivenImages<B, N>,
  place: number
): Tensor<[B, N["heads"], TokensOf<Encoder<N>>]> =>
  ofPatches(params, patchEmbed(images, params.patch_embed.proj), place, Vit.contextOf(sizes))
