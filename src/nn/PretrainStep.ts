/**
 * Pretraining by masked image modelling, step by step, and using the backbone.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PretrainStep, Vit } from "patchword/nn"
 *
 * const sizes = {
 *   vit: Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
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
import * as Codes from "../shapes/Codes.ts"
import type * as Dim from "../shapes/Dim.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as Loss from "../shapes/Loss.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as AdamW from "./AdamW.ts"
import * as Block from "./Block.ts"
import * as Mim from "./Mim.ts"
import type * as Parameter from "./Parameter.ts"
import * as Vit from "./Vit.ts"

/** The sizes of a network that predicts `K` codes. */
export interface Sizes<
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
> {
  readonly vit: Vit.Dims<Y, X, P, C, H, NoInfer<Dim.Patches<Y, X, P>>, NoInfer<Dim.Plus<Dim.Patches<Y, X, P>, 1>>>
  readonly hidden: F
  readonly relativeRows: R
  readonly depth: number
  readonly absolutePositions: boolean
  readonly relativePositions: Vit.RelativePositions
  readonly qkvBias: boolean
  readonly layerScale: number
  readonly initStd: number
  readonly codes: K
  readonly aggregation: Mim.Aggregation | null
  /** Added to the variance in layer norms; `Block.EPSILON` when absent. */
  readonly epsilon?: number | undefined
}

/** The network's parameters, by sizes. */
export type Params<
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
> = Mim.MimParams<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>

/** The parameters of a network of these sizes. */
export const spec = <
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>({ vit, ...sizes }: Sizes<Y, X, P, C, F, H, R, K>): Parameter.ParametersOf<Params<Y, X, P, C, F, H, R, K>> =>
  Mim.spec<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>({ ...sizes, ...vit })

/** What a step is given: `M` masked patches in a batch of `B` images. */
export interface Batch<B extends number, Y extends number, X extends number, N extends number, M extends number> {
  /** Standardised. */
  readonly images: Tensor<[B, 3, Y, X]>
  readonly mask: Tensor<[B, N], "bool">
  /** The masked patches, counted row-major over `[B, N]`, and the codes that the tokenizer gave them. */
  readonly rows: Tensor<[M], "int32">
  readonly labels: Tensor<[M], "int32">
  /** Factors for every block of the network and then of the head; absent when nothing is dropped. */
  readonly dropPath?: ReadonlyArray<Block.DropPath<B>>
  readonly hyper: AdamW.Hyper
}

