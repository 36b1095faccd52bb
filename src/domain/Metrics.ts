/**
 * How well predictions meet labels.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Metrics } from "patchword/domain"
 *
 * const logits = Float32Array.of(3, 1, 2, 0, 5, 4)
 * assert.deepStrictEqual(Metrics.predictions(logits, 3), Int32Array.of(0, 1))
 * assert.strictEqual(Metrics.topK(logits, Int32Array.of(2, 1), 3, 1), 0.5)
 * assert.strictEqual(Metrics.topK(logits, Int32Array.of(2, 1), 3, 2), 1)
 * ```
 */

const examples = (logits: Float32Array, classes: number): ReadonlyArray<Float32Array> => {
  if (logits.length % classes !== 0) {
    throw new RangeError(`metrics: ${logits.length} logits are not a whole number of examples of ${classes} classes`)
  }
  return Array.from({ length: logits.length / classes }, (_, i) => logits.subarray(i * classes, (i + 1) * classes))
}

/** The class of the greatest logit of each example; of equal ones the first. `logits` is `[B, classes]`, row-major. */
export const predictions = (logits: Float32Array, classes: number): Int32Array =>
  Int32Array.from(
    examples(logits, classes),
    (row) => row.reduce((best, logit, i) => (logit > row[best]! ? i : best), 0)
  )

/**
 * The share of examples whose label is among the `k` greatest logits, 0 to 1; equal logits rank by class number. An example
 * whose label has a logit of NaN counts as wrong. 0 when there are no examples.
 */
export const topK = (logits: Float32Array, labels: Int32Array, classes: number, k: number): number => {
  const rows = examples(logits, classes)
  if (rows.length !== labels.length) {
    throw new RangeError(`metrics: ${rows.length} rows of logits but ${labels.length} labels`)
  }
  const right = rows.filter((row, i) => {
    const label = labels[i]!
    const own = row[label]!
    const better = row.reduce((n, logit, j) => n + (logit > own || (logit === own && j < label) ? 1 : 0), 0)
    return better < k && !Number.isNaN(own)
  })
  return rows.length === 0 ? 0 : right.length / rows.length
}

/** How often each class (row) was taken for each class (column): `[classes, classes]`, row-major. */
export const confusion = (predicted: Int32Array, labels: Int32Array, classes: number): Int32Array => {
  if (predicted.length !== labels.length) {
    throw new RangeError(`metrics: ${predicted.length} predictions but ${labels.length} labels`)
  }
  const counts = new Int32Array(classes * classes)
  labels.forEach((label, i) => {
    counts[label * classes + predicted[i]!]!++
  })
  return counts
}

/** The accuracy within each class, from a confusion matrix; `undefined` for classes without examples. */
export const classAccuracies = (counts: Int32Array, classes: number): ReadonlyArray<number | undefined> =>
  Array.from({ length: classes }, (_, label) => {
    const row = counts.subarray(label * classes, (label + 1) * classes)
    const total = row.reduce((a, b) => a + b, 0)
    return total === 0 ? undefined : row[label]! / total
  })

/** The mean of the accuracies of the classes that have examples, each class counting the same; 0 when none has. */
export const meanClassAccuracy = (counts: Int32Array, classes: number): number => {
  const known = classAccuracies(counts, classes).filter((accuracy) => accuracy !== undefined)
  return known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length
}
