/**
 * The meaning of codes: real patches that the tokenizer gave them (as figure 4 of the paper), and patches in their pictures, those that
 * match their code and those that do not (as figure 5). The official code has no tool for it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Atlas } from "patchword/pipelines"
 *
 * const picture = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) }
 * const { rows } = Atlas.make([{ picture, codes: Int32Array.of(4, 1) }], { patch: 1, size: 8, rows: 2, patches: 3 })
 * assert.deepStrictEqual(rows.map(({ code, count }) => [code, count]), [[1, 1], [4, 1]])
 * ```
 */
import * as Codebook from "../../domain/method/Codebook.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as Resample from "../../domain/pixels/Resample.ts"
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

/** The options of an atlas. */
export interface Options {
  /** The side of a patch in pixels. */
  readonly patch: number
  /** The number of codes in the codebook. */
  readonly size: number
  /** Largest number of rows. The most used codes get a row. */
  readonly rows: number
  /** Largest number of patches of a row. */
  readonly patches: number
  /** Largest number of framed patches of a row that match its code, and of those that do not; default 4. */
  readonly framed?: number
}

/** Rows of patches for the most used codes that show something, and the mean patch of every code that occurs. */
export interface Atlas {
  readonly rows: ReadonlyArray<CodeRow>
  /** Codes that are used more than the last row's, with patches of one colour. A row would only show empty ground. */
  readonly plain: ReadonlyArray<CodeRow>
  readonly means: ReadonlyMap<number, Picture>
}

/** Cuts one patch out of a picture, by its row-major number. */
export const cut = (picture: Picture, patch: number, index: number): Picture => {
  const columns = picture.width / patch
  const [top, left] = [Math.floor(index / columns) * patch, (index % columns) * patch]
  return Resample.cut(picture, { left, top, width: patch, height: patch })
}

const FRAME = [224, 32, 32] as const

/**
 * Cuts a patch with its surroundings out of a picture, by its row-major number, and frames it in red. `around` is the number of
 * patches on each side. At the border of the picture the window is moved inwards.
 */
export const framed = (picture: Picture, patch: number, index: number, around = 2): Picture => {
  const { height, width } = picture
  const columns = width / patch
  const [top, left] = [Math.floor(index / columns) * patch, (index % columns) * patch]
  const wanted = (2 * around + 1) * patch
  const side = { width: Math.min(width, wanted), height: Math.min(height, wanted) }
  const startOf = (at: number, whole: number, part: number) => Math.max(0, Math.min(at - around * patch, whole - part))
  const [y0, x0] = [startOf(top, height, side.height), startOf(left, width, side.width)]
  // A window of the whole picture is the picture itself, which the frame would change.
  const window = Resample.cut(picture, { left: x0, top: y0, ...side }).data.slice()
  // The frame lies around the patch, so that all of it is seen.
  const paint = (x: number, y: number) => {
    if (x >= 0 && y >= 0 && x < side.width && y < side.height) window.set(FRAME, (y * side.width + x) * 3)
  }
  for (let i = -1; i <= patch; i++) {
    const [x, y] = [left - x0, top - y0]
    paint(x + i, y - 1)
    paint(x + i, y + patch)
    paint(x - 1, y + i)
    paint(x + patch, y + i)
  }
  return { ...side, data: window }
}

const mean = (patches: ReadonlyArray<Picture>, side: number): Picture => {
  const data = new Uint8Array(side * side * 3)
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.round(patches.reduce((sum, patch) => sum + patch.data[i]!, 0) / patches.length)
  }
  return { width: side, height: side, data }
}

// Evenly spaced, so that a row is not filled by one picture's neighbouring patches.
const spread = <A>(all: ReadonlyArray<A>, count: number): ReadonlyArray<A> =>
  all.length <= count ? all : Array.from({ length: count }, (_, i) => all[Math.floor(i * all.length / count)]!)

const NEAR = 24 // of 255, to the median of a channel
const FEW = 1 / 20 // of the pixels, as those that a neighbouring drawing leaves in a corner
const MOSTLY = 0.75 // of the patches

const flat = ({ data }: Picture): boolean => {
  const medians = [0, 1, 2].map((channel) => {
    const values = data.filter((_, i) => i % 3 === channel).toSorted()
    return values[values.length >> 1]!
  })
  const far = new Set(
    Array.from(data.keys()).filter((i) => Math.abs(data[i]! - medians[i % 3]!) > NEAR).map((i) => Math.floor(i / 3))
  )
  return far.size <= FEW * data.length / 3
}

const plain = ({ patches }: CodeRow): boolean =>
  patches[0]!.data.length > 3 && patches.filter(flat).length >= MOSTLY * patches.length

/** A patch of a picture with a code. */
interface Place {
  readonly picture: Picture
  readonly index: number
  /** How well it matches the code. */
  readonly match: number
}

/** Returns the first places, each in another picture. */
const apart = (places: ReadonlyArray<Place>, count: number, but: ReadonlyArray<Place> = []): ReadonlyArray<Place> => {
  const seen = new Set(but.map(({ picture }) => picture))
  return places.filter(({ picture }) => {
    const isNew = !seen.has(picture)
    seen.add(picture)
    return isNew
  }).slice(0, count)
}

/** Selects the patches that match their code most and least, each in another picture, and frames them. */
const matches = (places: ReadonlyArray<Place>, patch: number, count: number) => {
  if (places.some(({ match }) => Number.isNaN(match))) return {}
  const ordered = places.toSorted((a, b) => b.match - a.match)
  const matching = apart(ordered, count)
  const show = ({ index, picture }: Place) => framed(picture, patch, index)
  return {
    matching: matching.map(show),
    mismatching: apart(ordered.toReversed(), count, matching).map(show)
  }
}

/** Makes the atlas of encoded pictures. */
export const make = (encoded: ReadonlyArray<Encoded>, options: Options): Atlas => {
  const { framed: examples = 4, patch, patches, rows, size } = options
  const places = new Map<number, Array<Place>>()
  for (const { codes, cosines, picture } of encoded) {
    codes.forEach((code, index) => {
      const place = { picture, index, match: cosines?.[index] ?? NaN }
      const list = places.get(code)
      if (list === undefined) places.set(code, [place])
      else list.push(place)
    })
  }
  const cutAll = (list: ReadonlyArray<Place>) => list.map(({ index, picture }) => cut(picture, patch, index))
  const counts = Codebook.count(encoded.flatMap(({ codes }) => Array.from(codes)), size)
  const total = counts.reduce((sum, n) => sum + n, 0)
  const found: { rows: Array<CodeRow>; plain: Array<CodeRow> } = { rows: [], plain: [] }
  for (const { code, count } of Codebook.mostUsed(counts, size)) {
    if (found.rows.length === rows) break
    const all = places.get(code)!
    const row = {
      code,
      count,
      share: count / total,
      patches: cutAll(spread(all, patches)),
      ...matches(all, patch, examples)
    }
    found[plain(row) ? "plain" : "rows"].push(row)
  }
  return {
    ...found,
    means: new Map([...places].map(([code, list]) => [code, mean(cutAll(spread(list, 64)), patch)]))
  }
}
