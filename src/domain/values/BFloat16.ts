/**
 * Converts between 32-bit floats and bfloat16 (BF16), the upper half of their bits: the same range, and 8 bits of a number.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BFloat16 } from "patchword/domain"
 *
 * const halves = new Uint16Array(3)
 * BFloat16.encode(Float32Array.of(1, 0.1, -1e9), halves)
 * const values = new Float32Array(3)
 * BFloat16.decode(halves, values)
 * assert.deepStrictEqual(values, Float32Array.of(1, 0.10009765625, -998244352))
 * ```
 */

/** Rounds numbers to the nearest bfloat16. Ties go to the even one. NaN stays NaN, and what is beyond the range becomes infinity. */
export const encode = (values: Float32Array, halves: Uint16Array): void => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!
    // A NaN whose lower bits alone are set would become infinity.
    halves[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
}

/** Writes bfloat16 as 32-bit floats, exactly. */
export const decode = (halves: Uint16Array, values: Float32Array): void => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) bits[i] = halves[i]! << 16
}
