import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Float16 from "../../src/domain/values/Float16.ts"

const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits)
const isNaNHalf = (bits: number) => (bits & 0x7fff) > 0x7c00

describe("Float16", () => {
  it("gives every half back that it decoded", () => {
    const again = Float16.encode(Float16.decode(every))
    assert.deepStrictEqual(again.filter((_, i) => !isNaNHalf(i)), every.filter((bits) => !isNaNHalf(bits)))
    assert.isTrue(every.filter(isNaNHalf).every((bits) => isNaNHalf(again[bits]!)))
  })

  it("takes the nearest half, the even one of two", () => {
    const finite = Float16.decode(every.subarray(0, 0x7c00))
    fc.assert(
      fc.property(
        fc.float({ min: Math.fround(-65519), max: Math.fround(65519), noNaN: true }),
        (value) => {
          const [bits] = Float16.encode(Float32Array.of(value))
          const at = bits! & 0x7fff
          const distance = (place: number) => Math.abs(Math.abs(value) - finite[place]!)
          const others = [at - 1, at + 1].filter((place) => place >= 0 && place < finite.length)
          assert.isTrue(
            others.every((place) =>
              distance(at) < distance(place) || (distance(at) === distance(place) && at % 2 === 0)
            )
          )
          assert.strictEqual((bits! & 0x8000) !== 0, value < 0 || Object.is(value, -0))
        }
      ),
      { numRuns: 2000 }
    )
  })

  it("rounds ties and ends as IEEE 754 says", () => {
    const given = Float32Array.of(2049, 2051, 65519, 65520, 2 ** -25, 2 ** -25 * 1.01, 3 * 2 ** -25, -1e9, NaN, -0)
    assert.deepStrictEqual(
      Float16.decode(Float16.encode(given)),
      Float32Array.of(2048, 2052, Float16.MAX, Infinity, 0, 2 ** -24, 2 ** -23, -Infinity, NaN, -0)
    )
  })
})
