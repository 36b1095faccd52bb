/**
 * The training step of segmentation, and the inference of logits. They take any head.
 *
 * ```ts
 * import assert from "node:assert"
 * import { LinearHead, SegmentStep, Vit } from "patchword/nn"
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
 * const { batch, weights } = SegmentStep.logits(sizes, 2, LinearHead.make(sizes))
 * assert.deepStrictEqual(batch.images.shape, [2, 3, 64, 64])
 * assert.deepStrictEqual(weights.running.decode_head.bn.running_var.shape, [96])
 * ```
 */
import { pmean } from "../../shapes/Collective.ts"
import * as Dim from "../../shapes/Dim.ts"
import { add, scale, select } from "../../shapes/Elementwise.ts"
import { valueAndGradient } from "../../shapes/Gradient.ts"
import { accuracy, crossEntropyExcept } from "../../shapes/Loss.ts"
import * as FeatureMap from "../../shapes/maps/FeatureMap.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Inference, SpecOf, TrainStep } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as DropPath from "../blocks/DropPath.ts"
import * as PatchGrid from "../blocks/PatchGrid.ts"
import * as AdamW from "../optimizer/AdamW.ts"
import type * as Head from "./Head.ts"
import * as Norms from "./Norms.ts"
import * as Segmenter from "./Segmenter.ts"

/** The label of pixels that the loss ignores. */
export const IGNORED = 255

/** The weight of the auxiliary head's loss. */
export const AUXILIARY = 0.4

/** The state of training: parameters, moments, and running statistics, which the optimizer does not change. */
export interface State<N extends Segmenter.Sizes, Q extends Head.Parts> extends AdamW.State<Segmenter.Params<N, Q>> {
  readonly running: Q["running"]
}

/** The batch of a step. */
export interface Batch<B extends number, N extends Segmenter.Sizes, Q extends Head.Parts> {
  /** Standardised images. */
  readonly images: PatchGrid.Images<B, N>
  /** The class of every pixel, or 255 for a pixel that the loss ignores. */
  readonly labels: Tensor<[B, N["image"][0], N["image"][1]], "int32">
  /** Drop-path factors for every block. Absent if nothing is dropped. */
  readonly dropPath?: ReadonlyArray<DropPath.Factors<B>>
  /** The factors of dropped channels, which the head specifies. Absent if nothing is dropped. */
  readonly dropout?: Q["dropout"]
  readonly hyper: AdamW.Hyper
}

/** The metrics of a step. */
export interface Metrics {
  /** The sum of the other losses. */
  readonly loss: Tensor<[]>
  readonly main: Tensor<[]>
  /** The loss of the auxiliary head, times 0.4. Absent if the head has none. */
  readonly auxiliary?: Tensor<[]>
  /** The share of pixels with the right class. Ignored pixels count as wrong. */
  readonly accuracy: Tensor<[]>
  readonly gradientNorm: Tensor<[]>
}

/** Lists the logits of all pixels of a label map, which they are enlarged to: `[P, K]`. */
const pixelsOf = <B extends number, K extends number>(
  logits: FeatureMap.Pixels<B, K>,
  labels: FeatureMap.Labels<B>
) => {
  const [, height, width] = labels.shape
  return FeatureMap.pixels(FeatureMap.resize(logits, Dim.named("height", height), Dim.named("width", width)))
}

/**
 * Computes losses and accuracy of logits, which are enlarged to the labels `[B, Y, X]`. A loss is the mean cross entropy over all
 * pixels, ignored ones included (`cross_entropy_loss.py` of mmsegmentation).
 */
export const losses = <B extends number, K extends number>(
  logits: Head.Logits<B, K>,
  labels: FeatureMap.Labels<B>
): Pick<Metrics, "loss" | "main" | "auxiliary" | "accuracy"> => {
  const truth = FeatureMap.labels(labels)
  const pixels = pixelsOf(logits.main, labels)
  const main = crossEntropyExcept(pixels, truth, IGNORED)
  const right = accuracy(pixels, truth)
  if (logits.auxiliary === undefined) return { loss: main, main, accuracy: right }
  const auxiliary = scale(crossEntropyExcept(pixelsOf(logits.auxiliary, labels), truth, IGNORED), AUXILIARY)
  return { loss: add(main, auxiliary), main, auxiliary, accuracy: right }
}

