import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as BFloat16 from "../../src/domain/values/BFloat16.ts"

const rounded = (...given: ReadonlyArray<number>) => {
  const halves = new Uint16Array(given.length)
  BFloat16.encode(Float32Array.from(given), halves)
  return halves
}

const widened = (halves: Uint16Array) => {
  const values = new Float32Array(halves.length)
  BFloat16.decode(halves, values)
  return values
}

const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits)
const isNaNHalf = (bits: number) => (bits & 0x7fff) > 0x7f80

describe("BFloat16", () => {
  it("gives every number back that it decoded", () => {
    const again = rounded(...widened(every))
    assert.deepStrictEqual(again.filter((_, i) => !isNaNHalf(i)), every.filter((bits) => !isNaNHalf(bits)))
    assert.isTrue(every.filter(isNaNHalf).every((bits) => isNaNHalf(again[bits]!)))
  })

  it("takes the nearest number, the even one of two", () => {
    const finite = widened(every.subarray(0, 0x7f80))
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const [bits] = rounded(value)
        const at = bits! & 0x7fff
        assert.strictEqual((bits! & 0x8000) !== 0, value < 0 || Object.is(value, -0))
        if (at === 0x7f80) return assert.isAtLeast(Math.abs(value), finite[0x7f7f]! + 2 ** 119)
        const distance = (place: number) => Math.abs(Math.abs(value) - finite[place]!)
        for (const place of [at - 1, at + 1].filter((one) => one >= 0 && one < finite.length)) {
          assert.isTrue(distance(at) < distance(place) || (distance(at) === distance(place) && at % 2 === 0))
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("rounds ties and ends as IEEE 754 says", () => {
    const [tie, odd] = [1 + 2 ** -8, 1 + 3 * 2 ** -8]
    const largest = 2 ** 128 - 2 ** 120
    const given = [tie, -tie, odd, tie + 2 ** -20, largest, largest + 2 ** 119, -Infinity, NaN, -0, 2 ** -134]
    const expected = [1, -1, 1 + 2 ** -6, 1 + 2 ** -7, largest, Infinity, -Infinity, NaN, -0, 0]
    assert.deepStrictEqual(widened(rounded(...given)), Float32Array.from(expected))
    const low = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff).buffer)
    assert.isTrue([...widened(rounded(...low))].every(Number.isNaN))
  })
})
