/**
 * The inference of the features that a linear head sees: the patch tokens of a segmenter's last tap, without a norm or
 * behind it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PatchFeatures, Vit } from "patchword/nn"
 *
 * const { batch } = PatchFeatures.inference(
 *   {
 *     ...Vit.dims({ image: 64, patch: 8, width: 96, heads: 3 }),
 *     hidden: 384,
 *     relativeRows: 228,
 *     depth: 4,
 *     taps: [1, 2, 3, 4],
 *     absolutePositions: false,
 *     relativePositions: "perBlock",
 *     qkvBias: true,
 *     layerScale: 0.1,
 *     classes: 10
 *   },
 *   2
 * )
 * assert.deepStrictEqual(batch.images.shape, [2, 3, 64, 64])
 * ```
 */
import * as Convolution from "../../shapes/Convolution.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as VitParams from "../blocks/VitParams.ts"
import * as LinearHead from "./LinearHead.ts"
import * as SegmentationBackbone from "./SegmentationBackbone.ts"
import type * as Segmenter from "./Segmenter.ts"

/** The weights of the inference. */
export interface Weights<N extends Segmenter.Sizes> {
  readonly parameters: { readonly backbone: VitParams.VitParams<VitParams.Encoder<N>> }
}

/** Makes the inference of features `[B, C, H, W]` of standardised images, one pixel for each patch. */
export const inference = <B extends number, const N extends Segmenter.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Pick<LinearHead.Options, "finalNorm"> = {}
): Inference<
  Weights<N>,
  { readonly images: PatchGrid.Images<B, N> },
  { readonly features: Tensor<[B, N["width"], PatchGrid.Rows<N>, PatchGrid.Columns<N>]> }
> => {
  const backbone: SpecOf<Weights<N>["parameters"]["backbone"]> = VitParams.spec(
    VitParams.encoder(sizes),
    sizes,
    Parameter.finetuning
  )
  return {
    name: "patch features",
    weights: { parameters: { backbone } },
    batch: { images: PatchGrid.images(sizes, batchSize) },
    run: ({ parameters }, { images }) => {
      const { epsilon, width } = sizes
      const last = SegmentationBackbone.tapTokens<B, N>(parameters.backbone, images, sizes, { epsilon })[3]
      const seen = options.finalNorm === true ? LinearHead.finalNorm(last, width, epsilon) : last
      return { features: Convolution.map(seen, PatchGrid.rows(sizes), PatchGrid.columns(sizes)) }
    }
  }
}
