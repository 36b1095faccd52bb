/** Predicts the classes of the pixels of images. */
import { Effect } from "effect"
import type { LabelMap } from "../../domain/pixels/LabelMap.ts"
import { type ImageSet, lend } from "../../layers/images/reading/ImageSet.ts"
import type { Segmenter } from "../trained/Segmenter.ts"
import * as Segmentation from "./Segmentation.ts"

/** A class of pixels with its share of an image. */
export interface Share {
  readonly class: string
  /** The share of the pixels, 0 to 1. */
  readonly share: number
}

/** The classes of the pixels of one image. */
export interface PredictedPixels {
  /** Its index in the set. */
  readonly index: number
  /** The class of each pixel, at the size of the image. */
  readonly labels: LabelMap
  /** The classes that occur, the most frequent first. Equal ones are in order of class number. */
  readonly shares: ReadonlyArray<Share>
}

const sharesOf = ({ data }: LabelMap, classes: ReadonlyArray<string>): ReadonlyArray<Share> => {
  const counts = classes.map(() => 0)
  for (const label of data) counts[label]!++
  return classes.flatMap((name, label) =>
    counts[label] === 0 ? [] : [{ class: name, share: counts[label]! / data.length }]
  )
    .toSorted((a, b) => b.share - a.share)
}

/**
 * Finds the class of each pixel of the images of a set, and calls `use` with one image after another. Annotations of the set are
 * not read.
 *
 * Fails with `OutputError` if a logit is not finite, and as the engine, the images and `use` fail.
 */
export const predictPixels = Effect.fn("patchword.predictPixels")(function*<E, R>(
  segmenter: Segmenter,
  set: ImageSet,
  use: (image: PredictedPixels) => Effect.Effect<void, E, R>,
  options: Segmentation.LookOptions = {}
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const labelsOf = yield* Segmentation.open(segmenter, options)
  for (let index = 0; index < set.length; index++) {
    const labels = yield* lend(set, index, (picture) => labelsOf(picture, set.describe(index)))
    yield* use({ index, labels, shares: sharesOf(labels, segmenter.classes) })
  }
}, Effect.scoped)
