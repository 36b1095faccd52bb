/**
 * Draws random rows on the host: indices of a batch's vectors, or random directions.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Rows } from "patchword/nn"
 *
 * const key = { seed: 0, purpose: "rows", epoch: 0, index: 0 }
 * assert.strictEqual(new Set(Rows.distinct(5, 9, key).data).size, 5)
 * assert.deepStrictEqual(Rows.units(3, 2, key).shape, [3, 2])
 * ```
 */
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"

/** Draws the indices of `count` rows out of `rows`, `[K]`, with replacement. */
export const drawn = <K extends number>(
  count: K,
  rows: number,
  key: KeyedRandom.Key
): HostTensor.HostTensor<[K], "int32"> => {
  const { integer } = KeyedRandom.generator(key)
  return HostTensor.make([count], "int32", Int32Array.from({ length: count }, () => integer(0, rows - 1)))
}

/** Draws indices like {@link drawn}, but without replacement if there are enough rows, as in the official code. */
export const distinct = <K extends number>(
  count: K,
  rows: number,
  key: KeyedRandom.Key
): HostTensor.HostTensor<[K], "int32"> =>
  rows < count
    ? drawn(count, rows, key)
    : HostTensor.make([count], "int32", KeyedRandom.permutation(key, rows).slice(0, count))

/** Draws random unit vectors, `[K, E]`. */
export const units = <K extends number, E extends number>(
  count: K,
  width: E,
  key: KeyedRandom.Key
): HostTensor.HostTensor<[K, E], "float32"> => {
  const { normal } = KeyedRandom.generator(key)
  const values = Float32Array.from({ length: count * width }, () => normal())
  for (let row = 0; row < count; row++) {
    const vector = values.subarray(row * width, (row + 1) * width)
    const length = Math.hypot(...vector)
    vector.forEach((value, i) => (vector[i] = value / length))
  }
  return HostTensor.make([count, width], "float32", values)
}
