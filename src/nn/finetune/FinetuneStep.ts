/**
 * The training step of fine-tuning, and the inference of logits.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FinetuneStep, Vit } from "patchword/nn"
 *
 * const { batch } = FinetuneStep.logits(
 *   {
 *     ...Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 }),
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
import { pmean } from "../../shapes/Collective.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { accuracy, crossEntropy, softCrossEntropy } from "../../shapes/Loss.ts"
import type { TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as DropPath from "../blocks/DropPath.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Vit from "../blocks/Vit.ts"
import type * as VitInference from "../blocks/VitInference.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import * as Classifier from "./Classifier.ts"

/** The batch of a step. */
export interface Batch<B extends number, N extends Classifier.Sizes> {
  /** Standardised images. */
  readonly images: PatchGrid.Images<B, N>
  /** The labels for the accuracy and, without `targets`, for the loss. */
  readonly labels: Tensor<[B], "int32">
  /** Class probabilities of mixed images (mixup, cutmix). */
  readonly targets?: Tensor<[B, N["classes"]]>
  /** Drop-path factors for every block. Absent if nothing is dropped. */
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>>
  readonly hyper: AdamW.Hyper
}

/** The metrics of a step. */
export interface Metrics {
  readonly loss: Tensor<[]>
  readonly accuracy: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** Makes a step of supervised training. Mixed images learn from their `targets`, which include the label smoothing. */
export const step = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batch: { readonly size: B; readonly dropPath: boolean; readonly mixed: boolean },
  options: { readonly adamw: AdamW.Options; readonly labelSmoothing: number }
): TrainStep<AdamW.State<Classifier.ClassifierParams<N>>, Batch<B, N>, Metrics> => {
  const { dropPath, mixed, size } = batch
  const { adamw, labelSmoothing } = options
  return {
    name: "finetune",
    state: AdamW.stateSpec(Classifier.spec(sizes), adamw),
    batch: {
      images: PatchGrid.images(sizes, size),
      labels: { shape: [size], dtype: "int32", split: "rows" },
      ...(mixed ? { targets: { shape: [size, sizes.classes], dtype: "float32", split: "rows" } } : {}),
      ...(dropPath ? { dropPath: DropPath.spec(sizes.depth, size) } : {}),
      hyper: AdamW.hyperSpec(adamw)
    },
    run: (state, { dropPath, hyper, images, labels, targets }) => {
      const context = Vit.contextOf(sizes, dropPath)
      const { aux, gradients, loss } = valueAndGradient((params) => {
        const logits = Classifier.forward(params, images, context)
        return {
          loss: targets === undefined
            ? crossEntropy(logits, labels, labelSmoothing)
            : softCrossEntropy(logits, targets),
          aux: { accuracy: accuracy(logits, labels) }
        }
      }, state.parameters)
      const updated = AdamW.update(state, gradients, hyper, adamw, loss)
      return { metrics: { loss, ...pmean(aux), gradientNorm: updated.norm }, state: updated.state }
    }
  }
}

/** Makes the inference of logits of standardised images. */
export const logits = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): VitInference.VitInference<B, N, Classifier.ClassifierParams<N>, { readonly logits: Tensor<[B, N["classes"]]> }> => ({
  name: "logits",
  weights: { parameters: Classifier.spec(sizes) },
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => ({
    logits: Classifier.forward(parameters, images, Vit.contextOf(sizes))
  })
})

/** Makes a classifier for the inferences of `VitInference`. */
export const model = <const N extends Classifier.Sizes>(
  sizes: Readonly<N>
): VitInference.Model<N, Classifier.ClassifierParams<N>> => ({
  sizes,
  parameters: Classifier.spec(sizes)
})
