/**
 * Inferences of a transformer on standardised images: pooled features, patch tokens, attention. The backbone that `PretrainStep` trains
 * and the classifier that `FinetuneStep` trains have the same ones.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PretrainStep, Vit, VitInference } from "patchword/nn"
 *
 * const sizes = {
 *   ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
 *   hidden: 16,
 *   relativeRows: 12,
 *   depth: 2,
 *   absolutePositions: false,
 *   relativePositions: "perBlock",
 *   qkvBias: true,
 *   layerScale: 0.1,
 *   codes: 32,
 *   aggregation: null
 * } as const
 * const { batch } = VitInference.patchFeatures(PretrainStep.model(sizes), 64)
 * assert.deepStrictEqual(batch.images.shape, [64, 3, 16, 16])
 * ```
 */
import { layerNorm } from "../../shapes/Normalization.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchTokens } from "../../shapes/Tokens.ts"
import * as Block from "./Block.ts"
import * as ClassAttention from "./ClassAttention.ts"
import * as PatchGrid from "./PatchGrid.ts"
import * as Pooling from "./Pooling.ts"
import * as Vit from "./Vit.ts"
import type * as VitParams from "./VitParams.ts"

/** The parameters of a transformer with the norms that it has: `norm` for its tokens, `fc_norm` for their mean. */
export type Params<N extends VitParams.Network> = VitParams.VitParams<VitParams.Encoder<N>> & Pooling.Norms<N["width"]>

/** A transformer: its sizes, and the specification of its parameters. `PretrainStep.model` and `FinetuneStep.model` make it. */
export interface Model<in out N extends VitParams.Network, in out P> {
  readonly sizes: Readonly<N>
  readonly parameters: SpecOf<P>
}

/** An inference on standardised images. */
export type VitInference<B extends number, N extends VitParams.Network, P, O> = Inference<
  { readonly parameters: P },
  { readonly images: PatchGrid.Images<B, N> },
  O
>

const of = <B extends number, N extends VitParams.Network, P extends Params<N>, O>(
  name: string,
  { parameters, sizes }: Model<N, P>,
  batchSize: B,
  run: (parameters: P, images: PatchGrid.GivenImages<B, N>) => O
): VitInference<B, N, P, O> => ({
  name,
  weights: { parameters } as SpecOf<{ readonly parameters: P }>,
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => run(parameters, images)
})

/**
 * Makes the inference of one vector per standardised image, `[B, C]`: the mean patch token or the class token of the last block, with the
 * final norm or without. A classifier of mean tokens has no norm for its class token, so that token stays as it is.
 */
export const features = <B extends number, const N extends VitParams.Network, P extends Params<N>>(
  model: Model<N, P>,
  batchSize: B,
  options: Pooling.Options
): VitInference<B, N, P, { readonly features: Tensor<[B, N["width"]]> }> =>
  of("features", model, batchSize, (params: P, images) => {
    const tokens = Vit.tokensOf(model.sizes, params, images)
    const norms = options.finalNorm ? params : {}
    return {
      features: Pooling.pool(tokens, PatchGrid.patches(model.sizes), options.pooling, norms, model.sizes.epsilon)
    }
  })

/** Makes the inference of the pooled tokens of the last blocks of standardised images, in both ways, each `[B, C]`. */
export const blockFeatures = <B extends number, const N extends VitParams.Network, P extends Params<N>>(
  model: Model<N, P>,
  batchSize: B,
  options: Pooling.BlockOptions
): VitInference<B, N, P, Pooling.Blocks<B, N["width"]>> =>
  of("block features", model, batchSize, (params: P, images) => {
    const outputs = Vit.blocksOf(model.sizes, params, images)
    const norms = options.finalNorm ? params : {}
    return Pooling.poolBlocks(outputs, PatchGrid.patches(model.sizes), options.blocks, norms, model.sizes.epsilon)
  })

/**
 * Makes the inference of patch tokens of standardised images after the last block, `[B, N, C]`, with the final norm for tokens where there is
 * one: a classifier of mean tokens has none.
 */
export const patchFeatures = <B extends number, const N extends VitParams.Network, P extends Params<N>>(
  model: Model<N, P>,
  batchSize: B
): VitInference<B, N, P, { readonly target: Tensor<[B, PatchGrid.Patches<N>, N["width"]]> }> =>
  of("patch features", model, batchSize, (params: P, images) => {
    const tokens = Vit.tokensOf(model.sizes, params, images)
    const normed = params.norm === undefined
      ? tokens
      : layerNorm(tokens, params.norm, model.sizes.epsilon ?? Block.EPSILON)
    return { target: patchTokens(normed, PatchGrid.patches(model.sizes)) }
  })

/** Makes the inference of the class token's attention in a block, `[B, H, N+1]`, for standardised images. */
export const attention = <B extends number, const N extends VitParams.Network, P extends Params<N>>(
  model: Model<N, P>,
  batchSize: B,
  block: number
): VitInference<B, N, P, ClassAttention.ClassAttention<B, N>> =>
  of("attention", model, batchSize, (params: P, images) => ({
    attention: ClassAttention.ofImages(model.sizes, params, images, block)
  }))
