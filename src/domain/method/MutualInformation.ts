/**
 * The mutual information of codes and classes: the number of bits that the code of a patch tells about the class of its image. Divided
 * by the entropy of the classes it is the share that the codes tell, from 0 to 1, as in the evaluation of units of speech (PNMI of
 * HuBERT, Hsu and others, 2021). Few patches for each code make it too large.
 *
 * ```ts
 * import assert from "node:assert"
 * import { MutualInformation } from "patchword/domain"
 *
 * // Two codes and two classes: each code tells the class.
 * const { bits, normalised } = MutualInformation.of(Int32Array.of(5, 0, 0, 5), 2)
 * assert.deepStrictEqual([bits, normalised], [1, 1])
 * ```
 */

/** The numbers of patches by code and class, `[codes, classes]`, row-major. */
export type Counts = ArrayLike<number>

/** The figures of a table of codes and classes, in bits. */
export interface MutualInformation {
  /** The mutual information. */
  readonly bits: number
  readonly classEntropy: number
  readonly codeEntropy: number
  /** The mutual information divided by the entropy of the classes; 0 if there is one class. */
  readonly normalised: number
}

const sums = (counts: Counts, classes: number) => {
  const byCode = new Float64Array(classes === 0 ? 0 : counts.length / classes)
  const byClass = new Float64Array(classes)
  let total = 0
  for (let at = 0; at < counts.length; at++) {
    const count = counts[at]!
    byCode[Math.floor(at / classes)]! += count
    byClass[at % classes]! += count
    total += count
  }
  return { byCode, byClass, total }
}

const entropy = (counts: Float64Array, total: number): number =>
  counts.reduce((sum, count) => count > 0 ? sum - count / total * Math.log2(count / total) : sum, 0)

/** Computes the mutual information of a table. All figures are 0 for an empty one. */
export const of = (counts: Counts, classes: number): MutualInformation => {
  const { byClass, byCode, total } = sums(counts, classes)
  let bits = 0
  for (let at = 0; at < counts.length; at++) {
    const count = counts[at]!
    if (count === 0) continue
    bits += count / total * Math.log2(count * total / (byCode[Math.floor(at / classes)]! * byClass[at % classes]!))
  }
  const classEntropy = entropy(byClass, total)
  // Rounding may leave less than nothing.
  const least = Math.max(0, bits)
  return {
    bits: least,
    classEntropy,
    codeEntropy: entropy(byCode, total),
    normalised: classEntropy === 0 ? 0 : least / classEntropy
  }
}

/** A class among the patches of one code. */
export interface Preference {
  readonly class: number
  readonly count: number
  /** The part of the code's information about the classes that this class contributes, in bits. Positive for a class that is preferred. */
  readonly bits: number
}

/** The classes of one code. */
export interface Preferences {
  /** The information that this code gives about the class, in bits: the divergence of its classes from those of all patches. */
  readonly bits: number
  /** The classes that it prefers, by their contribution. */
  readonly preferred: ReadonlyArray<Preference>
}

/** Computes the preferred classes of every code, at most `most` of each. */
export const preferences = (counts: Counts, classes: number, most: number): ReadonlyArray<Preferences> => {
  const { byClass, byCode, total } = sums(counts, classes)
  return Array.from(byCode, (all, code): Preferences => {
    const found: Array<Preference> = []
    let bits = 0
    for (let one = 0; one < classes; one++) {
      const count = counts[code * classes + one]!
      if (count === 0) continue
      const part = count / all * Math.log2(count * total / (all * byClass[one]!))
      bits += part
      if (part > 0) found.push({ class: one, count, bits: part })
    }
    return {
      bits: Math.max(0, bits),
      preferred: found.toSorted((a, b) => b.bits - a.bits || a.class - b.class).slice(0, most)
    }
  })
}
