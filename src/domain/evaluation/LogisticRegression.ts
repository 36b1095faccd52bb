/**
 * Multinomial logistic regression in 64 bits: its loss and gradient for `Lbfgs`. The bias is not penalised.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Lbfgs, LogisticRegression } from "patchword/domain"
 *
 * const examples = { features: Float32Array.of(-1, 1), labels: Int32Array.of(0, 1), width: 1, classes: 2 }
 * const search = Lbfgs.minimise(LogisticRegression.start(examples), { iterations: 100, tolerance: 1e-12 })
 * let next = search.next()
 * while (!next.done) next = search.next(LogisticRegression.evaluate(examples, next.value, 0.1))
 * const logits = LogisticRegression.logits(examples, next.value)
 * assert.ok(logits[0]! > logits[1]! && logits[2]! < logits[3]!)
 * ```
 */
import type * as Lbfgs from "./Lbfgs.ts"

/** Labelled rows of features. */
export interface Examples {
  /** `[N, C]`, row-major. */
  readonly features: Float32Array
  /** `[N]`. */
  readonly labels: Int32Array
  /** Number of features, C. */
  readonly width: number
  /** Number of classes, K. */
  readonly classes: number
}

/** So many rows share what is in the processor's cache. */
const ROWS = 16

/** Creates the point of zeros. A point holds the weights `[K, C]`, row-major, then the biases `[K]`. */
export const start = (examples: Pick<Examples, "classes" | "width">): Float64Array => {
  const { classes, width } = examples
  return new Float64Array((width + 1) * classes)
}

/** Computes the logits of rows `from` to `to - 1`, `[to - from, K]`. */
const score = (
  { classes, features, width }: Omit<Examples, "labels">,
  point: Float64Array,
  [from, to]: readonly [number, number],
  into: Float64Array
): void => {
  for (let k = 0; k < classes; k++) {
    const weight = k * width
    for (let row = from; row < to; row++) {
      const first = row * width
      // Sums in four parts do not wait for each other.
      let [a, b, c, d] = [0, 0, 0, 0]
      let i = 0
      for (; i + 3 < width; i += 4) {
        a += features[first + i]! * point[weight + i]!
        b += features[first + i + 1]! * point[weight + i + 1]!
        c += features[first + i + 2]! * point[weight + i + 2]!
        d += features[first + i + 3]! * point[weight + i + 3]!
      }
      for (; i < width; i++) a += features[first + i]! * point[weight + i]!
      into[(row - from) * classes + k] = a + b + (c + d) + point[classes * width + k]!
    }
  }
}

/** Replaces the logits of one row by the derivatives of its cross entropy, and returns the cross entropy. */
const surprise = (row: Float64Array, label: number): number => {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity)
  const own = row[label]! - most
  let total = 0
  for (let k = 0; k < row.length; k++) total += row[k] = Math.exp(row[k]! - most)
  for (let k = 0; k < row.length; k++) row[k]! /= total
  row[label]! -= 1
  return Math.log(total) - own
}

/**
 * Computes the mean cross entropy plus `l2 / 2` times the squared norm of the weights, and its gradient. scikit-learn's C is
 * `1 / (l2 N)`. The generator pauses a few times in a second for large data, so that other work can be done.
 */
export function* steps(examples: Examples, point: Float64Array, l2: number): Generator<void, Lbfgs.Evaluation, void> {
  const { classes, features, labels, width } = examples
  const count = labels.length
  const gradient = start(examples)
  const block = new Float64Array(ROWS * classes)
  const rowsPerPause = Math.max(ROWS, ROWS * Math.floor(PAUSE / (ROWS * classes * width)))
  let value = 0
  for (let from = 0; from < count; from += ROWS) {
    const to = Math.min(count, from + ROWS)
    score(examples, point, [from, to], block)
    for (let row = from; row < to; row++) {
      value += surprise(block.subarray((row - from) * classes, (row - from + 1) * classes), labels[row]!) / count
    }
    for (let k = 0; k < classes; k++) {
      for (let row = from; row < to; row++) {
        const pull = block[(row - from) * classes + k]! / count
        const [own, first] = [k * width, row * width]
        for (let i = 0; i < width; i++) gradient[own + i]! += pull * features[first + i]!
        gradient[classes * width + k]! += pull
      }
    }
    if (to % rowsPerPause === 0 && to < count) yield
  }
  for (let i = 0; i < classes * width; i++) {
    value += l2 / 2 * point[i]! ** 2
    gradient[i]! += l2 * point[i]!
  }
  return { value, gradient }
}

/** So many products are done between two pauses. */
const PAUSE = 1e7

/** Computes {@link steps} without a pause. */
export const evaluate = (examples: Examples, point: Float64Array, l2: number): Lbfgs.Evaluation => {
  const run = steps(examples, point, l2)
  let next = run.next()
  while (next.done !== true) next = run.next()
  return next.value
}

/** Computes the logits of all rows, `[N, K]`, row-major. */
export const logits = (rows: Omit<Examples, "labels">, point: Float64Array): Float32Array => {
  const { classes, features, width } = rows
  const count = features.length / width
  const found = new Float32Array(count * classes)
  const block = new Float64Array(ROWS * classes)
  for (let from = 0; from < count; from += ROWS) {
    const to = Math.min(count, from + ROWS)
    score(rows, point, [from, to], block)
    found.set(block.subarray(0, (to - from) * classes), from * classes)
  }
  return found
}
