import { assert, describe, it } from "@effect/vitest"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const key: KeyedRandom.Key = { seed: 0, purpose: "test", epoch: 0, index: 0 }
const draws = (k: KeyedRandom.Key, n: number, of: (g: KeyedRandom.Generator) => number) => {
  const g = KeyedRandom.generator(k)
  return Array.from({ length: n }, () => of(g))
}
const first = (k: KeyedRandom.Key) => KeyedRandom.generator(k).uniform()
const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

describe("KeyedRandom", () => {
  it("pins the numbers of one key for ever", () => {
    assert.deepStrictEqual(draws(key, 3, (g) => g.integer(0, 999_999)), [88491, 907131, 774285])
    assert.deepStrictEqual([...KeyedRandom.permutation(key, 8)], [6, 1, 0, 4, 7, 5, 2, 3])
  })

  it("draws uniform numbers in [0, 1) with the right first two moments", () => {
    const values = draws(key, 20_000, (g) => g.uniform())
    assert.isTrue(values.every((v) => v >= 0 && v < 1))
    assert.closeTo(mean(values), 0.5, 0.01)
    assert.closeTo(mean(values.map((v) => (v - 0.5) ** 2)), 1 / 12, 0.003)
  })

  it("draws normal numbers with the right first four moments", () => {
    const values = draws(key, 20_000, (g) => g.normal())
    assert.closeTo(mean(values), 0, 0.03)
    assert.closeTo(mean(values.map((v) => v ** 2)), 1, 0.04)
    assert.closeTo(mean(values.map((v) => v ** 4)), 3, 0.3)
  })

  it("draws every integer of a range equally often", () => {
    const counts = [0, 0, 0, 0, 0, 0, 0]
    for (const value of draws(key, 21_000, (g) => g.integer(-3, 3))) counts[value + 3]!++
    assert.isTrue(counts.every((c) => Math.abs(c - 3000) < 250))
  })

  it("tells the fields of a key apart when their values are swapped or joined", () => {
    const all = [
      { ...key, seed: 1 },
      { ...key, epoch: 1 },
      { ...key, index: 1 },
      { ...key, seed: 2 ** 32 },
      { ...key, epoch: 2 ** 32 },
      { ...key, seed: -1 },
      { ...key, purpose: "test2" },
      { ...key, purpose: "tset" },
      { ...key, purpose: "" },
      key
    ]
    assert.strictEqual(new Set(all.map(first)).size, all.length)
  })

  it("gives neighbouring indices uncorrelated first draws", () => {
    const values = Array.from({ length: 20_000 }, (_, index) => KeyedRandom.generator({ ...key, index }).uniform())
    assert.closeTo(mean(values), 0.5, 0.01)
    assert.closeTo(mean(values.slice(1).map((v, i) => (v - 0.5) * (values[i]! - 0.5))) * 12, 0, 0.03)
  })
})
