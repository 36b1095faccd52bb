/**
 * The training step of masked image modelling, and the inferences of the backbone.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PretrainStep, Vit } from "patchword/nn"
 *
 * const sizes = {
 *   ...Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
 *   hidden: 3072,
 *   relativeRows: 732,
 *   depth: 12,
 *   absolutePositions: false,
 *   relativePositions: "shared",
 *   qkvBias: true,
 *   layerScale: 0.1,
 *   initStd: 0.02,
 *   codes: 8192,
 *   aggregation: { earlyLayer: 9, headDepth: 2, sharedHead: true }
 * } as const
 * const { batch } = PretrainStep.step(sizes, { size: 64, masked: 4800, dropPath: true }, {
 *   betas: [0.9, 0.98],
 *   weightDecay: 0.05,
 *   clipNorm: 3,
 *   decays: (_, rank) => rank > 1
 * })
 * assert.deepStrictEqual(batch.mask.shape, [64, 196])
 * assert.strictEqual(batch.dropPath?.length, 14)
 * ```
 */
import { argMax } from "../../shapes/Codes.ts"
import { pmean } from "../../shapes/Collective.ts"
import { add } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { accuracy, crossEntropy, crossEntropyExcept } from "../../shapes/Loss.ts"
import type { Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as DropPath from "../blocks/DropPath.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import type * as VitInference from "../blocks/VitInference.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import * as Mim from "./Mim.ts"

/** The batch of a step: `M` masked patches in `B` images. */
export interface Batch<B extends number, M extends number, N extends Mim.Sizes> {
  /** Standardised images. */
  readonly images: PatchGrid.Images<B, N>
  readonly mask: Tensor<[B, PatchGrid.Patches<N>], "bool">
  /** The masked patches, counted row-major over `[B, N]`, and their codes from the tokenizer. */
  readonly rows: Tensor<[M], "int32">
  readonly labels: Tensor<[M], "int32">
  /** Drop-path factors for every block of the network and then of the head. Absent if nothing is dropped. */
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>>
  readonly hyper: AdamW.Hyper
}

/** Images, their masked patches and the codes of these patches. */
type Masked<B extends number, M extends number, N extends Mim.Sizes> = Pick<
  Batch<B, M, N>,
  "images" | "mask" | "rows" | "labels"
>

const masked = <B extends number, M extends number, N extends Mim.Sizes>(
  sizes: Readonly<N>,
  batch: { readonly size: B; readonly masked: M }
): SpecOf<Masked<B, M, N>> => ({
  images: PatchGrid.images(sizes, batch.size),
  mask: { shape: [batch.size, PatchGrid.patches(sizes)], dtype: "bool", split: "rows" },
  rows: { shape: [batch.masked], dtype: "int32", split: { placesOf: batch.size * PatchGrid.patches(sizes) } },
  labels: { shape: [batch.masked], dtype: "int32", split: "rows" }
})

/** The metrics of a step, of the last block (`1`) and of the aggregation head (`2`, absent without a head). */
export interface Metrics {
  readonly loss: Tensor<[]>
  readonly loss_1: Tensor<[]>
  readonly accuracy_1: Tensor<[]>
  readonly loss_2?: Tensor<[]>
  readonly accuracy_2?: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** Makes a step of masked image modelling. */
export const step = <B extends number, M extends number, const N extends Mim.Sizes>(
  sizes: Readonly<N>,
  batch: { readonly size: B; readonly masked: M; readonly dropPath: boolean },
  adamw: AdamW.Options
): TrainStep<AdamW.State<Mim.MimParams<N>>, Batch<B, M, N>, Metrics> => {
  const { aggregation, depth, epsilon } = sizes
  const dropped = depth + (aggregation?.headDepth ?? 0)
  return {
    name: "pretrain",
    state: AdamW.stateSpec(Mim.spec(sizes), adamw),
    batch: {
      ...masked(sizes, batch),
      ...(batch.dropPath ? { dropPath: DropPath.spec(dropped, batch.size) } : {}),
      hyper: AdamW.hyperSpec(adamw)
    },
    run: (state, { dropPath, hyper, images, labels, mask, rows }) => {
      const context = {
        ...Vit.contextOf(sizes, dropPath?.slice(0, depth)),
        earlyLayer: aggregation?.earlyLayer ?? depth,
        headDropPath: dropPath?.slice(depth)
      }
      const { aux, gradients, loss } = valueAndGradient((params) => {
        const { aggregated, last } = Mim.logits(params, Mim.hidden(params, images, mask, rows, context), epsilon)
        const loss_1 = crossEntropy(last, labels)
        const first = { loss_1, accuracy_1: accuracy(last, labels) }
        if (aggregated === undefined) return { loss: loss_1, aux: first }
        const loss_2 = crossEntropy(aggregated, labels)
        return { loss: add(loss_1, loss_2), aux: { ...first, loss_2, accuracy_2: accuracy(aggregated, labels) } }
      }, state.parameters)
      const updated = AdamW.update(state, gradients, hyper, adamw, loss)
      return { metrics: { loss, ...pmean(aux), gradientNorm: updated.norm }, state: updated.state }
    }
  }
}

/** The label of a masked patch whose loss does not count, such as one of a repeated image. */
export const UNCOUNTED = -1

/**
 * Makes the inference of the last block's most probable code of every masked patch, and its loss. The loss is the mean over all masked
 * patches; those with the label `UNCOUNTED` add 0 to it.
 */
export const predict = <B extends number, M extends number, const N extends Mim.Sizes>(
  sizes: Readonly<N>,
  batch: { readonly size: B; readonly masked: M }
): Inference<
  { readonly parameters: Mim.MimParams<N> },
  Masked<B, M, N>,
  { readonly predicted: Tensor<[M], "int32">; readonly loss: Tensor<[]> }
> => ({
  name: "predict",
  weights: { parameters: Mim.spec(sizes) },
  batch: masked(sizes, batch),
  run: ({ parameters }, { images, labels, mask, rows }) => {
    const tokens = Mim.hidden(parameters, images, mask, rows, {
      ...Vit.contextOf(sizes),
      earlyLayer: sizes.aggregation?.earlyLayer ?? sizes.depth
    })
    const { last } = Mim.logits(parameters, tokens, sizes.epsilon)
    return { predicted: argMax(last), loss: crossEntropyExcept(last, labels, UNCOUNTED) }
  }
})

/** Makes a pretrained backbone for the inferences of `VitInference`. */
export const model = <const N extends Mim.Sizes>(sizes: Readonly<N>): VitInference.Model<N, Mim.MimParams<N>> => ({
  sizes,
  parameters: Mim.spec(sizes)
})
