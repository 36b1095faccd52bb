/**
 * The nearest codes of each code of a codebook, by the cosine similarity of their vectors.
 *
 * ```ts
 * import assert from "node:assert"
 * import { CodeNeighbours } from "patchword/domain"
 *
 * const { codes, cosines } = CodeNeighbours.of(Float32Array.of(1, 0, 2, 0, 0, 3), 2, 1)
 * assert.deepStrictEqual([codes[0], cosines[0]], [1, 1])
 * ```
 */
import * as BoundedHeaps from "../values/BoundedHeaps.ts"
import { finish, type Pausable } from "../values/Pausable.ts"

/** `[codes, count]`: the nearest codes of each code, nearest first, and their cosine similarities. */
export interface CodeNeighbours {
  readonly count: number
  readonly codes: Int32Array
  readonly cosines: Float32Array
}

const units = (vectors: Float32Array, width: number): Float32Array => {
  const found = Float32Array.from(vectors)
  for (let start = 0; start < found.length; start += width) {
    let squares = 0
    for (let i = start; i < start + width; i++) squares += found[i]! ** 2
    const factor = squares === 0 ? 0 : 1 / Math.sqrt(squares)
    for (let i = start; i < start + width; i++) found[i]! *= factor
  }
  return found
}

/** Computes the `count` nearest codes of vectors `[codes, width]`, or all others if there are fewer. Equal ones are in the order of their numbers. */
export const of = (vectors: Float32Array, width: number, count: number): CodeNeighbours =>
  finish(steps(vectors, width, count))

/** Computes {@link of} with a pause for each code. */
export function* steps(vectors: Float32Array, width: number, count: number): Pausable<CodeNeighbours> {
  const rows = units(vectors, width)
  const size = rows.length / width
  const most = Math.min(count, size - 1)
  const heaps = BoundedHeaps.make(size, most)
  for (let a = 0; a < size; a++) {
    yield
    for (let b = 0; b < a; b++) {
      let dot = 0
      for (let i = 0; i < width; i++) dot += rows[a * width + i]! * rows[b * width + i]!
      if (BoundedHeaps.accepts(heaps, a, -dot)) BoundedHeaps.offer(heaps, a, { value: -dot, image: b, patch: 0 })
      if (BoundedHeaps.accepts(heaps, b, -dot)) BoundedHeaps.offer(heaps, b, { value: -dot, image: a, patch: 0 })
    }
  }
  const [codes, cosines] = [new Int32Array(size * most), new Float32Array(size * most)]
  for (let code = 0; code < size; code++) {
    for (const [rank, { image, value }] of BoundedHeaps.sorted(heaps, code).entries()) {
      codes[code * most + rank] = image
      cosines[code * most + rank] = -value
    }
  }
  return { count: most, codes, cosines }
}
