/**
 * The codes that the report shows: rows of real patches that the tokenizer gave them (as figure 4 of the paper), and patches in their
 * pictures, those that match their code and those that do not (as figure 5). The patches are chosen as those of an atlas are.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CodeRows } from "patchword/pipelines"
 *
 * const picture = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) }
 * const { rows } = CodeRows.make([{ picture, codes: Int32Array.of(4, 1) }], { patch: 1, size: 8, rows: 2, patches: 3 })
 * assert.deepStrictEqual(rows.map(({ code, count }) => [code, count]), [[1, 1], [4, 1]])
 * ```
 */
import * as Codebook from "../../domain/method/Codebook.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as CodeScan from "../atlas/CodeScan.ts"
import * as Patches from "../atlas/Patches.ts"
import type { CodeRow } from "./PageData.ts"

/** A picture and the codes of its patches, row-major. */
export interface Encoded {
  readonly picture: Picture
  readonly codes: Int32Array
  /**
   * The cosine similarity of each patch's reconstructed and the teacher's features. It tells how well a patch matches its code.
   * Without it, rows have no framed patches.
   */
  readonly cosines?: Float32Array
}

/** The options of the rows. */
export interface Options {
  /** The side of a patch in pixels. */
  readonly patch: number
  /** The number of codes in the codebook. */
  readonly size: number
  /** Largest number of rows. The most used codes get a row. */
  readonly rows: number
  /** Largest number of patches of a row, each of another picture. They are drawn at random. */
  readonly patches: number
  /** Largest number of framed patches of a row that match its code, and of those that do not; default 4. */
  readonly framed?: number
}

/** Rows of patches for the most used codes that show something, and the mean patch of every code that occurs. */
export interface CodeRows {
  readonly rows: ReadonlyArray<CodeRow>
  /** Codes that are used more than the last row's, with patches of one colour. A row would only show empty ground. */
  readonly plain: ReadonlyArray<CodeRow>
  readonly means: ReadonlyMap<number, Picture>
}

// Patches that the mean of a code is computed from.
const OF_MEAN = 64

const MOSTLY = 0.75 // of the patches

const isPlain = ({ patches }: CodeRow): boolean =>
  patches[0]!.data.length > 3 && patches.filter(Patches.isFlat).length >= MOSTLY * patches.length

/** Makes the rows of encoded pictures, which all have the same number of patches. */
export const make = (encoded: ReadonlyArray<Encoded>, options: Options): CodeRows => {
  const { framed: examples = 4, patch, patches, rows, size } = options
  const scan = CodeScan.make({
    codes: size,
    patches: encoded[0]?.codes.length ?? 0,
    classes: 0,
    // Of those that match worst, some are in pictures of those that match best.
    lists: { nearest: examples, farthest: 2 * examples, misses: 0, sample: Math.max(patches, OF_MEAN) }
  })
  for (const [index, { codes, cosines }] of encoded.entries()) {
    const distances = Float32Array.from(codes, (_, at) => cosines === undefined ? 0 : 1 - cosines[at]!)
    CodeScan.add(scan, { index, label: 0, codes, distances })
  }
  const hasMatches = encoded.every(({ cosines }) => cosines !== undefined)
  const sampleOf = (code: number, most: number) =>
    CodeScan.places(scan, "sample", code).slice(0, most).map((place) =>
      Patches.cut(encoded[place.image]!.picture, patch, place.patch)
    )
  const show = (places: ReturnType<typeof CodeScan.places>) =>
    places.map((place) => Patches.framed(encoded[place.image]!.picture, patch, place.patch))
  const matches = (code: number) => {
    if (!hasMatches) return {}
    const nearest = CodeScan.places(scan, "nearest", code)
    const seen = new Set(nearest.map(({ image }) => image))
    const farthest = CodeScan.places(scan, "farthest", code).filter(({ image }) => !seen.has(image))
    return { matching: show(nearest), mismatching: show(farthest.slice(0, examples)) }
  }
  const total = scan.counts.reduce((sum, n) => sum + n, 0)
  const used = Codebook.mostUsed(scan.counts, size)
  const found: { rows: Array<CodeRow>; plain: Array<CodeRow> } = { rows: [], plain: [] }
  for (const { code, count } of used) {
    if (found.rows.length === rows) break
    const row = { code, count, share: count / total, patches: sampleOf(code, patches), ...matches(code) }
    found[isPlain(row) ? "plain" : "rows"].push(row)
  }
  return { ...found, means: new Map(used.map(({ code }) => [code, Patches.mean(sampleOf(code, OF_MEAN))])) }
}
