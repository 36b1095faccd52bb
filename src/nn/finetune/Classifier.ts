/**
 * The transformer with a classifier on top, as it is fine-tuned: on the mean of the patch tokens or on the class token
 * (`modeling_finetune.py`, `VisionTransformer`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Classifier } from "patchword/nn"
 * import { Tensor } from "patchword/shapes"
 *
 * const norm = { weight: Tensor.fill([8], 1), bias: Tensor.zeros([8]) }
 * const pooled = Classifier.pool({ fc_norm: norm }, Tensor.zeros([2, 5, 8]), 4)
 * assert.deepStrictEqual(pooled.shape, [2, 8])
 * ```
 */
import type * as Dim from "../../shapes/Dim.ts"
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import { layerNorm, type NormParams } from "../../shapes/Normalization.ts"
import { meanTokens } from "../../shapes/Reduction.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { classToken, patchEmbed, patchTokens, squeeze } from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import type * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import * as VitParams from "../blocks/VitParams.ts"

/** The sizes of a classifier over `classes`, and its kind. */
export interface Sizes extends VitParams.Network {
  get classes(): number
  set classes(_: never)
  readonly pooling: "mean" | "cls"
  /** The head's first weights are multiplied by it. */
  readonly headScale: number
}

/** A classifier: `fc_norm` where tokens are averaged, `norm` where the class token is taken. */
export interface ClassifierParams<in out N extends Sizes> extends VitParams.VitParams<VitParams.Encoder<N>> {
  readonly norm?: NormParams<N["width"]>
  readonly fc_norm?: NormParams<N["width"]>
  readonly head: LinearParams<N["width"], N["classes"]>
}

/** One vector per image: tokens `[B, N+1, C]` to `[B, C]`. */
export const pool = <B extends number, N extends number, C extends number>(
  params: { readonly norm?: NormParams<C>; readonly fc_norm?: NormParams<C> },
  tokens: Tensor<[B, NoInfer<Dim.Plus<N, 1>>, C]>,
  patches: N,
  epsilon = Block.EPSILON
): Tensor<[B, C]> => {
  if (params.fc_norm !== undefined) {
    return layerNorm(meanTokens(patchTokens(tokens, patches)), params.fc_norm, epsilon)
  }
  const normed = params.norm === undefined ? tokens : layerNorm(tokens, params.norm, epsilon)
  return squeeze(classToken(normed))
}

/** Logits of images. */
export const forward = <B extends number, N extends Sizes>(
  params: ClassifierParams<N>,
  images: PatchGrid.GivenImages<B, N>,
  context: Vit.Context<B, VitParams.Encoder<N>>
): Tensor<[B, N["classes"]]> => {
  const network: VitParams.VitParams<VitParams.Encoder<N>> = params
  const patches = patchEmbed(images, network.patch_embed.proj)
  const tokens = Vit.forward(network, patches, context)
  return linear(pool(params, tokens, patches.shape[1], context.epsilon), params.head)
}

/** The parameters of a classifier. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): Parameter.ParametersOf<ClassifierParams<N>> => {
  const { classes, headScale, pooling, width } = sizes
  const regime = Parameter.finetuning
  return {
    ...VitParams.spec(VitParams.encoder(sizes), sizes, regime),
    ...(pooling === "mean" ? { fc_norm: BlockParams.norm(width) } : { norm: BlockParams.norm(width) }),
    head: { weight: Parameter.normal([classes, width], regime, headScale), bias: Parameter.zeros([classes]) }
  }
}
