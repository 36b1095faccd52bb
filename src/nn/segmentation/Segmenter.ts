/**
 * A segmentation network: a transformer and a head on the patch tokens of four of its blocks.
 *
 * Its tensors have the names of mmsegmentation: `backbone.*`, `decode_head.*`, `auxiliary_head.*`. Those that are learned and
 * the running statistics of batch normalisations are two records.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearHead, Segmenter, Vit } from "patchword/nn"
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
 * const { backbone, decode_head } = Segmenter.spec(sizes, LinearHead.make(sizes))
 * assert.strictEqual(backbone.blocks.length, 4)
 * assert.deepStrictEqual(decode_head.conv_seg.bias.shape, [10])
 * ```
 */
import * as FeatureMap from "../../shapes/maps/FeatureMap.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type * as DropPath from "../blocks/DropPath.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as VitParams from "../blocks/VitParams.ts"
import type * as Head from "./Head.ts"
import * as SegmentationBackbone from "./SegmentationBackbone.ts"

/** The sizes of a segmenter over `classes`, and its variant. */
export interface Sizes extends VitParams.Network, Pick<SegmentationBackbone.Sizes, "taps"> {
  get classes(): number
  set classes(_: never)
}

/** A head that fits a network's sizes. */
export type HeadOf<N extends Sizes, Q extends Head.Parts> = Head.Head<N["width"], N["classes"], Q>

/** The parameters of a segmenter, under the official names. */
export type Params<N extends Sizes, Q extends Head.Parts> = Q["parameters"] & {
  readonly backbone: VitParams.VitParams<VitParams.Encoder<N>>
}

/** The inputs of a forward pass besides parameters and images. */
export interface Context<B extends number, Q extends Head.Parts> extends Head.Context<Q> {
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>> | undefined
}

/** Specifies the parameters of a segmenter. */
export const spec = <const N extends Sizes, Q extends Head.Parts>(
  sizes: Readonly<N>,
  head: HeadOf<N, Q>
): Parameter.ParametersOf<Params<N, Q>> => {
  const parameters: object = head.parameters
  const backbone = {
    ...VitParams.spec(VitParams.encoder(sizes), sizes, Parameter.finetuning),
    ...("backbone" in parameters ? parameters.backbone as object : {})
  }
  // The parts of a head are a type parameter, so TypeScript cannot compute the type of a record with them.
  return Tree.map({ ...parameters, backbone }, (leaf) => leaf)
}

/** Computes logits of standardised images. */
export const forward = <B extends number, N extends Sizes, Q extends Head.Parts>(
  head: HeadOf<N, Q>,
  params: Params<N, Q>,
  images: PatchGrid.GivenImages<B, N>,
  sizes: Readonly<N>,
  context: Context<B, Q>
): Head.Logits<B, N["classes"]> => {
  const { dropPath, ...rest } = context
  const taps = SegmentationBackbone.tapTokens<B, N>(params.backbone, images, sizes, {
    dropPath,
    epsilon: sizes.epsilon
  })
  const map = (tap: (typeof taps)[number]): FeatureMap.Pixels<B, N["width"]> =>
    FeatureMap.anySides(FeatureMap.ofTokens(tap, PatchGrid.rows(sizes), PatchGrid.columns(sizes)))
  const [first, second, third, fourth] = taps
  return head.forward(params, [map(first), map(second), map(third), map(fourth)], rest)
}

/** Enlarges logits to the image by bilinear interpolation: to `[B, Y, X, K]`. */
export const enlarged = <B extends number, K extends number, N extends PatchGrid.Sizes>(
  logits: FeatureMap.Pixels<B, K>,
  sizes: Readonly<N>
): Tensor<[B, N["image"][0], N["image"][1], K]> => {
  const image: Readonly<N["image"]> = sizes.image
  return FeatureMap.resize(logits, image[0], image[1])
}
