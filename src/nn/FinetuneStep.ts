/**
 * Fine-tuning a classifier, step by step, and using it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FinetuneStep, Vit } from "patchword/nn"
 *
 * const { batch } = FinetuneStep.logits(
 *   {
 *     vit: Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
 *     hidden: 3072,
 *     relativeRows: 732,
 *     depth: 12,
 *     absolutePositions: false,
 *     relativePositions: "perBlock",
 *     qkvBias: true,
 *     layerScale: 0.1,
 *     pooling: "mean",
 *     headScale: 0.001,
 *     classes: 1000
 *   },
 *   64
 * )
 * assert.deepStrictEqual(batch.images.shape, [64, 3, 224, 224])
 * ```
 */
import type * as Dim from "../shapes/Dim.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as Loss from "../shapes/Loss.ts"
import * as Normalization from "../shapes/Normalization.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tokens from "../shapes/Tokens.ts"
import * as AdamW from "./AdamW.ts"
import * as Block from "./Block.ts"
import * as Classifier from "./Classifier.ts"
import * as Parameter from "./Parameter.ts"
import * as Vit from "./Vit.ts"

/** The sizes of a classifier over `K` classes. */
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
  readonly pooling: "mean" | "cls"
  readonly headScale: number
  readonly classes: K
  /** Added to the variance in layer norms; `Block.EPSILON` when absent. */
  readonly epsilon?: number | undefined
}

/** The classifier's parameters, by sizes. */
export type Params<
  Y extends number,
  X extends number,
  P extends number,
  C extends number,
  F extends number,
  H extends number,
  R extends number,
  K extends number
> = Classifier.ClassifierParams<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>

/** The parameters of a classifier of these sizes. */
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
  Classifier.spec<P, C, F, H, R, Dim.Plus<Dim.Patches<Y, X, P>, 1>, K>({
    ...sizes,
    ...vit,
    channels: 3,
    regime: Parameter.finetuning
  })

const context = <B extends number, T extends number, H extends number>(
  { epsilon, vit }: {
    readonly vit: Vit.Dims<number, number, number, number, H, number, T>
    readonly epsilon?: number | undefined
  },
  dropPath?: ReadonlyArray<Block.DropPath<B>>
): Vit.Context<B, T, H> => ({
  heads: vit.heads,
  index: Vit.relativeIndex(Vit.grid(vit), vit.tokens),
  epsilon,
  dropPath
})

/** What a step is given. */
export interface Batch<B extends number, Y extends number, X extends number, K extends number> {
  /** Standardised. */
  readonly images: Tensor<[B, 3, Y, X]>
  /** What the accuracy is measured by and, without `targets`, what is learned. */
  readonly labels: Tensor<[B], "int32">
  /** Shares of the classes, where images are mixed. */
  readonly targets?: Tensor<[B, K]>
  /** Factors for every block; absent when nothing is dropped. */
  readonly dropPath?: ReadonlyArray<Block.DropPath<B>>
  readonly hyper: AdamW.Hyper
}

/** What a step measures. */
export interface Metrics {
  readonly loss: Tensor<[]>
  readonly accuracy: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** One step of supervised training; of mixed images by their targets, which hold the label smoothing already. */
export const step = <
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
  batch: { readonly size: B; readonly dropPath: boolean; readonly mixed: boolean },
  { adamw, labelSmoothing }: { readonly adamw: AdamW.Options; readonly labelSmoothing: number }
): TrainStep<AdamW.State<Params<Y, X, P, C, F, H, R, K>>, Batch<B, Y, X, K>, Metrics> => {
  const { depth, vit } = sizes
  const parameters = spec(sizes)
  const factors = { shape: [batch.size] as [B], dtype: "float32" } as const
  return {
    name: "finetune",
    state: AdamW.stateSpec(parameters, adamw.accumulate),
    batch: {
      images: { shape: [batch.size, 3, ...vit.image], dtype: "float32" },
      labels: { shape: [batch.size], dtype: "int32" },
      ...(batch.mixed ? { targets: { shape: [batch.size, sizes.classes], dtype: "float32" } as const } : {}),
      ...(batch.dropPath
        ? { dropPath: Array.from({ length: depth }, () => ({ attention: factors, mlp: factors })) }
        : {}),
      hyper: AdamW.hyperSpec(adamw.accumulate)
    },
    run: (state, { dropPath, hyper, images, labels, targets }) => {
      const { aux, gradients, loss } = Gradient.valueAndGradient((params) => {
        const logits = Classifier.forward(params, images, vit.patches, context(sizes, dropPath))
        return {
          loss: targets === undefined
            ? Loss.crossEntropy(logits, labels, labelSmoothing)
            : Loss.softCrossEntropy(logits, targets),
          aux: { accuracy: Loss.accuracy(logits, labels) }
        }
      }, state.parameters)
      const updated = AdamW.update(state, gradients, hyper, adamw, loss)
      return { metrics: { loss, ...aux, gradientNorm: updated.norm }, state: updated.state }
    }
  }
}

/**
 * One vector per standardised image, as `PretrainStep.features` gives them: mean patch token or class token of the last block,
 * `[B, C]`, through the norm before the classifier or raw. A classifier of mean tokens has no norm for its class token, which
 * stays as it is.
 */
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
    const tokens = Vit.forward(parameters, images, context(sizes))
    const { fc_norm, norm } = finalNorm ? parameters : {}
    const epsilon = sizes.epsilon ?? Block.EPSILON
    const normed = norm === undefined ? tokens : Normalization.layerNorm(tokens, norm, epsilon)
    if (pooling === "cls") return { features: Tokens.single(Tokens.classToken(normed)) }
    const mean = Reduction.meanTokens(Tokens.patchTokens(normed, sizes.vit.patches))
    return { features: fc_norm === undefined ? mean : Normalization.layerNorm(mean, fc_norm, epsilon) }
  }
})

/** Logits `[B, K]` of standardised images. */
export const logits = <
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
  { readonly logits: Tensor<[B, K]> }
> => ({
  name: "logits",
  weights: { parameters: spec(sizes) },
  batch: { images: { shape: [batchSize, 3, ...sizes.vit.image], dtype: "float32" } },
  run: ({ parameters }, { images }) => ({
    logits: Classifier.forward(parameters, images, sizes.vit.patches, context(sizes))
  })
})
