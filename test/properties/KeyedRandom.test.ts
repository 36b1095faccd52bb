import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const key: fc.Arbitrary<KeyedRandom.Key> = fc.record({
  seed: fc.integer(),
  purpose: fc.string({ maxLength: 12 }),
  epoch: fc.nat(),
  index: fc.maxSafeNat()
})

const stream = (of: KeyedRandom.Key, length: number) => {
  const { uniform } = KeyedRandom.generator(of)
  return Array.from({ length }, uniform)
}

const correlation = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>) =>
  xs.reduce((sum, x, i) => sum + (x - 0.5) * (ys[i]! - 0.5), 0) * (12 / xs.length)

describe("KeyedRandom", () => {
  it("gives equal keys equal streams", () => {
    fc.assert(fc.property(key, (a) => {
      assert.deepStrictEqual(stream({ ...a }, 20), stream(a, 20))
    }))
  })

  it("gives neighbouring keys unrelated streams", () => {
    const change = fc.constantFrom<(a: KeyedRandom.Key) => KeyedRandom.Key>(
      (a) => ({ ...a, seed: a.seed + 1 }),
      (a) => ({ ...a, epoch: a.epoch + 1 }),
      (a) => ({ ...a, index: a.index + 1 }),
      (a) => ({ ...a, purpose: `${a.purpose}s` })
    )
    fc.assert(fc.property(key, change, (a, changed) => {
      const xs = stream(a, 1000)
      const ys = stream(changed(a), 1000)
      assert.isBelow(xs.filter((x, i) => x === ys[i]).length, 1)
      assert.isBelow(Math.abs(correlation(xs, ys)), 0.2)
      assert.isBelow(Math.abs(correlation(xs.slice(1), ys)), 0.2)
    }))
  })

  it("keeps integers within their bounds and reaches both", () => {
    fc.assert(fc.property(key, fc.integer({ min: -50, max: 50 }), fc.integer({ min: 0, max: 6 }), (a, min, more) => {
      const { integer } = KeyedRandom.generator(a)
      const values = Array.from({ length: 300 }, () => integer(min, min + more))
      assert.strictEqual(Math.min(...values), min)
      assert.strictEqual(Math.max(...values), min + more)
      assert.isTrue(values.every(Number.isInteger))
    }))
  })

  it("makes permutations of all of 0 .. n - 1", () => {
    fc.assert(fc.property(key, fc.nat(200), (a, n) => {
      assert.deepStrictEqual([...KeyedRandom.permutation(a, n)].toSorted((x, y) => x - y), [...Array(n).keys()])
    }))
  })

  it("brings every element to every place equally often", () => {
    const n = 5
    const rounds = 5000
    const counts = new Int32Array(n * n)
    for (let index = 0; index < rounds; index++) {
      KeyedRandom.permutation({ seed: 3, purpose: "order", epoch: 0, index }, n).forEach((element, place) => {
        counts[element * n + place]!++
      })
    }
    assert.isTrue(counts.every((count) => Math.abs(count - rounds / n) < 150))
  })
})
