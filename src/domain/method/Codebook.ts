/**
 * Statistics of how a codebook is used by the codes of a set of patches.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Codebook } from "patchword/domain"
 *
 * const counts = Codebook.count(Int32Array.of(0, 2, 2, 0, 3, 3), 5)
 * assert.deepStrictEqual([...counts], [2, 0, 2, 2, 0])
 * assert.strictEqual(Codebook.usage(counts), 3)
 * assert.ok(Math.abs(Codebook.perplexity(counts) - 3) < 1e-12)
 * assert.deepStrictEqual(Codebook.dead(counts), [1, 4])
 * ```
 */

/** Positions per code, `[size]`. Counts may be weighted, so any array of numbers of at least 0 serves. */
export type Counts = ArrayLike<number>

/** Counts codes. Codes outside `0 .. size - 1` are a defect. */
export const count = (codes: Iterable<number>, size: number): Int32Array => {
  const counts = new Int32Array(size)
  for (const code of codes) {
    if (!(code >= 0 && code < size)) throw new RangeError(`codebook: code ${code} is not in 0..${size - 1}`)
    counts[code]!++
  }
  return counts
}

/** How many codes occur. */
export const usage = (counts: Counts): number => Array.from(counts).filter((n) => n > 0).length

/** The codes that never occur, ascending. */
export const dead = (counts: Counts): ReadonlyArray<number> =>
  Array.from(counts, (n, code) => (n > 0 ? -1 : code)).filter((code) => code >= 0)

/** The entropy of the distribution of codes, in nats; 0 when nothing was counted. */
export const entropy = (counts: Counts): number => {
  const all = Array.from(counts)
  const total = all.reduce((a, b) => a + b, 0)
  return all.reduce((sum, n) => (n > 0 ? sum - (n / total) * Math.log(n / total) : sum), 0)
}

/**
 * The exponential of the entropy: how many equally frequent codes would be as hard to guess. From 1 to the usage; 0 when
 * nothing was counted.
 */
export const perplexity = (counts: Counts): number => (usage(counts) === 0 ? 0 : Math.exp(entropy(counts)))

/** A code and how often it occurs. */
export interface Frequency {
  readonly code: number
  readonly count: number
}

/** The `n` most frequent of the codes that occur, most frequent first, equal ones in the order of their numbers. */
export const mostUsed = (counts: Counts, n: number): ReadonlyArray<Frequency> =>
  Array.from(counts, (times, code): Frequency => ({ code, count: times }))
    .filter((frequency) => frequency.count > 0)
    .toSorted((a, b) => b.count - a.count || a.code - b.code)
    .slice(0, n)

/** How two encodings of the same patches differ. */
export interface Churn {
  /** The share of positions whose code changed, 0 to 1. */
  readonly changed: number
  /** Codes that occur only in the later encoding, ascending. */
  readonly appeared: ReadonlyArray<number>
  /** Codes that occur only in the earlier encoding, ascending. */
  readonly vanished: ReadonlyArray<number>
}

const ascending = (codes: ReadonlyArray<number>) => codes.toSorted((a, b) => a - b)

/** Compares the codes of the same positions at two times, say after two epochs. */
export const churn = (before: Int32Array, after: Int32Array): Churn => {
  if (before.length !== after.length) {
    throw new RangeError(
      `codebook: ${before.length} codes before but ${after.length} after; churn compares the same positions`
    )
  }
  const changed = before.reduce((n, code, i) => n + (code === after[i] ? 0 : 1), 0)
  const [earlier, later] = [new Set(before), new Set(after)]
  return {
    changed: before.length === 0 ? 0 : changed / before.length,
    appeared: ascending([...later].filter((code) => !earlier.has(code))),
    vanished: ascending([...earlier].filter((code) => !later.has(code)))
  }
}
