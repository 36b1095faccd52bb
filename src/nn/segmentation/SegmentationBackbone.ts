/**
 * The backbone of a segmentation network. It turns the patch tokens of four blocks, without a norm, into a pyramid of maps at
 * 1/4, 1/8, 1/16 and 1/32 of the image's size (`semantic_segmentation/backbone/beit.py`). Transposed convolutions enlarge the
 * first maps, and pooling shrinks the last.
 *
 * Its inferences normalise by the running statistics of the weights. `SegmentStep` trains it with a head.
 *
 * ```ts
 * import assert from "node:assert"
 * import { SegmentationBackbone, Vit } from "patchword/nn"
 *
 * const { batch, weights } = SegmentationBackbone.features16(
 *   {
 *     ...Vit.dims({ image: 512, patch: 16, width: 768, heads: 12 }),
 *     hidden: 3072,
 *     relativeRows: 3972,
 *     depth: 12,
 *     taps: [4, 6, 8, 12]
 *   },
 *   2
 * )
 * assert.deepStrictEqual(batch.images.shape, [2, 3, 512, 512])
 * assert.deepStrictEqual(weights.fpn1[3].weight.shape, [768, 768, 2, 2])
 * ```
 */
import { gelu } from "../../shapes/Activation.ts"
import * as Convolution from "../../shapes/Convolution.ts"
import type * as Dim from "../../shapes/Dim.ts"
import { batchNorm, type BatchNormParams } from "../../shapes/Normalization.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference, SpecOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchEmbed, patchTokens } from "../../shapes/Tokens.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import * as VitParams from "../blocks/VitParams.ts"
import { normSpec, tensorSpec } from "../teachers/TeacherVit.ts"

/** The epsilon of the batch normalisation, PyTorch's default. */
export const EPSILON = 1e-5

/** The parameters of a transposed convolution that doubles the sides of a map. */
export type Double<C extends number> = Convolution.TransposedParams<C, C, 2>

/** The transposed convolutions of the pyramid for a network with 16-pixel patches, under the official names. */
export interface Enlarging16<in out C extends number> {
  readonly fpn1: { readonly 0: Double<C>; readonly 3: Double<C> }
  readonly fpn2: { readonly 0: Double<C> }
}

/** The pyramid's parameters for a network with 16-pixel patches, under the official names. */
export interface Pyramid16<in out C extends number> extends Enlarging16<C> {
  readonly fpn1: {
    readonly 0: Double<C>
    readonly 1: BatchNormParams<C>
    readonly 3: Double<C>
  }
}

/** The pyramid's parameters for a network with 8-pixel patches. */
export interface Pyramid8<in out C extends number> {
  readonly fpn1: { readonly 0: Double<C> }
}

/** The maps of four blocks, each `[B, C, H, W]`. */
export type Taps<B extends number, C extends number, H extends number, W extends number> = readonly [
  Tensor<[B, C, H, W]>,
  Tensor<[B, C, H, W]>,
  Tensor<[B, C, H, W]>,
  Tensor<[B, C, H, W]>
]

/** The four maps of the pyramid over a grid of `H` by `W` patches of 16 pixels. */
export interface Maps16<B extends number, C extends number, H extends number, W extends number> {
  readonly f1: Tensor<[B, C, Dim.Mul<Dim.Mul<H, 2>, 2>, Dim.Mul<Dim.Mul<W, 2>, 2>]>
  readonly f2: Tensor<[B, C, Dim.Mul<H, 2>, Dim.Mul<W, 2>]>
  readonly f3: Tensor<[B, C, H, W]>
  readonly f4: Tensor<[B, C, Dim.DivFloor<H, 2>, Dim.DivFloor<W, 2>]>
}

/** The four maps of the pyramid over a grid of `H` by `W` patches of 8 pixels. */
export interface Maps8<B extends number, C extends number, H extends number, W extends number> {
  readonly f1: Tensor<[B, C, Dim.Mul<H, 2>, Dim.Mul<W, 2>]>
  readonly f2: Tensor<[B, C, H, W]>
  readonly f3: Tensor<[B, C, Dim.DivFloor<H, 2>, Dim.DivFloor<W, 2>]>
  readonly f4: Tensor<[B, C, Dim.DivFloor<H, 4>, Dim.DivFloor<W, 4>]>
}

/** A map of twice the sides, which the first map of the pyramid is made of. */
export type Half<B extends number, C extends number, H extends number, W extends number> = Tensor<
  [B, C, Dim.Mul<H, 2>, Dim.Mul<W, 2>]
>

/** Computes the pyramid from the maps of 16-pixel patches. `normalise` is the batch normalisation of its first map. */
export const pyramid16By = <B extends number, C extends number, H extends number, W extends number>(
  params: Enlarging16<C>,
  taps: Taps<B, C, H, W>,
  normalise: (half: Half<B, C, H, W>) => Half<B, C, H, W>
): Maps16<B, C, H, W> => {
  const { fpn1, fpn2 } = params
  const [first, second, third, fourth] = taps
  const half = normalise(Convolution.transposed(first, fpn1[0]))
  return {
    // Named type arguments: to infer products of products the compiler goes too deep.
    f1: Convolution.transposed<B, C, C, Dim.Mul<H, 2>, Dim.Mul<W, 2>, 2>(gelu(half), fpn1[3]),
    f2: Convolution.transposed(second, fpn2[0]),
    f3: third,
    f4: Convolution.maxPool(fourth, 2)
  }
}

/** Computes the pyramid from the maps of 16-pixel patches, with the running statistics of its parameters. */
export const pyramid16 = <B extends number, C extends number, H extends number, W extends number>(
  params: Pyramid16<C>,
  taps: Taps<B, C, H, W>
): Maps16<B, C, H, W> => pyramid16By(params, taps, (half) => batchNorm(half, params.fpn1[1], EPSILON))

