/**
 * The training step of a pixel decoder, and its inference.
 *
 * The loss is the mean squared error of standardised pixels, with a perceptual loss if there is one. The step also keeps the
 * mean patch of each code over all images of the training. That is the best drawing without a network: a baseline.
 *
 * ```ts
 * import assert from "node:assert"
 * import { DecoderStep, Vit } from "patchword/nn"
 *
 * const dims = Vit.dims({ image: 224, patch: 16, width: 512, heads: 16 })
 * const sizes = { ...dims, hidden: 2048, depth: 8, codes: 8192, codeWidth: 32 } as const
 * const { batch, weights } = DecoderStep.draw(sizes, 2, { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] })
 * assert.deepStrictEqual(batch.codes.shape, [392])
 * assert.deepStrictEqual(weights.codebook.shape, [8192, 32])
 * ```
 */
import { countByCode, sumByCode } from "../../shapes/Codes.ts"
import { pmean, psum } from "../../shapes/Collective.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, atLeast, atMost, reciprocal, scale, scaleSamples, select, square, sub } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { standardise } from "../../shapes/Normalization.ts"
import { mean } from "../../shapes/Reduction.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchify, rows, unpatchify } from "../../shapes/Tokens.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import type { Perception } from "./Perception.ts"
import * as PixelDecoder from "./PixelDecoder.ts"

/** The mean patch of each code so far, in standardised values, and the number of patches that it is the mean of. */
export interface Baseline<in out N extends PixelDecoder.Sizes> {
  readonly means: Tensor<[N["codes"], PixelDecoder.Values<N>]>
  readonly seen: Tensor<[N["codes"]]>
}

/** The weights that training reads and does not change. */
export interface Frozen<in out N extends PixelDecoder.Sizes> {
  readonly codebook: PixelDecoder.Codebook<N>
  /** The weights of the network of the perceptual loss. Absent without that loss. */
  readonly perception?: object
}

/** The state of training: parameters, moments, frozen weights and the baseline. */
export interface State<in out N extends PixelDecoder.Sizes> extends AdamW.State<PixelDecoder.PixelDecoderParams<N>> {
  readonly frozen: Frozen<N>
  readonly baseline: Baseline<N>
}

/** The batch of a step. */
export interface Batch<B extends number, N extends PixelDecoder.Sizes> {
  /** Images with values from 0 to 1. */
  readonly images: PatchGrid.Images<B, N>
  /** The tokenizer's codes of their patches, row-major over `[B, N]`. */
  readonly codes: Tensor<[PixelDecoder.Vectors<B, N>], "int32">
  readonly hyper: AdamW.Hyper
}

