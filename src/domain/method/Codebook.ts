/**
 * Statistics of codebook usage, over the codes of a set of patches.
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

/** Number of patches of each code, `[size]`. Counts may be weighted: any numbers of at least 0 are allowed. */
export type Counts = ArrayLike<number>

/** Counts the patches of each code. Codes outside `0 .. size - 1` are a defect. */
export const count = (codes: Iterable<number>, size: number): Int32Array => {
  const counts = new Int32Array(size)
  for (const code of codes) {
    if (!(code >= 0 && code < size)) throw new RangeError(`codebook: code ${code} is not in 0..${size - 1}`)
    counts[code]!++
  }
  return counts
}

/** Returns the number of codes that occur. */
export const usage = (counts: Counts): number => Array.from(counts).filter((n) => n > 0).length

/** Returns the codes that never occur, ascending. */
export const dead = (counts: Counts): ReadonlyArray<number> =>
  Array.from(counts, (n, code) => (n > 0 ? -1 : code)).filter((code) => code >= 0)

/**
 * Returns the number of codes that occur, but less often than `share` times the count of a uniformly used code. Nobody can learn
 * much about such a code.
 */
export const rare = (counts: Counts, share: number): number => {
  const all = Array.from(counts)
  const limit = share * all.reduce((a, b) => a + b, 0) / all.length
  return all.filter((n) => n > 0 && n < limit).length
}

/** Computes the share of the most frequent code; 0 for empty counts. */
export const topShare = (counts: Counts): number => {
  const all = Array.from(counts)
  const total = all.reduce((a, b) => a + b, 0)
  return total === 0 ? 0 : all.reduce((a, b) => Math.max(a, b), 0) / total
}

/** Computes the entropy of the distribution of codes, in nats; 0 for empty counts. */
export const entropy = (counts: Counts): number => {
  const all = Array.from(counts)
  const total = all.reduce((a, b) => a + b, 0)
  return all.reduce((sum, n) => (n > 0 ? sum - (n / total) * Math.log(n / total) : sum), 0)
}

/**
 * Computes the perplexity, the exponential of the entropy: the number of equally frequent codes with the same entropy. It lies
 * between 1 and the usage; 0 for empty counts.
 */
export const perplexity = (counts: Counts): number => (usage(counts) === 0 ? 0 : Math.exp(entropy(counts)))

/** A code and its frequency. */
export interface Frequency {
  readonly code: number
  readonly count: number
}

/** Returns the `n` most frequent codes, most frequent first. Codes of equal frequency are in the order of their numbers. */
export const mostUsed = (counts: Counts, n: number): ReadonlyArray<Frequency> =>
  Array.from(counts, (times, code): Frequency => ({ code, count: times }))
    .filter((frequency) => frequency.count > 0)
    .toSorted((a, b) => b.count - a.count || a.code - b.code)
    .slice(0, n)

/** The differences between two encodings of the same patches. */
export interface Churn {
  /** The share of positions whose code changed, 0 to 1. */
  readonly changed: number
  /** Codes that occur only in the later encoding, ascending. */
  readonly appeared: ReadonlyArray<number>
  /** Codes that occur only in the earlier encoding, ascending. */
  readonly vanished: ReadonlyArray<number>
}

const ascending = (codes: ReadonlyArray<number>) => codes.toSorted((a, b) => a - b)

/** Compares the codes of the same patches at two times, such as after two epochs. */
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
