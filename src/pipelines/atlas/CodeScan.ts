/**
 * What is known of every code after some images: how often it occurs, where in images, in which classes, and the patches that show it best.
 * Its memory depends on the numbers of codes, patches and classes, and not on the number of images. The order of images does not matter.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CodeScan } from "patchword/pipelines"
 *
 * const scan = CodeScan.make({ codes: 3, patches: 2, classes: 1, lists: CodeScan.LISTS })
 * CodeScan.add(scan, { index: 0, label: 0, codes: Int32Array.of(2, 2), distances: Float32Array.of(0.5, 0.1) })
 * assert.deepStrictEqual(CodeScan.places(scan, "nearest", 2), [{ value: Math.fround(0.1), image: 0, patch: 1 }])
 * ```
 */
import { Schema } from "effect"
import * as BoundedHeaps from "../../domain/values/BoundedHeaps.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import type * as Safetensors from "../../domain/weights/Safetensors.ts"

/** The most patches of a list. A picture of more is wider than WebP allows. */
export const MOST = 64

const Length = Schema.Int.check(
  Schema.makeFilter((n: number) => n >= 0 && n <= MOST, { expected: `a whole number from 0 to ${MOST}` })
)

/** The largest number of patches in each list of a code. */
export const Lists = Schema.Struct({
  /** Patches closest to the code, each of another image. */
  nearest: Length,
  /** Patches of the code that are farthest from it, each of another image. */
  farthest: Length,
  /** Patches whose second choice is this code, those first that nearly got it, each of another image. */
  misses: Length,
  /** Patches of the code drawn at random, each of another image. */
  sample: Length
})
export type Lists = typeof Lists.Type

/** The name of a list. */
export type ListName = keyof Lists

/** The names of all lists. */
export const NAMES: ReadonlyArray<ListName> = ["nearest", "farthest", "misses", "sample"]

/** The numbers by default. */
export const LISTS: Lists = { nearest: 12, farthest: 8, misses: 8, sample: 12 }

/** The sizes of a scan. */
export interface Sizes {
  readonly codes: number
  /** The number of patches of an image. */
  readonly patches: number
  /** The number of classes; 0 if they are not counted. */
  readonly classes: number
  readonly lists: Lists
}

/** The result of a scan so far. {@link add} changes it. */
export interface CodeScan extends Sizes {
  /** `[codes]` */
  readonly counts: Int32Array
  /** `[codes, patches]`: the number of patches of each code at each place of the grid, row-major. */
  readonly positions: Int32Array
  /** `[codes, classes]` */
  readonly byClass: Int32Array
  readonly heaps: Readonly<Record<ListName, BoundedHeaps.BoundedHeaps>>
}

/** Makes an empty scan. */
export const make = (sizes: Sizes): CodeScan => {
  const { classes, codes, lists, patches } = sizes
  const heap = (name: ListName) => BoundedHeaps.make(codes, lists[name])
  return {
    ...sizes,
    counts: new Int32Array(codes),
    positions: new Int32Array(codes * patches),
    byClass: new Int32Array(codes * classes),
    heaps: {
      nearest: heap("nearest"),
      farthest: heap("farthest"),
      misses: heap("misses"),
      sample: heap("sample")
    }
  }
}

/** The codes of an image. All arrays have an entry for each patch, row-major. */
export interface Chosen {
  /** The index of the image in its set. */
  readonly index: number
  /** The class of the image. It is not read if classes are not counted. */
  readonly label: number
  readonly codes: Int32Array
  /** The distance of each patch to its code, or another number that is small for patches that match their code. */
  readonly distances: Float32Array
  /** The second-nearest code of each patch and the distance to it; absent if they are unknown. */
  readonly seconds?: Int32Array
  readonly secondDistances?: Float32Array
}

/** Offers the best patch of an image to each key. So a list has one patch of an image at most. */
const offer = (
  heaps: BoundedHeaps.BoundedHeaps,
  image: number,
  keys: Int32Array,
  valueOf: (patch: number) => number
): void => {
  if (heaps.capacity === 0) return
  const best = new Map<number, BoundedHeaps.Entry>()
  for (let patch = 0; patch < keys.length; patch++) {
    const value = valueOf(patch)
    const key = keys[patch]!
    if (!BoundedHeaps.accepts(heaps, key, value)) continue
    const other = best.get(key)
    if (other === undefined || value < other.value) best.set(key, { value, image, patch })
  }
  for (const [key, entry] of best) BoundedHeaps.offer(heaps, key, entry)
}

/** Adds an image to a scan. */
export const add = (scan: CodeScan, image: Chosen): void => {
  const { byClass, classes, counts, heaps, patches, positions } = scan
  const { codes, distances, index, label, secondDistances, seconds } = image
  for (let patch = 0; patch < patches; patch++) {
    const code = codes[patch]!
    counts[code]!++
    positions[code * patches + patch]!++
    if (classes > 0) byClass[code * classes + label]!++
  }
  offer(heaps.nearest, index, codes, (patch) => distances[patch]!)
  offer(heaps.farthest, index, codes, (patch) => -distances[patch]!)
  const { uniform } = KeyedRandom.generator({ seed: 0, purpose: "atlas/sample", epoch: 0, index })
  offer(heaps.sample, index, codes, uniform)
  if (seconds === undefined || secondDistances === undefined) return
  offer(heaps.misses, index, seconds, (patch) => secondDistances[patch]! - distances[patch]!)
}

/**
 * Returns the patches of a list of a code, best first. Values are distances; of `misses` they tell how much farther the second choice was,
 * and of `sample` they are random numbers.
 */
export const places = (
  scan: Pick<CodeScan, "heaps">,
  list: ListName,
  code: number
): ReadonlyArray<BoundedHeaps.Entry> =>
  BoundedHeaps.sorted(scan.heaps[list], code).map((entry) =>
    list === "farthest" ? { ...entry, value: -entry.value } : entry
  )

type Tensors = Readonly<Record<string, Safetensors.Tensor>>

const int32 = (data: Int32Array, ...shape: ReadonlyArray<number>): Safetensors.Tensor => ({
  dtype: "int32",
  shape,
  data
})

/** Returns the arrays of a scan, for a file. */
export const toTensors = (scan: CodeScan): Tensors => {
  const { byClass, classes, codes, counts, heaps, patches, positions } = scan
  const all: Record<string, Safetensors.Tensor> = {
    counts: int32(counts, codes),
    positions: int32(positions, codes, patches),
    byClass: int32(byClass, codes, classes)
  }
  for (const name of NAMES) {
    const { capacity, filled, images, patches, values } = heaps[name]
    all[`${name}.filled`] = int32(filled, codes)
    all[`${name}.images`] = int32(images, codes, capacity)
    all[`${name}.patches`] = int32(patches, codes, capacity)
    all[`${name}.values`] = { dtype: "float32", shape: [codes, capacity], data: values }
  }
  return all
}

/** Fills an empty scan with the arrays of a file. Returns the name of an array that is missing or has another shape, if there is one. */
export const restore = (scan: CodeScan, tensors: Tensors): string | undefined => {
  for (const [name, { data, dtype, shape }] of Object.entries(toTensors(scan))) {
    const found = tensors[name]
    if (found === undefined || found.dtype !== dtype || found.shape.join() !== shape.join()) return name
    data.set(found.data)
  }
  return undefined
}
