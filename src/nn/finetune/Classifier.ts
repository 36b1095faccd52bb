/**
 * The transformer with a classification head for fine-tuning. The head is on the mean of the patch tokens or on the class token
 * (`modeling_finetune.py`, `VisionTransformer`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Classifier, Vit } from "patchword/nn"
 *
 * const { fc_norm, head } = Classifier.spec({
 *   ...Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
 *   hidden: 3072,
 *   relativeRows: 732,
 *   depth: 12,
 *   absolutePositions: false,
 *   relativePositions: "perBlock",
 *   qkvBias: true,
 *   layerScale: 0.1,
 *   pooling: "mean",
 *   headScale: 0.001,
 *   classes: 1000
 * })
 * assert.deepStrictEqual(fc_norm?.weight.shape, [768])
 * assert.deepStrictEqual(head.weight.shape, [1000, 768])
 * ```
 */
import { linear, type LinearParams } from "../../shapes/Linear.ts"
import type { NormParams } from "../../shapes/Normalization.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchEmbed } from "../../shapes/Tokens.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import type * as PatchGrid from "../blocks/PatchGrid.ts"
import { pool, type Pooling } from "../blocks/Pooling.ts"
import * as Vit from "../blocks/Vit.ts"
import * as VitParams from "../blocks/VitParams.ts"

/** The sizes of a classifier over `classes`, and its variant. */
export interface Sizes extends VitParams.Network {
  get classes(): number
  set classes(_: never)
  readonly pooling: Pooling
  /** A factor of the head's initial weights. */
  readonly headScale: number
}

/** The parameters of a classifier: `fc_norm` for mean pooling, `norm` for the class token. */
export interface ClassifierParams<in out N extends Sizes> extends VitParams.VitParams<VitParams.Encoder<N>> {
  readonly norm?: NormParams<N["width"]>
  readonly fc_norm?: NormParams<N["width"]>
  readonly head: LinearParams<N["width"], N["classes"]>
}

/** Computes logits of images. */
export const forward = <B extends number, N extends Sizes>(
  params: ClassifierParams<N>,
  images: PatchGrid.GivenImages<B, N>,
  context: Vit.Context<B, VitParams.Encoder<N>>
): Tensor<[B, N["classes"]]> => {
  const network: VitParams.VitParams<VitParams.Encoder<N>> = params
  const patches = patchEmbed(images, network.patch_embed.proj)
  const tokens = Vit.forward(network, patches, context)
  const pooling = params.fc_norm === undefined ? "cls" : "mean"
  return linear(pool(tokens, patches.shape[1], pooling, params, context.epsilon), params.head)
}

/** Specifies the parameters of a classifier. */
export const spec = <const N extends Sizes>(sizes: Readonly<N>): Parameter.ParametersOf<ClassifierParams<N>> => {
  const { classes, headScale, pooling, width } = sizes
  const regime = Parameter.finetuning
  return {
    ...VitParams.spec(VitParams.encoder(sizes), sizes, regime),
    ...(pooling === "mean" ? { fc_norm: BlockParams.norm(width) } : { norm: BlockParams.norm(width) }),
    head: { weight: Parameter.normal([classes, width], regime, headScale), bias: Parameter.zeros([classes]) }
  }
}
