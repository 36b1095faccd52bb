/**
 * Codes that occur together more often than chance says: in the same images, or in neighbouring patches.
 *
 * The measure is the normalised pointwise mutual information (Bouma, 2009): `pmi / -log2 p(a, b)` with
 * `pmi = log2(p(a, b) / (p(a) p(b)))`. It is 0 for codes that do not depend on each other, and 1 for codes that occur only together.
 * For images, `p(a)` is the share of images with the code. For neighbours it is its share among the ends of all pairs of neighbours. Counts below
 * {@link FEWEST} say nothing, and are left out.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CodePairs } from "patchword/domain"
 *
 * const counts = CodePairs.make({ codes: 4, from: 0, to: 4, grid: { height: 1, width: 2 } })
 * for (let image = 0; image < 5; image++) CodePairs.add(counts, [0, 1])
 * for (let image = 0; image < 5; image++) CodePairs.add(counts, [2, 3])
 * assert.deepStrictEqual(CodePairs.best(counts, "images", 0, 12), [{ code: 1, count: 5, expected: 2.5, measure: 1 }])
 * ```
 */
import type { Grid } from "../values/Grid.ts"

/** The fewest times that two codes occur together to be listed. */
export const FEWEST = 5

/** The two ways to occur together. */
export const KINDS = ["images", "neighbours"] as const

/** One of the two ways to occur together. */
export type Kind = typeof KINDS[number]

/** The sizes of a count: the codes from `from` on and before `to` are counted with all codes. */
export interface Sizes {
  readonly codes: number
  readonly from: number
  readonly to: number
  readonly grid: Grid
}

/** Counts of one kind. */
export interface Counted {
  /** `[to - from, codes]` */
  readonly pairs: Uint32Array
  /** `[codes]` */
  readonly single: Float64Array
  /** The number of images, or of ends of pairs. */
  total: number
}

/** Counts so far. {@link add} changes them. */
export interface CodePairs extends Sizes {
  readonly counted: Readonly<Record<Kind, Counted>>
}

/** Makes empty counts. */
export const make = (sizes: Sizes): CodePairs => {
  const { codes, from, to } = sizes
  const empty = (): Counted => ({
    pairs: new Uint32Array((to - from) * codes),
    single: new Float64Array(codes),
    total: 0
  })
  return { ...sizes, counted: { images: empty(), neighbours: empty() } }
}

/** Returns the number of bytes of the counts of one code. */
export const bytesOf = (codes: number): number => KINDS.length * Uint32Array.BYTES_PER_ELEMENT * codes

/** Adds an image by its codes, row-major. */
export const add = (counts: CodePairs, image: ArrayLike<number>): void => {
  const { codes, counted: { images, neighbours }, from, grid, to } = counts
  const distinct = Array.from(new Set(Array.from(image)))
  images.total++
  for (const one of distinct) {
    images.single[one]!++
    if (one < from || one >= to) continue
    const row = (one - from) * codes
    for (const other of distinct) if (other !== one) images.pairs[row + other]!++
  }
  const meet = (one: number, other: number): void => {
    neighbours.total += 2
    neighbours.single[one]!++
    neighbours.single[other]!++
    if (one === other) return
    if (one >= from && one < to) neighbours.pairs[(one - from) * codes + other]!++
    if (other >= from && other < to) neighbours.pairs[(other - from) * codes + one]!++
  }
  const { height, width } = grid
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x
      if (x + 1 < width) meet(image[at]!, image[at + 1]!)
      if (y + 1 < height) meet(image[at]!, image[at + width]!)
    }
  }
}

/** A code that occurs together with another one. */
export interface Pair {
  readonly code: number
  /** The number of images with both, or of neighbouring patches. */
  readonly count: number
  /** The number that chance would give. */
  readonly expected: number
  /** The normalised pointwise mutual information. */
  readonly measure: number
}

/** Returns the measure of a pair by the counts of both, of each, and of all. */
export const measure = (count: number, one: number, other: number, total: number): number =>
  count === total ? 0 : Math.log2(count * total / (one * other)) / -Math.log2(count / total)

/** Returns the codes that occur together with a code more often than chance says: those with the highest measure first. */
export const best = (counts: CodePairs, kind: Kind, code: number, most: number): ReadonlyArray<Pair> => {
  const { codes, counted, from } = counts
  const { pairs, single, total } = counted[kind]
  const found: Array<Pair> = []
  for (let other = 0; other < codes; other++) {
    const count = pairs[(code - from) * codes + other]!
    if (count < FEWEST) continue
    const expected = single[code]! * single[other]! / total
    if (count > expected) {
      found.push({ code: other, count, expected, measure: measure(count, single[code]!, single[other]!, total) })
    }
  }
  return found.toSorted((a, b) => b.measure - a.measure || b.count - a.count || a.code - b.code).slice(0, most)
}
