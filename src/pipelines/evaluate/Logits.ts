/** Computes the logits of a classifier, a few images at a time. */
import { Effect } from "effect"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Inference from "../trained/Inference.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"

const BATCH = 128

/** Returns the number of images of the batches in which the logits of sets are computed. */
export const batchSize = (...sets: ReadonlyArray<ImageSet>): number => Batches.fitting(BATCH, ...sets)

/**
 * Opens a classifier on the engine, for batches of `images` images. The returned function calls `use` with a set's logits `[n, K]`, row-major, and their
 * indices, in order. `augment` makes the views, by default that of the classifier's configuration.
 */
export const open = Effect.fnUntraced(function*(classifier: Classifier.Classifier, images: number) {
  const { classes, config } = classifier
  const inference = FinetuneStep.logits(Classifier.sizes(config, classes.length), Dim.named("batch", images))
  const handle = yield* Inference.open(inference, Classifier.weights(classifier))
  return <A, E, R>(
    set: ImageSet,
    use: (logits: Float32Array, places: ReadonlyArray<number>) => Effect.Effect<A, E, R>,
    augment = config.augment
  ) =>
    Batches.evaluation(
      { set, batchSize: images, size: config.vit.imageSize, augment },
      Effect.fnUntraced(function*({ indices, normalised, valid }) {
        const { logits } = yield* handle.run({
          images: HostTensor.make(inference.batch.images.shape, "float32", normalised.data)
        })
        yield* Outputs.checkFinite("logits", logits.data, {
          rows: images,
          valid,
          describe: (row) => set.describe(indices[row]!)
        })
        return yield* use(logits.data.subarray(0, valid * classes.length), indices.slice(0, valid))
      })
    )
})
