/**
 * The inference of a segmenter on windows of images. Logits stay as small as the head makes them: those of 150 classes at the size
 * of the image would take a hundred times the memory.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearHead, Vit, WindowLogits } from "patchword/nn"
 *
 * const sizes = {
 *   ...Vit.dims({ image: 64, patch: 8, width: 96, heads: 3 }),
 *   hidden: 384,
 *   relativeRows: 228,
 *   depth: 4,
 *   taps: [1, 2, 3, 4],
 *   absolutePositions: false,
 *   relativePositions: "perBlock",
 *   qkvBias: true,
 *   layerScale: 0.1,
 *   classes: 10
 * } as const
 * const { batch } = WindowLogits.inference(sizes, 2, LinearHead.make(sizes))
 * assert.deepStrictEqual(batch.images.shape, [2, 3, 64, 64])
 * ```
 */
import * as FeatureMap from "../../shapes/maps/FeatureMap.ts"
import type { Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type * as PatchGrid from "../blocks/PatchGrid.ts"
import type * as Head from "./Head.ts"
import * as Norms from "./Norms.ts"
import * as Segmenter from "./Segmenter.ts"
import * as SegmentStep from "./SegmentStep.ts"

/** Makes the inference of logits `[B, K, H, W]` of standardised windows, at the resolution of the head. */
export const inference = <B extends number, const N extends Segmenter.Sizes, Q extends Head.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  head: Segmenter.HeadOf<N, Q>
): Inference<
  SegmentStep.Weights<N, Q>,
  { readonly images: PatchGrid.Images<B, N> },
  { readonly logits: Tensor<[B, N["classes"], number, number]> }
> => {
  const { batch, weights } = SegmentStep.logits<B, N, Q>(sizes, batchSize, head)
  return {
    name: "window logits",
    weights,
    batch,
    run: ({ parameters, running }, { images }) => {
      const { main } = Segmenter.forward<B, N, Q>(head, parameters, images, sizes, { norms: Norms.evaluating, running })
      return { logits: FeatureMap.channelsFirst(main) }
    }
  }
}
