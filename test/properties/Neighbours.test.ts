import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Neighbours from "../../src/domain/evaluation/Neighbours.ts"

const cosines = fc.array(fc.integer({ min: -5, max: 5 }).map((n) => n / 5), { minLength: 1, maxLength: 40 })

const sorted = (similarity: Float32Array, places: ReadonlyArray<number>) =>
  places.toSorted((a, b) => similarity[b]! - similarity[a]! || a - b)

describe("Neighbours", () => {
  it("are the first of all places by similarity, then by place", () =>
    fc.assert(fc.property(cosines, fc.integer({ min: 1, max: 45 }), fc.nat(), (values, count, seed) => {
      const similarity = Float32Array.from(values)
      const all = Array.from(similarity.keys())
      assert.deepStrictEqual(Neighbours.nearest(similarity, count), sorted(similarity, all).slice(0, count))
      const some = all.filter((place) => (place * 7 + seed) % 3 > 0)
      assert.deepStrictEqual(
        Neighbours.nearest(similarity, count, Int32Array.from(some)),
        sorted(similarity, some).slice(0, count)
      )
    })))

  it("vote with shares of one softmax, so that more of them only add votes", () =>
    fc.assert(fc.property(
      cosines,
      fc.double({ min: 1e-3, max: 10, noNaN: true }),
      fc.integer({ min: 1, max: 40 }),
      (values, temperature, k) => {
        const near = values.toSorted((a, b) => b - a)
        const labels = near.map((_, i) => i % 3)
        const [some, all] = Neighbours.votes(near, labels, { classes: 3, neighbours: [k, near.length], temperature })
        const total = near.reduce((sum, value) => sum + Math.exp((value - near[0]!) / temperature), 0)
        all!.forEach((vote, label) => {
          const own = near.filter((_, i) => labels[i] === label)
          const expected = own.reduce((sum, value) => sum + Math.exp((value - near[0]!) / temperature), 0) / total
          assert.closeTo(vote, expected, 1e-9)
          assert.isAtMost(some![label]!, vote)
        })
        assert.closeTo(all!.reduce((a, b) => a + b), 1, 1e-9)
      }
    )))
})
