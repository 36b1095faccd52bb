/**
 * The training step of fine-tuning, and the inferences of a classifier.
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
import { layerNorm } from "../../shapes/Normalization.ts"
import type { Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import { patchTokens } from "../../shapes/Tokens.ts"
import * as Block from "../blocks/Block.ts"
import * as ClassAttention from "../blocks/ClassAttention.ts"
import * as DropPath from "../blocks/DropPath.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as Pooling from "../blocks/Pooling.ts"
import * as Vit from "../blocks/Vit.ts"
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

/** An inference of a classifier on standardised images. */
type Seeing<B extends number, N extends Classifier.Sizes, O> = Inference<
  { readonly parameters: Classifier.ClassifierParams<N> },
  { readonly images: PatchGrid.Images<B, N> },
  O
>

const weights = <N extends Classifier.Sizes>(
  sizes: Readonly<N>
): SpecOf<{ readonly parameters: Classifier.ClassifierParams<N> }> => ({ parameters: Classifier.spec(sizes) })

/**
 * Makes the inference of one vector per standardised image, `[B, C]`, as `PretrainStep.features` does. The vector is the mean
 * patch token or the class token of the last block, with the norm before the classifier or without. A classifier of mean tokens
 * has no norm for its class token, so that token stays as it is.
 */
export const features = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Pooling.Options
): Seeing<B, N, { readonly features: Tensor<[B, N["width"]]> }> => ({
  name: "features",
  weights: weights(sizes),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => {
    const tokens = Vit.tokensOf(sizes, parameters, images)
    const norms = options.finalNorm ? parameters : {}
    return { features: Pooling.pool(tokens, PatchGrid.patches(sizes), options.pooling, norms, sizes.epsilon) }
  }
})

/** Makes the inference of the pooled tokens of the last blocks of standardised images, in both ways, each `[B, C]`. */
export const blockFeatures = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  options: Pooling.BlockOptions
): Seeing<B, N, Pooling.Blocks<B, N["width"]>> => ({
  name: "block features",
  weights: weights(sizes),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => {
    const outputs = Vit.blocksOf(sizes, parameters, images)
    const norms = options.finalNorm ? parameters : {}
    return Pooling.poolBlocks(outputs, PatchGrid.patches(sizes), options.blocks, norms, sizes.epsilon)
  }
})

/** Makes the inference of logits of standardised images. */
export const logits = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Seeing<B, N, { readonly logits: Tensor<[B, N["classes"]]> }> => ({
  name: "logits",
  weights: weights(sizes),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => ({
    logits: Classifier.forward(parameters, images, Vit.contextOf(sizes))
  })
})

/**
 * Makes the inference of patch tokens of standardised images after the last block, `[B, N, C]`. A classifier of class tokens has
 * a norm for them. One of mean tokens has none, so they stay as they are.
 */
export const patchFeatures = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B
): Seeing<B, N, { readonly target: Tensor<[B, PatchGrid.Patches<N>, N["width"]]> }> => ({
  name: "patch features",
  weights: weights(sizes),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => {
    const tokens = Vit.tokensOf(sizes, parameters, images)
    const { norm } = parameters
    const normed = norm === undefined ? tokens : layerNorm(tokens, norm, sizes.epsilon ?? Block.EPSILON)
    return { target: patchTokens(normed, PatchGrid.patches(sizes)) }
  }
})

/** Makes the inference of the class token's attention in a block, `[B, H, N+1]`, for standardised images. */
export const attention = <B extends number, const N extends Classifier.Sizes>(
  sizes: Readonly<N>,
  batchSize: B,
  block: number
): Seeing<B, N, ClassAttention.ClassAttention<B, N>> => ({
  name: "attention",
  weights: weights(sizes),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters }, { images }) => ({ attention: ClassAttention.ofImages(sizes, parameters, images, block) })
})
