/**
 * Accuracy, its confidence interval, and other measures of predictions.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Metrics } from "patchword/domain"
 *
 * const logits = Float32Array.of(3, 1, 2, 0, 5, 4)
 * assert.deepStrictEqual(Metrics.predictions(logits, 3), Int32Array.of(0, 1))
 * assert.strictEqual(Metrics.topK(logits, Int32Array.of(2, 1), 3, 1), 0.5)
 * assert.strictEqual(Metrics.topK(logits, Int32Array.of(2, 1), 3, 2), 1)
 * assert.deepStrictEqual(Metrics.columns(logits, 3, [0, 2]), Float32Array.of(3, 2, 0, 4))
 * ```
 */

const examples = (logits: Float32Array, classes: number): ReadonlyArray<Float32Array> => {
  if (logits.length % classes !== 0) {
    throw new RangeError(`metrics: ${logits.length} logits are not a whole number of examples of ${classes} classes`)
  }
  return Array.from({ length: logits.length / classes }, (_, i) => logits.subarray(i * classes, (i + 1) * classes))
}

const inside = (what: string, numbers: Int32Array, classes: number): void => {
  const wrong = numbers.findIndex((number) => number < 0 || number >= classes)
  if (wrong !== -1) throw new RangeError(`metrics: ${what} ${wrong} is ${numbers[wrong]}, not in 0..${classes - 1}`)
}

/** Selects the logits of some classes, in the order of `chosen`: `[B, chosen]`, row-major. */
export const columns = (logits: Float32Array, classes: number, chosen: ArrayLike<number>): Float32Array => {
  const picked = Array.from(chosen)
  inside("column", Int32Array.from(picked), classes)
  return Float32Array.from(examples(logits, classes).flatMap((row) => picked.map((column) => row[column]!)))
}

/**
 * Returns the class with the highest logit of each example. Of equal logits the first wins. NaN never wins against a number.
 * `logits` is `[B, classes]`, row-major.
 */
export const predictions = (logits: Float32Array, classes: number): Int32Array =>
  Int32Array.from(
    examples(logits, classes),
    (row) => row.reduce((best, logit, i) => (logit > row[best]! || Number.isNaN(row[best]) ? i : best), 0)
  )

/**
 * Returns the `k` classes with the highest logits of one example, and their softmax probabilities over all classes. The most
 * probable class is first. Equal ones are in order of class number.
 */
export const ranked = (
  logits: Float32Array,
  k: number
): ReadonlyArray<{ readonly label: number; readonly probability: number }> => {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = Array.from(logits, (logit) => Math.exp(logit - most))
  const total = powers.reduce((a, b) => a + b, 0)
  return Array.from(logits.keys())
    .toSorted((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, k)
    .map((label) => ({ label, probability: powers[label]! / total }))
}

/**
 * Computes top-k accuracy, 0 to 1: the share of examples whose label is among the `k` highest logits. Equal logits rank by
 * class number. An example whose label has a logit of NaN is wrong. No examples give 0. A label outside of the classes is a
 * defect: `Classes` checks those that come with data.
 */
export const topK = (logits: Float32Array, labels: Int32Array, classes: number, k: number): number => {
  const rows = examples(logits, classes)
  if (rows.length !== labels.length) {
    throw new RangeError(`metrics: ${rows.length} rows of logits but ${labels.length} labels`)
  }
  inside("label", labels, classes)
  const right = rows.filter((row, i) => {
    const label = labels[i]!
    const own = row[label]!
    const better = row.reduce((n, logit, j) => n + (logit > own || (logit === own && j < label) ? 1 : 0), 0)
    return better < k && !Number.isNaN(own)
  })
  return rows.length === 0 ? 0 : right.length / rows.length
}

/**
 * Computes the 95 % confidence interval of a share: `right` of `total` independent examples (E. B. Wilson, 1927). It stays
 * within 0 and 1, and has a width if all or none are right. An interval of one standard deviation to both sides does neither.
 */
export const interval = (right: number, total: number): readonly [low: number, high: number] => {
  if (total === 0) return [0, 1]
  const z = 1.959963984540054
  const share = right / total
  const middle = share + z * z / (2 * total)
  const reach = z * Math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
  const whole = 1 + z * z / total
  // Rounding would leave bounds of 3e-17, and of a little less than 1.
  return [right === 0 ? 0 : (middle - reach) / whole, right === total ? 1 : (middle + reach) / whole]
}

/** Computes the confusion matrix `[classes, classes]`, row-major. Rows are labels, columns predictions. */
export const confusion = (predicted: Int32Array, labels: Int32Array, classes: number): Int32Array => {
  if (predicted.length !== labels.length) {
    throw new RangeError(`metrics: ${predicted.length} predictions but ${labels.length} labels`)
  }
  inside("prediction", predicted, classes)
  inside("label", labels, classes)
  const counts = new Int32Array(classes * classes)
  labels.forEach((label, i) => {
    counts[label * classes + predicted[i]!]!++
  })
  return counts
}

/** Computes the accuracy of each class from a confusion matrix; `undefined` for classes without examples. */
export const classAccuracies = (counts: Int32Array, classes: number): ReadonlyArray<number | undefined> => {
  if (counts.length !== classes * classes) {
    throw new RangeError(`metrics: ${counts.length} counts are no confusion matrix of ${classes} classes`)
  }
  return Array.from({ length: classes }, (_, label) => {
    const row = counts.subarray(label * classes, (label + 1) * classes)
    const total = row.reduce((a, b) => a + b, 0)
    return total === 0 ? undefined : row[label]! / total
  })
}

/** Computes the mean accuracy of the classes that have examples. Each class counts the same. It is 0 if no class has any. */
export const meanClassAccuracy = (counts: Int32Array, classes: number): number => {
  const known = classAccuracies(counts, classes).filter((accuracy) => accuracy !== undefined)
  return known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length
}
