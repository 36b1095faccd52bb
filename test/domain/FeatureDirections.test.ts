import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as FeatureDirections from "../../src/domain/method/FeatureDirections.ts"
import * as Float16 from "../../src/domain/values/Float16.ts"

const width = 4
const finite = fc.float({ min: 2 ** -12, max: 2 ** 12, noNaN: true })
const vector = fc.array(fc.tuple(finite, fc.boolean()), { minLength: width, maxLength: width })
  .map((entries) => Float32Array.from(entries, ([value, negative]) => (negative ? -value : value)))

const check = (features: Float32Array) =>
  FeatureDirections.check(features, { tokens: 2, width, nameOf: (image) => `number ${image}` })

describe("FeatureDirections", () => {
  it("takes what has a direction in 32 bits, and names the first patch that has none", () => {
    fc.assert(fc.property(fc.array(vector, { minLength: 1, maxLength: 8 }), fc.nat(7), (rows, at) => {
      const features = new Float32Array(rows.length * width)
      rows.forEach((row, i) => features.set(row, i * width))
      assert.isTrue(Result.isSuccess(check(features)))
      const place = at % rows.length
      for (
        const [value, problem] of [
          [0, "are all 0"],
          [NaN, "hold NaN"],
          [Infinity, "hold Infinity"],
          [1e-20, "are too small for 32 bits (length 2.0e-20)"],
          [1e30, "are too large for 32 bits (length 2.0e+30)"]
        ] as const
      ) {
        const damaged = features.slice().fill(value, place * width, (place + 1) * width)
        const error = Result.getOrThrow(Result.flip(check(damaged)))
        assert.deepStrictEqual(
          [error.image, error.patch, error.problem],
          [`number ${Math.floor(place / 2)}`, place % 2, problem]
        )
      }
    }))
  })

  it("lets 16 bits hold what is large enough for them, and nothing that is smaller", () => {
    fc.assert(fc.property(vector, (values) => {
      const stored = (x: Float32Array) => Float16.decode(Float16.encode(x))
      assert.isFalse(FeatureDirections.hasChanged(values, stored(values)))
      const longest = Math.max(...values.map(Math.abs))
      const tiny = values.map((value) => value / longest * 1e-9)
      assert.isTrue(FeatureDirections.hasChanged(tiny, stored(tiny)))
    }))
  })
})
