/**
 * Mean intersection over union of predicted and true class maps. Counts are summed over all images of a set and divided at the
 * end, as for ADE20K (mmsegmentation's `intersect_and_union`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { MeanIou } from "patchword/domain"
 *
 * const counts = MeanIou.add(MeanIou.empty(3), Int32Array.of(0, 0, 1, 1), Int32Array.of(0, 1, 1, 255))
 * const { iou, meanIou, pixelAccuracy } = MeanIou.scores(counts)
 * assert.deepStrictEqual(iou, [0.5, 0.5, undefined])
 * assert.strictEqual(meanIou, 0.5)
 * assert.strictEqual(pixelAccuracy, 2 / 3)
 * ```
 */
import { IGNORED } from "../pixels/LabelMap.ts"

/** Pixel counts of each class: by label, by prediction, and by both. Pixels without a label are not counted. */
export interface Counts {
  readonly labelled: Float64Array
  readonly predicted: Float64Array
  readonly both: Float64Array
}

export { IGNORED }

/** Returns counts of no pixels. */
export const empty = (classes: number): Counts => ({
  labelled: new Float64Array(classes),
  predicted: new Float64Array(classes),
  both: new Float64Array(classes)
})

/** Adds the pixels of one or more images to counts. Pixels whose label is `ignored` are left out. */
export const add = (
  counts: Counts,
  predicted: Int32Array | Uint8Array,
  labels: Int32Array | Uint8Array,
  ignored: number = IGNORED
): Counts => {
  if (predicted.length !== labels.length) {
    throw new RangeError(`mean IoU: ${predicted.length} predictions but ${labels.length} labels`)
  }
  const classes = counts.both.length
  const next = { labelled: counts.labelled.slice(), predicted: counts.predicted.slice(), both: counts.both.slice() }
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!
    if (label === ignored) continue
    const guess = predicted[i]!
    if (!(label >= 0 && label < classes && guess >= 0 && guess < classes)) {
      throw new RangeError(`mean IoU: pixel ${i} is ${guess} with label ${label}, but there are ${classes} classes`)
    }
    next.labelled[label]!++
    next.predicted[guess]!++
    if (label === guess) next.both[label]!++
  }
  return next
}

/** The scores of a set of images. Shares lie in [0, 1]. */
export interface Scores {
  /** IoU of each class; `undefined` for classes that are neither labelled nor predicted. */
  readonly iou: ReadonlyArray<number | undefined>
  /** The share of each class's pixels that were predicted correctly; `undefined` for classes without labels. */
  readonly accuracy: ReadonlyArray<number | undefined>
  /** Mean IoU over the classes that have one. */
  readonly meanIou: number
  /** Mean accuracy over the classes that have labels. */
  readonly meanAccuracy: number
  /** The share of labelled pixels that were predicted correctly. */
  readonly pixelAccuracy: number
}

const total = (values: Iterable<number>): number => {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

const ratio = (part: number, whole: number): number | undefined => (whole === 0 ? undefined : part / whole)

const meanOf = (shares: ReadonlyArray<number | undefined>): number => {
  const known = shares.filter((share) => share !== undefined)
  return ratio(total(known), known.length) ?? 0
}

/** Computes the scores from counts. A score without any pixel is 0. */
export const scores = (counts: Counts): Scores => {
  const { both, labelled, predicted } = counts
  const hits = Array.from(both)
  const iou = hits.map((hit, label) => ratio(hit, labelled[label]! + predicted[label]! - hit))
  const accuracy = hits.map((hit, label) => ratio(hit, labelled[label]!))
  return {
    iou,
    accuracy,
    meanIou: meanOf(iou),
    meanAccuracy: meanOf(accuracy),
    pixelAccuracy: ratio(total(hits), total(labelled)) ?? 0
  }
}

/**
 * Computes the IoU of all classes except 0 as one class, for sets whose class 0 is the background. A foreground without any pixel has
 * none.
 */
export const foreground = (counts: Counts): number | undefined => {
  const [labelled, predicted, both] = [counts.labelled, counts.predicted, counts.both].map((of) => of[0] ?? 0) as [
    number,
    number,
    number
  ]
  const pixels = total(counts.labelled)
  return ratio(pixels - labelled - predicted + both, pixels - both)
}
