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
 * const logits = LogisticRegression.logits(examples, next.value.point)
 * assert.ok(logits[0]! > logits[1]! && logits[2]! < logits[3]!)
 * ```
 */
import { finish, type Pausable } from "../values/Pausable.ts"
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

/** So many rows are computed together. Four of them share each weight that is read. */
const ROWS = 16

/** Creates the point of zeros. A point holds the weights `[K, C]`, row-major, then the biases `[K]`. */
export const start = (examples: Pick<Examples, "classes" | "width">): Float64Array => {
  const { classes, width } = examples
  return new Float64Array((width + 1) * classes)
}

/** Rows that are computed together. Rows after the end are zeros. */
interface Block {
  /** `[ROWS, C]` in 64 bits. */
  readonly rows: Float64Array
  /** Logits, then derivatives, `[ROWS, K]`. */
  readonly logits: Float64Array
}

const blockOf = ({ classes, width }: Pick<Examples, "classes" | "width">): Block => ({
  rows: new Float64Array(ROWS * width),
  logits: new Float64Array(ROWS * classes)
})

/** Loads rows `from` to `to - 1` into a block. */
const load = (features: Float32Array, width: number, from: number, to: number, { rows }: Block): void => {
  rows.set(features.subarray(from * width, to * width))
  rows.fill(0, (to - from) * width)
}

/** Computes the logits of a block. Two classes and four rows at a time: eight sums that do not wait for each other. */
const score = (classes: number, width: number, point: Float64Array, { logits, rows }: Block): void => {
  const bias = classes * width
  for (let k = 0; k < classes; k += 2) {
    const l = Math.min(k + 1, classes - 1)
    const [one, two] = [k * width, l * width]
    for (let row = 0; row < ROWS; row += 4) {
      const [r, s, t, u] = [row * width, (row + 1) * width, (row + 2) * width, (row + 3) * width]
      let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0]
      for (let i = 0; i < width; i++) {
        const v = point[one + i]!
        const w = point[two + i]!
        const x = rows[r + i]!
        const y = rows[s + i]!
        const z = rows[t + i]!
        const q = rows[u + i]!
        a += x * v
        b += y * v
        c += z * v
        d += q * v
        e += x * w
        f += y * w
        g += z * w
        h += q * w
      }
      const at = row * classes
      // Of an odd number of classes the last one is computed twice.
      logits[at + l] = e + point[bias + l]!
      logits[at + classes + l] = f + point[bias + l]!
      logits[at + 2 * classes + l] = g + point[bias + l]!
      logits[at + 3 * classes + l] = h + point[bias + l]!
      logits[at + k] = a + point[bias + k]!
      logits[at + classes + k] = b + point[bias + k]!
      logits[at + 2 * classes + k] = c + point[bias + k]!
      logits[at + 3 * classes + k] = d + point[bias + k]!
    }
  }
}

/** Adds the derivatives of a block to those of the weights and biases. */
const pull = (classes: number, width: number, gradient: Float64Array, { logits, rows }: Block): void => {
  const bias = classes * width
  for (let row = 0; row < ROWS; row += 4) {
    const [r, s, t, u] = [row * width, (row + 1) * width, (row + 2) * width, (row + 3) * width]
    const at = row * classes
    for (let k = 0; k < classes; k += 2) {
      // Of an odd number of classes the last one is computed twice, and stored once: both sums are read before.
      const l = Math.min(k + 1, classes - 1)
      const [one, two] = [k * width, l * width]
      const [a, b] = [logits[at + k]!, logits[at + classes + k]!]
      const [c, d] = [logits[at + 2 * classes + k]!, logits[at + 3 * classes + k]!]
      const [e, f] = [logits[at + l]!, logits[at + classes + l]!]
      const [g, h] = [logits[at + 2 * classes + l]!, logits[at + 3 * classes + l]!]
      for (let i = 0; i < width; i++) {
        const x = rows[r + i]!
        const y = rows[s + i]!
        const z = rows[t + i]!
        const q = rows[u + i]!
        const first = gradient[one + i]! + a * x + b * y + c * z + d * q
        const second = gradient[two + i]! + e * x + f * y + g * z + h * q
        gradient[one + i] = first
        gradient[two + i] = second
      }
      const [first, second] = [gradient[bias + k]! + a + b + c + d, gradient[bias + l]! + e + f + g + h]
      gradient[bias + k] = first
      gradient[bias + l] = second
    }
  }
}

/**
 * Replaces the logits of the row at `at` by the derivatives of its cross entropy times `share`, and returns the cross entropy.
 */
const surprise = (logits: Float64Array, at: number, classes: number, label: number, share: number): number => {
  let most = -Infinity
  for (let k = at; k < at + classes; k++) most = Math.max(most, logits[k]!)
  const own = logits[at + label]! - most
  let total = 0
  for (let k = at; k < at + classes; k++) total += logits[k] = Math.exp(logits[k]! - most)
  for (let k = at; k < at + classes; k++) logits[k]! *= share / total
  logits[at + label]! -= share
  return Math.log(total) - own
}

/**
 * Computes the mean cross entropy plus `l2 / 2` times the squared norm of the weights, and its gradient. scikit-learn's C is
 * `1 / (l2 N)`. The generator pauses a few times in a second for large data, so that other work can be done.
 */
export function* steps(examples: Examples, point: Float64Array, l2: number): Pausable<Lbfgs.Evaluation> {
  const { classes, features, labels, width } = examples
  const count = labels.length
  const gradient = start(examples)
  const block = blockOf(examples)
  const rowsPerPause = Math.max(ROWS, ROWS * Math.floor(PAUSE / (ROWS * classes * width)))
  let value = 0
  for (let from = 0; from < count; from += ROWS) {
    const to = Math.min(count, from + ROWS)
    load(features, width, from, to, block)
    score(classes, width, point, block)
    for (let row = from; row < to; row++) {
      value += surprise(block.logits, (row - from) * classes, classes, labels[row]!, 1 / count) / count
    }
    block.logits.fill(0, (to - from) * classes)
    pull(classes, width, gradient, block)
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
export const evaluate = (examples: Examples, point: Float64Array, l2: number): Lbfgs.Evaluation =>
  finish(steps(examples, point, l2))

/** Computes the logits of all rows, `[N, K]`, row-major. */
export const logits = (rows: Omit<Examples, "labels">, point: Float64Array): Float32Array => {
  const { classes, features, width } = rows
  const count = features.length / width
  const found = new Float32Array(count * classes)
  const block = blockOf(rows)
  for (let from = 0; from < count; from += ROWS) {
    const to = Math.min(count, from + ROWS)
    load(features, width, from, to, block)
    score(classes, width, point, block)
    found.set(block.logits.subarray(0, (to - from) * classes), from * classes)
  }
  return found
}