/** What a step measures: of the last block (`1`) and of the aggregation head (`2`, absent without one). */
export interface Metrics {
  readonly loss: Tensor<[]>
  readonly loss_1: Tensor<[]>
  readonly accuracy_1: Tensor<[]>
  readonly loss_2?: Tensor<[]>
  readonly accuracy_2?: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** One step of masked image modelling. */
export const step = <
  B extends number,
  M extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>(
  sizes: Sizes<Y, X, P, C, F, H, R, K>,
  batch: { readonly size: B; readonly masked: M; readonly dropPath: boolean },
  adamw: AdamW.Options
): TrainStep<
  AdamW.State<Params<Y, X, P, C, F, H, R, K>>,
  Batch<B, Y, X, Dim.Patches<Y, X, P>, M>,
  Metrics
> => {
  const { aggregation, depth, epsilon, vit } = sizes
  const parameters = spec(sizes)
  const factors = { shape: [batch.size] as [B], dtype: "float32" } as const
  const dropped = depth + (aggregation?.headDepth ?? 0)
  return {
    name: "pretrain",
    state: AdamW.stateSpec(parameters, adamw.accumulate),
    batch: {
      images: { shape: [batch.size, 3, ...vit.image], dtype: "float32" },
      mask: { shape: [batch.size, vit.patches], dtype: "bool" },
      rows: { shape: [batch.masked], dtype: "int32" },
      labels: { shape: [batch.masked], dtype: "int32" },
      ...(batch.dropPath
        ? { dropPath: Array.from({ length: dropped }, () => ({ attention: factors, mlp: factors })) }
        : {}),
      hyper: AdamW.hyperSpec(adamw.accumulate)
    },
    run: (state, { dropPath, hyper, images, labels, mask, rows }) => {
      const index = Vit.relativeIndex(Vit.grid(vit), vit.tokens)
      const { aux, gradients, loss } = Gradient.valueAndGradient((params) => {
        const tokens = Mim.hidden(params, images, mask, rows, {
          heads: vit.heads,
          index,
          epsilon,
          earlyLayer: aggregation?.earlyLayer ?? depth,
          dropPath: dropPath?.slice(0, depth),
          headDropPath: dropPath?.slice(depth)
        })
        const { aggregated, last } = Mim.logits(params, tokens, epsilon)
        const loss_1 = Loss.crossEntropy(last, labels)
        const first = { loss_1, accuracy_1: Loss.accuracy(last, labels) }
        if (aggregated === undefined) return { loss: loss_1, aux: first }
        const loss_2 = Loss.crossEntropy(aggregated, labels)
        return {
          loss: Elementwise.add(loss_1, loss_2),
          aux: { ...first, loss_2, accuracy_2: Loss.accuracy(aggregated, labels) }
        }
      }, state.parameters)
      const updated = AdamW.update(state, gradients, hyper, adamw, loss)
      return { metrics: { loss, ...aux, gradientNorm: updated.norm }, state: updated.state }
    }
  }
}

/** For every patch `[B, N]` the most probable code by the last block, with the losses of both heads on the masked rows. */
export const predict = <
  B extends number,
  M extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>(sizes: Sizes<Y, X, P, C, F, H, R, K>, batch: { readonly size: B; readonly masked: M }): Inference<
  { readonly parameters: Params<Y, X, P, C, F, H, R, K> },
  {
    readonly images: Tensor<[B, 3, Y, X]>
    readonly mask: Tensor<[B, Dim.Patches<Y, X, P>], "bool">
    readonly rows: Tensor<[M], "int32">
    readonly labels: Tensor<[M], "int32">
  },
  { readonly predicted: Tensor<[M], "int32">; readonly loss: Tensor<[]> }
> => ({
  name: "predict",
  weights: { parameters: spec(sizes) },
  batch: {
    images: { shape: [batch.size, 3, ...sizes.vit.image], dtype: "float32" },
    mask: { shape: [batch.size, sizes.vit.patches], dtype: "bool" },
    rows: { shape: [batch.masked], dtype: "int32" },
    labels: { shape: [batch.masked], dtype: "int32" }
  },
  run: ({ parameters }, { images, labels, mask, rows }) => {
    const tokens = Mim.hidden(parameters, images, mask, rows, {
      heads: sizes.vit.heads,
      index: Vit.relativeIndex(Vit.grid(sizes.vit), sizes.vit.tokens),
      epsilon: sizes.epsilon,
      earlyLayer: sizes.aggregation?.earlyLayer ?? sizes.depth
    })
    const { last } = Mim.logits(parameters, tokens, sizes.epsilon)
    return { predicted: Codes.argMax(last), loss: Loss.crossEntropy(last, labels) }
  }
})

/** One vector per standardised image: mean patch token or class token of the last block, normed or raw, `[B, C]`. */
export const features = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>(
  sizes: Sizes<Y, X, P, C, F, H, R, K>,
  batchSize: B,
  { finalNorm, pooling }: { readonly finalNorm: boolean; readonly pooling: "mean" | "cls" }
): Inference<
  { readonly parameters: Params<Y, X, P, C, F, H, R, K> },
  { readonly images: Tensor<[B, 3, Y, X]> },
  { readonly features: Tensor<[B, C]> }
> => ({
  name: "features",
  weights: { parameters: spec(sizes) },
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ parameters }, { images }) => {
    const tokens = Vit.forward(parameters, images, {
      heads: sizes.vit.heads,
      index: Vit.relativeIndex(Vit.grid(sizes.vit), sizes.vit.tokens),
      epsilon: sizes.epsilon
    })
    const normed = finalNorm ? Normalization.layerNorm(tokens, parameters.norm, sizes.epsilon ?? Block.EPSILON) : tokens
    return {
      features: pooling === "mean"
        ? Reduction.meanTokens(Tokens.patchTokens(normed, sizes.vit.patches))
        : Tokens.single(Tokens.classToken(normed))
    }
  }
})

/** The patch tokens of standardised images after the last block and its norm, `[B, N, C]`. */
export const patchFeatures = <
  B extends number,
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
>(sizes: Sizes<Y, X, P, C, F, H, R, K>, batchSize: B): Inference<
  { readonly parameters: Params<Y, X, P, C, F, H, R, K> },
  { readonly images: Tensor<[B, 3, Y, X]> },
  { readonly target: Tensor<[B, Dim.Patches<Y, X, P>, C]> }
> => ({
  name: "patch features",
  weights: { parameters: spec(sizes) },
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ parameters }, { images }) => {
    const tokens = Vit.forward(parameters, images, {
      heads: sizes.vit.heads,
      index: Vit.relativeIndex(Vit.grid(sizes.vit), sizes.vit.tokens),
      epsilon: sizes.epsilon
    })
    const normed = Normalization.layerNorm(tokens, parameters.norm, sizes.epsilon ?? Block.EPSILON)
    return { target: Tokens.patchTokens(normed, sizes.vit.patches) }
  }
})