/** Computes the pyramid from the maps of 8-pixel patches. */
export const pyramid8 = <B extends number, C extends number, H extends number, W extends number>(
  params: Pyramid8<C>,
  taps: Taps<B, C, H, W>
): Maps8<B, C, H, W> => {
  const [first, second, third, fourth] = taps
  return {
    f1: Convolution.transposed(first, params.fpn1[0]),
    f2: second,
    f3: Convolution.maxPool(third, 2),
    f4: Convolution.maxPool(fourth, 4)
  }
}

/** The patch tokens after four blocks. */
export type Tokens<B extends number, N extends Sizes> = readonly [
  Patches<B, N>,
  Patches<B, N>,
  Patches<B, N>,
  Patches<B, N>
]
type Patches<B extends number, N extends Sizes> = Tensor<[B, PatchGrid.Patches<N>, N["width"]]>

/** The sizes of a backbone. */
export interface Sizes extends VitParams.Sizes {
  readonly depth: number
  /** The blocks whose tokens become the maps, counted from 1. */
  readonly taps: readonly [number, number, number, number]
}

/** Computes the patch tokens after four blocks, each `[B, N, C]`, for standardised images. */
export const tapTokens = <B extends number, N extends Sizes>(
  params: VitParams.VitParams<VitParams.Encoder<N>>,
  images: PatchGrid.GivenImages<B, N>,
  sizes: Readonly<N>,
  options: Pick<Vit.Context<NoInfer<B>, VitParams.Encoder<N>>, "dropPath" | "epsilon"> = {}
): Tokens<B, N> => {
  const patches = patchEmbed(images, params.patch_embed.proj)
  const tokens = Vit.withClassToken(params, patches)
  const outputs = Vit.blocks(params, tokens, { ...options, heads: sizes.heads, index: Vit.relativeIndex(sizes) })
  const tokensOf = (place: number) => {
    const output = outputs[place - 1]
    if (output === undefined) {
      throw new ShapeError.ShapeError(`taps: there is no block ${place} among ${outputs.length}`)
    }
    return patchTokens(output, PatchGrid.patches(sizes))
  }
  const [first, second, third, fourth] = sizes.taps
  return [tokensOf(first), tokensOf(second), tokensOf(third), tokensOf(fourth)]
}

/** Computes the maps of patch tokens after four blocks, for standardised images. */
export const taps = <B extends number, N extends Sizes>(
  params: VitParams.VitParams<VitParams.Encoder<N>>,
  images: PatchGrid.GivenImages<B, N>,
  sizes: Readonly<N>
): Taps<B, N["width"], PatchGrid.Rows<N>, PatchGrid.Columns<N>> => {
  const [first, second, third, fourth] = tapTokens<B, N>(params, images, sizes)
  const [rows, columns] = [PatchGrid.rows(sizes), PatchGrid.columns(sizes)]
  return [
    Convolution.map(first, rows, columns),
    Convolution.map(second, rows, columns),
    Convolution.map(third, rows, columns),
    Convolution.map(fourth, rows, columns)
  ]
}

const spec = <N extends Sizes>(sizes: Readonly<N>) =>
  VitParams.spec(
    VitParams.encoder(sizes),
    {
      depth: sizes.depth,
      absolutePositions: false,
      relativePositions: "perBlock",
      qkvBias: true,
      layerScale: 0.1
    },
    Parameter.finetuning
  )

const double = <C extends number>(width: C): SpecOf<Double<C>> => ({
  weight: tensorSpec([width, width, 2, 2]),
  bias: tensorSpec([width])
})

const statistics = <C extends number>(width: C): SpecOf<BatchNormParams<C>> => ({
  ...normSpec(width),
  running_mean: tensorSpec([width]),
  running_var: tensorSpec([width])
})

/** The parameters of a backbone with 16-pixel patches. */
export interface Params16<in out N extends Sizes>
  extends VitParams.VitParams<VitParams.Encoder<N>>, Pyramid16<N["width"]>
{}

/** Makes the inference of the pyramid of standardised images, with 16-pixel patches. */
export const features16 = <B extends number, const N extends Sizes & { readonly patch: 16 }>(
  sizes: Readonly<N>,
  batchSize: B
): Inference<
  Params16<N>,
  { readonly images: PatchGrid.Images<B, N> },
  Maps16<B, N["width"], PatchGrid.Rows<N>, PatchGrid.Columns<N>>
> => ({
  name: "segmentation backbone",
  weights: {
    ...spec(sizes),
    fpn1: { 0: double(sizes.width), 1: statistics(sizes.width), 3: double(sizes.width) },
    fpn2: { 0: double(sizes.width) }
  },
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: (params, { images }) => pyramid16(params, taps(params, images, sizes))
})

/** The parameters of a backbone with 8-pixel patches. */
export interface Params8<in out N extends Sizes>
  extends VitParams.VitParams<VitParams.Encoder<N>>, Pyramid8<N["width"]>
{}

/** Makes the inference of the pyramid of standardised images, with 8-pixel patches. */
export const features8 = <B extends number, const N extends Sizes & { readonly patch: 8 }>(
  sizes: Readonly<N>,
  batchSize: B
): Inference<
  Params8<N>,
  { readonly images: PatchGrid.Images<B, N> },
  Maps8<B, N["width"], PatchGrid.Rows<N>, PatchGrid.Columns<N>>
> => ({
  name: "segmentation backbone",
  weights: { ...spec(sizes), fpn1: { 0: double(sizes.width) } },
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: (params, { images }) => pyramid8(params, taps(params, images, sizes))
})