// The parts of a head are a type parameter, so TypeScript cannot compute the type of a record with them.
const typed = <A>(record: object): A => Tree.map<A>(record, (leaf) => leaf)

/** Makes a step of supervised training on batches of `B` images. */
export const step = <B extends number, const N extends Segmenter.Sizes, Q extends Head.Parts>(
  sizes: Readonly<N>,
  batch: { readonly size: B; readonly dropPath: boolean; readonly dropout: boolean },
  options: { readonly head: Segmenter.HeadOf<N, Q>; readonly adamw: AdamW.Options }
): TrainStep<State<N, Q>, Batch<B, N, Q>, Metrics> => {
  const { dropPath, dropout, size } = batch
  const { adamw, head } = options
  const image: Readonly<N["image"]> = sizes.image
  return {
    name: "segment",
    state: typed<SpecOf<State<N, Q>>>({
      ...AdamW.stateSpec(Segmenter.spec(sizes, head), adamw),
      running: head.running
    }),
    batch: typed<SpecOf<Batch<B, N, Q>>>({
      images: PatchGrid.images(sizes, size),
      labels: { shape: [size, image[0], image[1]], dtype: "int32", split: "rows" },
      ...(dropPath ? { dropPath: DropPath.spec(sizes.depth, size) } : {}),
      ...(dropout ? { dropout: head.dropout(size) } : {}),
      hyper: AdamW.hyperSpec(adamw)
    }),
    run: ({ running, ...state }, { dropPath, dropout, hyper, images, labels }) => {
      const { aux, gradients, loss } = valueAndGradient((params: Segmenter.Params<N, Q>) => {
        const norms = Norms.training()
        const logits = Segmenter.forward<B, N, Q>(head, params, images, sizes, { norms, running, dropPath, dropout })
        const { loss, ...metrics } = losses(logits, FeatureMap.labelsOfAnySides(labels))
        return { loss, aux: { metrics, running: norms.after(running) } }
      }, state.parameters)
      const { finite, norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
      const before = new Map(Tree.leaves<Tensor<Shape>>(running))
      return {
        metrics: { loss, ...pmean(aux.metrics), gradientNorm: norm },
        state: {
          ...next,
          running: Tree.map<Q["running"]>(
            aux.running,
            (leaf, path) => select(finite, leaf as Tensor<Shape>, before.get(path)!)
          )
        }
      }
    }
  }
}

/** A trained segmenter. */
export interface Weights<N extends Segmenter.Sizes, Q extends Head.Parts> {
  readonly parameters: Segmenter.Params<N, Q>
  readonly running: Q["running"]
}

/** Makes the inference of logits `[B, K, Y, X]`, one for each class and pixel of standardised images. */
export const logits = <B extends number, const N extends Segmenter.Sizes, Q extends Head.Parts>(
  sizes: Readonly<N>,
  batchSize: B,
  head: Segmenter.HeadOf<N, Q>
): Inference<
  Weights<N, Q>,
  { readonly images: PatchGrid.Images<B, N> },
  { readonly logits: Tensor<[B, N["classes"], N["image"][0], N["image"][1]]> }
> => ({
  name: "segmentation logits",
  weights: typed<SpecOf<Weights<N, Q>>>({ parameters: Segmenter.spec(sizes, head), running: head.running }),
  batch: { images: PatchGrid.images(sizes, batchSize) },
  run: ({ parameters, running }, { images }) => {
    const { main } = Segmenter.forward<B, N, Q>(head, parameters, images, sizes, { norms: Norms.evaluating, running })
    return { logits: FeatureMap.channelsFirst(Segmenter.enlarged(main, sizes)) }
  }
})
