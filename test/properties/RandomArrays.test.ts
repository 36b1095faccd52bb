import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { readFileSync } from "node:fs"
import { assembled } from "../../scripts/kernels.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const key: fc.Arbitrary<KeyedRandom.Key> = fc.record({
  seed: fc.integer(),
  purpose: fc.string({ maxLength: 12 }),
  epoch: fc.nat(),
  index: fc.maxSafeNat()
})
const length = fc.oneof(fc.nat(10), fc.nat(6000))
const scale = fc.double({ min: 1e-6, max: 1e6, noNaN: true })
const factor = fc.oneof(fc.constantFrom(1, 0, -0.001, 1e-40, 1e-46, 1e38), fc.double({ min: -3, max: 3, noNaN: true }))

const uniform = (of: KeyedRandom.Key, many: number, bound: number, times: number): Float32Array => {
  const draws = KeyedRandom.generator(of)
  return Float32Array.from({ length: many }, () => (2 * draws.uniform() - 1) * bound * times)
}

const normal = (
  of: KeyedRandom.Key,
  many: number,
  { cut, deviation }: KeyedRandom.Truncated,
  times: number
): Float32Array => {
  const draws = KeyedRandom.generator(of)
  const next = (): number => {
    const value = draws.normal() * deviation
    return Math.abs(value) <= cut ? value : next()
  }
  return Float32Array.from({ length: many }, () => next() * times)
}

const filledNormal = (of: KeyedRandom.Key, many: number, truncated: KeyedRandom.Truncated, times: number) => {
  const values = new Float32Array(many)
  KeyedRandom.fillNormal(values, of, truncated, times)
  return values
}

const filledUniform = (of: KeyedRandom.Key, many: number, bound: number, times: number) => {
  const values = new Float32Array(many)
  KeyedRandom.fillUniform(values, of, bound, times)
  return values
}

const bits = (values: Float32Array) => new Uint32Array(values.buffer)

const same = (found: Float32Array, expected: Float32Array) => assert.deepStrictEqual(bits(found), bits(expected))

const moment = (values: Float32Array, power: number) =>
  values.reduce((sum, value) => sum + value ** power, 0) / values.length

describe("arrays of random numbers", () => {
  it("are made by what the kernel's source says", async () => {
    const file = new URL("../../src/domain/values/RandomArraysWasm.ts", import.meta.url)
    assert.strictEqual(readFileSync(file, "utf8"), await assembled("domain/values/RandomArrays"))
  })

  it("have the uniform numbers of single draws", () => {
    fc.assert(fc.property(key, length, scale, factor, (of, many, bound, times) => {
      same(filledUniform(of, many, bound, times), uniform(of, many, bound, times))
    }))
  })

  it("have the normal numbers of single draws", () => {
    fc.assert(
      fc.property(
        key,
        length,
        scale,
        fc.constantFrom(0.3, 1, 2.5, 100, Infinity),
        factor,
        (of, many, deviation, cut, times) => {
          const truncated = { deviation, cut: cut * deviation }
          same(filledNormal(of, many, truncated, times), normal(of, many, truncated, times))
        }
      )
    )
  })

  it("have them in long arrays", () => {
    for (const cut of [0.02, 2]) {
      const of = { seed: 0, purpose: "long", epoch: 0, index: 0 }
      same(filledNormal(of, 400_000, { deviation: 0.02, cut }, 1), normal(of, 400_000, { deviation: 0.02, cut }, 1))
    }
  })

  it("keep a number that is as far from zero as the cut, and none beyond it", () => {
    fc.assert(fc.property(key, fc.nat(600), fc.constantFrom(-1, 0, 1), (of, at, ulps) => {
      const draws = KeyedRandom.generator(of)
      const drawn = Array.from({ length: at + 1 }, () => Math.abs(draws.normal()))
      const cut = Math.max(drawn[at]! * (1 + ulps * 2 ** -52), 0.1)
      same(filledNormal(of, 300, { deviation: 1, cut }, 1), normal(of, 300, { deviation: 1, cut }, 1))
    }))
  })

  const middle = fc.oneof(
    fc.nat(2 ** 23 - 1).map((mantissa) => 1 + (2 * mantissa + 1) * 2 ** -24),
    fc.nat(2 ** 20).map((mantissa) => (2 * mantissa + 1) * 2 ** -150)
  )
  const whole = { deviation: 1, cut: Infinity }

  it("are rounded as single draws are where two float32 numbers are equally near", () => {
    fc.assert(fc.property(key, fc.nat(600), middle, (of, at, target) => {
      const draws = KeyedRandom.generator(of)
      const drawn = Array.from({ length: at + 1 }, draws.normal)
      const times = target / drawn[at]!
      same(filledNormal(of, 601, whole, times), normal(of, 601, whole, times))
    }))
  })

  it("are rounded so where the cosine is nearly zero", () => {
    const of = { seed: 2, purpose: "small", epoch: 0, index: 0 }
    const draws = KeyedRandom.generator(of)
    const drawn = Array.from({ length: 50_000 }, draws.normal)
    const at = drawn.reduce((least, value, i) => Math.abs(value) < Math.abs(drawn[least]!) ? i : least, 0)
    assert.isBelow(Math.abs(drawn[at]!), 1e-6)
    fc.assert(
      fc.property(middle, (target) => {
        const times = target / drawn[at]!
        assert.strictEqual(filledNormal(of, at + 1, whole, times)[at], Math.fround(drawn[at]! * times))
      }),
      { numRuns: 30 }
    )
  })

  it("begin with the same numbers, however long they are", () => {
    fc.assert(fc.property(key, length, length, (of, some, more) => {
      const truncated = { deviation: 1, cut: 1 }
      same(filledNormal(of, some + more, truncated, 1).slice(0, some), filledNormal(of, some, truncated, 1))
    }))
  })

  it("have the moments of their distributions", () => {
    const of = { seed: 1, purpose: "moments", epoch: 0, index: 0 }
    const flat = filledUniform(of, 200_000, 1, 1)
    const whole = filledNormal(of, 200_000, { deviation: 1, cut: Infinity }, 1)
    const cut = filledNormal(of, 200_000, { deviation: 1, cut: 1 }, 1)
    for (const values of [flat, whole, cut]) {
      assert.closeTo(moment(values, 1), 0, 0.01)
      assert.closeTo(moment(values, 3), 0, 0.05)
    }
    assert.closeTo(moment(flat, 2), 1 / 3, 0.003)
    assert.closeTo(moment(whole, 2), 1, 0.015)
    assert.closeTo(moment(whole, 4), 3, 0.1)
    assert.closeTo(moment(cut, 2), 0.2911, 0.003)
    assert.isAtMost(cut.reduce((most, value) => Math.max(most, Math.abs(value)), 0), 1)
  })
})
