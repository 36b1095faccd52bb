/** Predicts the classes of images, with their probabilities. */
import { Effect } from "effect"
import * as Metrics from "../../domain/evaluation/Metrics.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type { Classifier } from "../trained/Classifier.ts"
import * as Logits from "./Logits.ts"

/** A predicted class. */
export interface Prediction {
  readonly class: string
  /** The softmax of the logits over all classes, 0 to 1. */
  readonly probability: number
}

/** The most probable classes of one image. */
export interface Predicted {
  /** Its index in the set. */
  readonly index: number
  /** The most probable class first. Equal ones are in order of class number. */
  readonly predictions: ReadonlyArray<Prediction>
}

/** The options of predictions. */
export interface PredictOptions {
  /** Number of classes for each image; by default 5, or all if the classifier knows fewer. */
  readonly top?: number
}

/**
 * Predicts the most probable classes of the central views of a set, and calls `use` with a few images at a time, in order. Only
 * these are held in memory. The labels of the set are not read.
 *
 * Fails with `OutputError` if a logit is not finite, and as the engine, the images and `use` fail.
 */
export const predict = Effect.fn("patchword.predict")(function*<E, R>(
  classifier: Classifier,
  set: ImageSet,
  use: (images: ReadonlyArray<Predicted>) => Effect.Effect<void, E, R>,
  options: PredictOptions = {}
) {
  const { top = 5 } = options
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { classes } = classifier
  const logitsOf = yield* Logits.open(classifier, Logits.batchSize(set))
  yield* logitsOf(set, (logits, places) =>
    use(places.map((index, row) => ({
      index,
      predictions: Metrics.ranked(logits.subarray(row * classes.length, (row + 1) * classes.length), top)
        .map(({ label, probability }) => ({ class: classes[label]!, probability }))
    }))))
}, Effect.scoped)
