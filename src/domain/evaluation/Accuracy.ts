/**
 * The accuracy of a classifier on a split. It comes with the number of images, a confidence interval, and the accuracy of
 * always answering one class.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Accuracy, Classes } from "patchword/domain"
 *
 * const train = { name: "train", classes: ["cat", "dog"], labels: Int32Array.of(0, 1) }
 * const val = { name: "val", classes: ["dog", "cat"], labels: Int32Array.of(0, 0, 1) }
 * const met = Result.getOrThrow(Classes.meet(train, val))
 * const figure = Accuracy.measure(met, Float32Array.of(0, 1, 0, 1, 0, 1))
 * assert.strictEqual(figure.top1, 2 / 3)
 * assert.strictEqual(figure.largestClass, 2 / 3)
 * ```
 */
import { Schema } from "effect"
import * as Quantity from "../values/Quantity.ts"
import * as Classes from "./Classes.ts"
import * as Metrics from "./Metrics.ts"

const TOP = 5

/** The accuracy of one split. Shares lie in [0, 1]. */
export const Accuracy = Schema.Struct({
  split: Schema.String,
  images: Quantity.Whole,
  /** Number of possible answers. */
  classes: Quantity.Count,
  /** Top-1 accuracy: the share of images whose label has the highest score. */
  top1: Quantity.Share,
  /**
   * Top-5 accuracy: the share of images whose label has one of the five highest scores. Absent if there are at most five
   * answers.
   */
  top5: Schema.optionalKey(Quantity.Share),
  /** The 95 % confidence interval of `top1`, for independent images. */
  interval: Schema.Tuple([Quantity.Share, Quantity.Share]),
  /** Accuracy of always answering the most frequent class of the split. */
  largestClass: Quantity.Share
})
export type Accuracy = typeof Accuracy.Type

/** Returns the share of a set's images that belong to its most frequent class; 0 for an empty set. */
export const largestClass = (set: Pick<Classes.Labelled, "classes" | "labels">): number =>
  set.labels.length === 0 ? 0 : Math.max(...Classes.count(set)) / set.labels.length

/** Counts of right answers, while the scores of a split arrive. */
export interface Tally {
  /** Adds the scores of the learned classes, `[n, classes]`, row-major, of the images at `places`. */
  readonly add: (scores: Float32Array, places: ReadonlyArray<number>) => void
  /** Returns the accuracy. Images without scores count as wrong. */
  readonly figure: () => Accuracy
}

/** Begins to count the right answers on a split. Scores are not kept. */
export const tally = (met: Classes.Met): Tally => {
  const { among, classes, labels, set } = met
  const possible = among?.length ?? classes.length
  const answers = among === undefined ? undefined : new Map(Array.from(among, (number, place) => [number, place]))
  const counts = { 1: 0, [TOP]: 0 }
  return {
    add: (scores, places) => {
      const sought = among === undefined ? scores : Metrics.columns(scores, classes.length, among)
      const truth = Int32Array.from(places, (place) => {
        const label = labels[place]!
        return answers === undefined ? label : answers.get(label) ?? -1
      })
      for (const k of [1, TOP] as const) {
        counts[k] += Math.round(Metrics.topK(sought, truth, possible, k) * truth.length)
      }
    },
    figure: () => {
      const share = (k: 1 | typeof TOP) => labels.length === 0 ? 0 : counts[k] / labels.length
      return {
        split: set.name,
        images: labels.length,
        classes: possible,
        top1: share(1),
        ...(possible > TOP ? { top5: share(TOP) } : {}),
        interval: Metrics.interval(counts[1], labels.length),
        largestClass: largestClass({ classes, labels })
      }
    }
  }
}

/** Computes the accuracy of a split from scores of the learned classes, `[N, classes]`, row-major. */
export const measure = (met: Classes.Met, scores: Float32Array): Accuracy => {
  const counted = tally(met)
  counted.add(scores, Array.from(met.labels.keys()))
  return counted.figure()
}