/** The metrics of a step. */
export interface Metrics {
  readonly loss: Tensor<[]>
  /** The mean squared error of standardised pixels. */
  readonly pixels: Tensor<[]>
  /** The perceptual loss, before its factor. Absent without that loss. */
  readonly perceptual?: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** The loss of a step, with its parts. */
interface Loss {
  readonly loss: Tensor<[]>
  readonly aux: Pick<Metrics, "pixels" | "perceptual">
}

/** The mean and the standard deviation of each channel, for values from 0 to 1. */
export interface Channels {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

/** The options of training for images of `N`. */
export interface Options<B extends number, N extends PatchGrid.Sizes> {
  readonly adamw: AdamW.Options
  readonly channels: Channels
  /** The perceptual loss and its factor. Absent for squared error alone. */
  readonly perceptual?: {
    readonly factor: number
    readonly perception: Perception<PatchGrid.Images<B, N>["shape"]>
  } | undefined
}

// The weights of the perceptual loss have any names, so TypeScript cannot compute the type of a record with them.
const typed = <A>(record: object): A => Tree.map<A>(record, (leaf) => leaf)

/** Makes images with values from about 0 to 1 of standardised patches. */
const imagesOf = <B extends number, N extends PixelDecoder.Sizes>(
  sizes: Readonly<N>,
  patches: Tensor<[B, PatchGrid.Patches<N>, PixelDecoder.Values<N>]>,
  channels: Channels
): PatchGrid.Images<B, N> => {
  const { 0: height, 1: width }: Readonly<N["image"]> = sizes.image
  const size = { channels: 3, height, width, patch: sizes.patch } as const
  const images = unpatchify<B, 3, N["image"][0], N["image"][1], N["patch"]>(patches, size)
  // The inverse of a standardisation is one itself.
  return standardise(images, {
    mean: channels.mean.map((value, at) => -value / channels.std[at]!),
    std: channels.std.map((value) => 1 / value)
  })
}

/** Adds the patches of a batch, `[B·N, 3·P·P]`, to the mean patches of their codes. */
const after = <M extends number, K extends number, V extends number>(
  baseline: { readonly means: Tensor<[K, V]>; readonly seen: Tensor<[K]> },
  patches: Tensor<[M, V]>,
  codes: Tensor<[M], "int32">
): { readonly means: Tensor<[K, V]>; readonly seen: Tensor<[K]> } => {
  const { means, seen } = baseline
  const [size] = seen.shape
  const counts: Tensor<[K]> = psum(countByCode(codes, size))
  const sums: Tensor<[K, V]> = psum(sumByCode(patches, codes, size))
  const total = add(seen, counts)
  const change = sub(sums, scaleSamples<K, [V]>(means, counts))
  return { means: add(means, scaleSamples<K, [V]>(change, reciprocal(atLeast(total, 1)))), seen: total }
}

/** Makes a step of training a pixel decoder on batches of `B` images. */
export const step = <B extends number, const N extends PixelDecoder.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Options<B, N>
): TrainStep<State<N>, Batch<B, N>, Metrics> => {
  const { adamw, channels, perceptual } = options
  const { codeWidth, codes: size } = sizes
  const all = PixelDecoder.values(sizes)
  return {
    name: "decoder",
    state: typed<SpecOf<State<N>>>({
      ...AdamW.stateSpec(PixelDecoder.spec(sizes), adamw),
      frozen: {
        codebook: { shape: [size, codeWidth], dtype: "float32" },
        ...(perceptual && { perception: perceptual.perception.weights })
      },
      baseline: {
        means: { shape: [size, all], dtype: "float32" },
        seen: { shape: [size], dtype: "float32" }
      }
    }),
    batch: typed<SpecOf<Batch<B, N>>>({
      images: PatchGrid.images(sizes, batchSize),
      codes: { shape: [Dim.mul(batchSize, PatchGrid.patches(sizes))], dtype: "int32", split: "rows" },
      hyper: AdamW.hyperSpec(adamw)
    }),
    run: ({ baseline, frozen, ...state }, { codes, hyper, images }) => {
      const [own] = images.shape
      const targets = patchify(standardise(images, channels), sizes.patch)
      const lossOf = (params: PixelDecoder.PixelDecoderParams<N>): Loss => {
        const patches = PixelDecoder.forward<B, N>(sizes, params, frozen.codebook, codes, own)
        const pixels = mean(square(sub(patches, targets)))
        if (perceptual === undefined || frozen.perception === undefined) return { loss: pixels, aux: { pixels } }
        const drawn = imagesOf<B, N>(sizes, patches, channels)
        const distance = perceptual.perception.distance(frozen.perception, drawn, images)
        return {
          loss: add(pixels, scale(distance, perceptual.factor)),
          aux: { pixels, perceptual: distance }
        }
      }
      const { aux, gradients, loss } = valueAndGradient(lossOf, state.parameters)
      const { finite, norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
      const kept = { frozen, baseline }
      const before = new Map(Tree.leaves<Tensor<Shape>>(kept))
      const moved = { frozen, baseline: after(baseline, rows(targets), codes) }
      return {
        metrics: { loss, ...pmean(aux), gradientNorm: norm },
        state: {
          ...next,
          ...Tree.map<typeof kept>(moved, (leaf, path) => select(finite, leaf as Tensor<Shape>, before.get(path)!))
        }
      }
    }
  }
}

/** A trained pixel decoder. */
export interface Weights<in out N extends PixelDecoder.Sizes> {
  readonly parameters: PixelDecoder.PixelDecoderParams<N>
  readonly codebook: PixelDecoder.Codebook<N>
}

/** Makes the inference that draws images `[B, 3, Y, X]` from codes `[B·N]`. Values are from 0 to 1. */
export const draw = <B extends number, const N extends PixelDecoder.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  channels: Channels
): Inference<
  Weights<N>,
  { readonly codes: Tensor<[PixelDecoder.Vectors<B, N>], "int32"> },
  { readonly images: PatchGrid.Images<B, N> }
> => ({
  name: "draw",
  weights: {
    parameters: PixelDecoder.spec(sizes),
    codebook: { shape: [sizes.codes, sizes.codeWidth], dtype: "float32" }
  },
  batch: { codes: { shape: [Dim.mul(batchSize, PatchGrid.patches(sizes))], dtype: "int32" } },
  run: ({ codebook, parameters }, { codes }) => {
    const patches = PixelDecoder.forward<B, N>(sizes, parameters, codebook, codes, batchSize)
    return { images: atMost(atLeast(imagesOf<B, N>(sizes, patches, channels), 0), 1) }
  }
})
