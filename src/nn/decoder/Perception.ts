/**
 * The perceptual loss of a pixel decoder: a distance between the features that a frozen network has of two batches of images.
 * Ours is the tokenizer's encoder. A decoder takes any value of this type.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Perception, Vit } from "patchword/nn"
 * import { Tree } from "patchword/shapes"
 *
 * const dims = Vit.dims({ image: 32, patch: 8, width: 16, heads: 2 })
 * const codes = { codes: 8, codeWidth: 4, teacherWidth: 6 } as const
 * const { weights } = Perception.ofTokenizer({ ...dims, ...codes, hidden: 32, depth: 1, decoderDepth: 1, qkvBias: true })
 * assert.ok(Tree.leaves(weights).every(([name]) => name.startsWith("encoder.")))
 * ```
 */
import { scale, shift, stopGradient } from "../../shapes/Elementwise.ts"
import { cosine } from "../../shapes/Normalization.ts"
import { mean } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import type * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vqkd from "../tokenizer/Vqkd.ts"

/** A frozen network and the distance of its features, for images of shape `I`. */
export interface Perception<I extends Shape> {
  /** The specification of its weights, under their official names. */
  readonly weights: object
  /**
   * Computes the distance of drawn images from true ones, `[B, 3, Y, X]` with values from 0 to 1. The gradient passes to the
   * drawn images alone.
   */
  distance(weights: object, drawn: Tensor<I>, truth: Tensor<I>): Tensor<[]>
}

/** Compares the patch tokens of a tokenizer's encoder: one minus their mean cosine similarity. */
export const ofTokenizer = <B extends number, const N extends Vqkd.Sizes>(
  sizes: Readonly<N>
): Perception<PatchGrid.Images<B, N>["shape"]> => ({
  weights: { encoder: Vqkd.spec(sizes).encoder },
  distance: (weights, drawn, truth) => {
    const params = weights as Vqkd.EncoderParams<N>
    const features = (images: PatchGrid.Images<B, N>) => Vqkd.encodeTokens<B, N>(params, images, sizes.heads)
    return shift(scale(mean(cosine(features(drawn), stopGradient(features(truth)))), -1), 1)
  }
})
