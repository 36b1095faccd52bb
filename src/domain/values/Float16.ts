/**
 * Converts between 32-bit and 16-bit floats (IEEE 754 binary16, F16). Large weights and features are stored in 16 bits, which
 * keep 11 bits of a number from 2⁻²⁴ to 65 504.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Float16 } from "patchword/domain"
 *
 * const halves = Float16.encode(Float32Array.of(1, 0.1, 1e6))
 * assert.deepStrictEqual(Float16.decode(halves), Float32Array.of(1, 0.0999755859375, Infinity))
 * ```
 */

/** The largest finite 16-bit float. */
export const MAX = 65504

const toNumber = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

// Looking a half up is several times faster than computing it, and a large model has 300 million of them.
let table: Float32Array | undefined

/** Decodes 16-bit floats, exactly. */
export const decode = (halves: Uint16Array): Float32Array => {
  const known = table ??= Float32Array.from({ length: 65536 }, (_, bits) => toNumber(bits))
  const values = new Float32Array(halves.length)
  for (let i = 0; i < values.length; i++) values[i] = known[halves[i]!]!
  return values
}

/** The bits of 0.5. Adding 0.5 to a subnormal 16-bit float leaves its value in the last bits. */
const HALF = 0x3f000000

const sum = new Float32Array(1)
const sumBits = new Uint32Array(sum.buffer)

const nearest = (magnitude: number): number => {
  if (magnitude > 0x7f800000) return 0x7e00
  if (magnitude >= 0x477ff000) return 0x7c00
  if (magnitude >= 0x38800000) return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
  sumBits[0] = magnitude
  sum[0]! += 0.5
  return sumBits[0] - HALF
}

/**
 * Rounds to the nearest 16-bit floats. Ties go to the even one. Numbers beyond {@link MAX} by more than rounding become
 * infinity.
 */
export const encode = (values: Float32Array): Uint16Array => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < halves.length; i++) {
    const word = bits[i]!
    halves[i] = ((word >>> 16) & 0x8000) | nearest(word & 0x7fffffff)
  }
  return halves
}
