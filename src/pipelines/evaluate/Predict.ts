/** The classes that a classifier sees in images, with their probabilities. */
import { Effect } from "effect"
import * as Metrics from "../../domain/evaluation/Metrics.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type { Classifier } from "../trained/Classifier.ts"
import * as Logits from "./Logits.ts"

/** A class that an image may show. */
export interface Prediction {
  readonly class: string
  /** The softmax of the logits over all classes, 0 to 1. */
  readonly probability: number
}

/** The most probable classes of one image. */
export interface Predicted {
  /** Its place in the set. */
  readonly index: number
  /** The most probable one first; equal ones rank by class number. */
  readonly predictions: ReadonlyArray<Prediction>
}

/** How many classes are told of each image. */
export interface PredictOptions {
  /** Default 5, or all where the classifier knows fewer. */
  readonly top?: number
}

/**
 * Gives the most probable classes of the central views of a set to `use`, some images at a time, in order. No more than these
 * are held in memory. The labels of the set are not read.
 *
 * Fails with `OutputError` where a logit is not finite, and as the engine, the images and `use` fail.
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
  const logitsOf = yield* Logits.open(classifier)
  yield* logitsOf(set, (logits, places) =>
    use(places.map((index, row) => ({
      index,
      predictions: Metrics.ranked(logits.subarray(row * classes.length, (row + 1) * classes.length), top)
        .map(({ label, probability }) => ({ class: classes[label]!, probability }))
    }))))
}, Effect.scoped)
