/** The features of a frozen network: one vector per image. */
import { Effect } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import type * as Pooling from "../../nn/blocks/Pooling.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { Inference as InferenceOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Backbone from "../trained/Backbone.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"
import type { FeatureSet } from "./FeatureSet.ts"

/** A network with features: the last block of a backbone or a classifier, or the encoder of a tokenizer. */
export type Network = Backbone.Backbone | Classifier.Classifier | Tokenizer.Tokenizer

/**
 * The feature of an image: the mean of the last block's patch tokens or its class token, with or without the network's final
 * norm. The final norm of a tokenizer's encoder is the one before its patch tokens are quantized.
 */
export type FeatureOptions = Pooling.Options

const BATCH = 128

const running = Effect.fnUntraced(function*<
  W,
  B extends number,
  Y extends number,
  X extends number,
  C extends number
>(
  inference: InferenceOf<W, { readonly images: Tensor<[B, 3, Y, X]> }, { readonly features: Tensor<[B, C]> }>,
  tensors: Weights.Tensors,
  images: "normalised" | "unit"
) {
  const handle = yield* Inference.open(inference, tensors)
  const { shape } = inference.batch.images
  return (batch: Batches.EvaluationBatch) =>
    Effect.map(
      handle.run({ images: HostTensor.make(shape, "float32", batch[images].data) }),
      ({ features }) => features.data
    )
})

const open = (network: Network, options: FeatureOptions) => {
  const batchSize = Dim.named("batch", BATCH)
  if ("teacherWidth" in network) {
    const sizes = Tokenizer.sizes(network.config, network.teacherWidth)
    return running(TokenizerStep.features(sizes, batchSize, options), Tokenizer.weights(network), "unit")
  }
  if ("codes" in network) {
    const sizes = Backbone.sizes(network.config, network.codes)
    return running(PretrainStep.features(sizes, batchSize, options), Backbone.weights(network), "normalised")
  }
  const sizes = Classifier.sizes(network.config, network.classes.length)
  return running(FinetuneStep.features(sizes, batchSize, options), Classifier.weights(network), "normalised")
}

/** The features of one image. */
export interface Featured {
  /** Its index in the set. */
  readonly index: number
  /** `[C]`. */
  readonly features: Float32Array
}

/**
 * Opens a network on the engine. The returned function calls `use` with a set's features `[n, C]`, row-major, and their
 * indices, in order.
 */
const opened = Effect.fnUntraced(function*(network: Network, options: FeatureOptions) {
  if ("classes" in network) yield* Classifier.checkPooling(network.config, options)
  const run = yield* open(network, options)
  const { config } = network
  const { imageSize, width } = "encoder" in config ? config.encoder : config.vit
  const each = <A, E, R>(
    set: ImageSet,
    use: (rows: Float32Array, places: ReadonlyArray<number>) => Effect.Effect<A, E, R>
  ) =>
    Batches.evaluation(
      { set, batchSize: BATCH, size: imageSize, augment: config.augment },
      Effect.fnUntraced(function*(batch) {
        const rows = yield* run(batch)
        yield* Outputs.checkFinite("features", rows, {
          rows: BATCH,
          valid: batch.valid,
          describe: (row) => set.describe(batch.indices[row]!)
        })
        return yield* use(rows.subarray(0, batch.valid * width), batch.indices.slice(0, batch.valid))
      })
    )
  return { width, each }
})

/**
 * Computes the features of the central views of a set, and calls `use` with a few images at a time, in order. Only these are
 * held in memory. Fails as {@link features} does, and as `use` fails.
 */
export const streamFeatures = Effect.fn("patchword.streamFeatures")(function*<E, R>(
  network: Network,
  set: ImageSet,
  options: FeatureOptions,
  use: (images: ReadonlyArray<Featured>) => Effect.Effect<void, E, R>
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { each, width } = yield* opened(network, options)
  yield* each(
    set,
    (rows, places) => use(places.map((index, row) => ({ index, features: rows.slice(row * width, (row + 1) * width) })))
  )
}, Effect.scoped)

/**
 * Computes the features of the central views of whole sets. Fails with `OutputError` if they are not finite, and as the engine
 * and the images fail.
 */
export const features = Effect.fn("patchword.features")(function*(
  network: Network,
  sets: ReadonlyArray<ImageSet>,
  options: FeatureOptions
) {
  yield* Effect.annotateCurrentSpan({
    "patchword.splits": sets.map(({ name }) => name),
    "patchword.images": sets.reduce((sum, { length }) => sum + length, 0)
  })
  const { each, width } = yield* opened(network, options)
  return yield* Effect.forEach(
    sets,
    Effect.fnUntraced(function*(set) {
      const values = new Float32Array(set.length * width)
      yield* each(set, (rows, [first = 0]) => Effect.sync(() => values.set(rows, first * width)))
      const { among, classes, digest, labelSource, labels, name } = set
      const found: FeatureSet = {
        name,
        classes,
        labels,
        digest,
        ...(labelSource === undefined ? {} : { labelSource }),
        ...(among === undefined ? {} : { among }),
        features: HostTensor.make([set.length, width], "float32", values)
      }
      return found
    })
  )
}, Effect.scoped)
