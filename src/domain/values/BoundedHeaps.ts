/**
 * The smallest entries of each key, in bounded memory. An entry is a value with an image and a patch of it. Entries arrive in any order.
 * A key holds at most `capacity` of them, so memory does not grow with their number. Equal values are ordered by image and patch, so the
 * result does not depend on the order of arrival.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BoundedHeaps } from "patchword/domain"
 *
 * const heaps = BoundedHeaps.make(1, 2)
 * for (const [image, value] of [0.5, 0.1, 0.9, 0.3].entries()) BoundedHeaps.offer(heaps, 0, { value, image, patch: 0 })
 * assert.deepStrictEqual(BoundedHeaps.sorted(heaps, 0).map(({ image }) => image), [1, 3])
 * ```
 */

/** A value, the image that it belongs to, and the patch of that image, row-major. */
export interface Entry {
  readonly value: number
  readonly image: number
  readonly patch: number
}

/** The entries of all keys. Each key has a heap with its largest entry first. */
export interface BoundedHeaps {
  readonly capacity: number
  /** `[keys]`: the number of entries of each key. */
  readonly filled: Int32Array
  /** `[keys * capacity]`: values in 32 bits, images and patches. */
  readonly values: Float32Array
  readonly images: Int32Array
  readonly patches: Int32Array
}

/** Makes empty heaps. */
export const make = (keys: number, capacity: number): BoundedHeaps => ({
  capacity,
  filled: new Int32Array(keys),
  values: new Float32Array(keys * capacity),
  images: new Int32Array(keys * capacity),
  patches: new Int32Array(keys * capacity)
})

type Row = Pick<BoundedHeaps, "values" | "images" | "patches">

/** Tests whether the entry at `a` comes after that at `b`. */
const isAfter = ({ images, patches, values }: Row, a: number, b: number): boolean =>
  values[a]! !== values[b]!
    ? values[a]! > values[b]!
    : images[a]! !== images[b]!
    ? images[a]! > images[b]!
    : patches[a]! > patches[b]!

const set = ({ images, patches, values }: Row, at: number, { image, patch, value }: Entry): void => {
  values[at] = value
  images[at] = image
  patches[at] = patch
}

const get = ({ images, patches, values }: Row, at: number): Entry => ({
  value: values[at]!,
  image: images[at]!,
  patch: patches[at]!
})

const swap = (heaps: Row, a: number, b: number): void => {
  const held = get(heaps, a)
  set(heaps, a, get(heaps, b))
  set(heaps, b, held)
}

/** Tests whether an entry would be kept. It saves the making of entries that are not. */
export const accepts = (heaps: BoundedHeaps, key: number, value: number): boolean => {
  const { capacity, filled, values } = heaps
  return filled[key]! < capacity || (capacity > 0 && Math.fround(value) <= values[key * capacity]!)
}

/** Offers an entry to a key. It is kept while fewer than `capacity` smaller ones are known. NaN is a defect. */
export const offer = (heaps: BoundedHeaps, key: number, entry: Entry): void => {
  if (Number.isNaN(entry.value)) throw new RangeError(`bounded heaps: the value of image ${entry.image} is NaN`)
  const { capacity, filled } = heaps
  if (!accepts(heaps, key, entry.value)) return
  const first = key * capacity
  if (filled[key]! < capacity) {
    let at = filled[key]!++
    set(heaps, first + at, entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isAfter(heaps, first + at, first + parent)) return
      swap(heaps, first + at, first + parent)
      at = parent
    }
    return
  }
  const greatest = get(heaps, first)
  set(heaps, first, entry)
  const value = Math.fround(entry.value)
  if (
    value === greatest.value &&
    (entry.image > greatest.image || (entry.image === greatest.image && entry.patch >= greatest.patch))
  ) return set(heaps, first, greatest)
  for (let at = 0;;) {
    let next = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < capacity && isAfter(heaps, first + child, first + next)) next = child
    }
    if (next === at) return
    swap(heaps, first + at, first + next)
    at = next
  }
}

/** Returns the entries of a key, smallest first. */
export const sorted = (heaps: BoundedHeaps, key: number): ReadonlyArray<Entry> => {
  const first = key * heaps.capacity
  return Array.from({ length: heaps.filled[key]! }, (_, i) => get(heaps, first + i)).toSorted((a, b) =>
    a.value - b.value || a.image - b.image || a.patch - b.patch
  )
}
