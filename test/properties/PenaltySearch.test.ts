import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as PenaltySearch from "../../src/domain/evaluation/PenaltySearch.ts"

const run = (grid: ReadonlyArray<number>, score: (value: number) => number) => {
  const search = PenaltySearch.search(grid)
  const asked: Array<number> = []
  let next = search.next()
  while (next.done !== true) {
    asked.push(next.value)
    next = search.next(score(next.value))
  }
  return { asked, ...next.value }
}

const exponents = fc.uniqueArray(fc.integer({ min: -4, max: 2 }), { minLength: 2, maxLength: 5 })

describe("the search for a penalty", () => {
  it("ends with a best that has one not better on each side, wherever it lies", () => {
    fc.assert(fc.property(exponents, fc.integer({ min: -8, max: 6 }), (powers, peak) => {
      const { asked, atEdge, best, tried } = run(
        powers.map((power) => 10 ** power),
        (value) => -Math.abs(Math.log10(value) - peak)
      )
      assert.isFalse(atEdge)
      assert.strictEqual(new Set(asked).size, asked.length)
      const place = tried.findIndex(({ value }) => value === best)
      assert.isTrue(place > 0 && place < tried.length - 1)
      assert.strictEqual(tried[place]!.score, Math.max(...tried.map(({ score }) => score)))
    }))
  })

  it("tries the grid alone where its best is inside", () => {
    const { asked, best } = run([1e-3, 1e-2, 1e-1], (value) => -Math.abs(Math.log10(value) + 2))
    assert.deepStrictEqual([asked, best], [[1e-3, 1e-2, 1e-1], 1e-2])
  })

  it("goes on by the step at that end, with as few digits as the grid", () => {
    assert.deepStrictEqual(run([1e-3, 1e-2], (value) => -value).asked.slice(2, 5), [1e-4, 1e-5, 1e-6])
    assert.deepStrictEqual(run([3, 6, 60], (value) => value).asked.slice(3, 5), [600, 6000])
    assert.deepStrictEqual(run([0, 2], (value) => value).asked.slice(2, 4), [20, 200])
  })

  it("stops at a bound, and says that the best is still at the end", () => {
    const { asked, atEdge } = run([1, 10], (value) => value)
    assert.strictEqual(asked.length, 2 + PenaltySearch.BEYOND)
    assert.isTrue(atEdge)
  })

  it("takes the first of equals, and 0 for an end that has nothing beyond", () => {
    assert.strictEqual(run([1e-1, 1e-3, 1e-2], () => 1).best, 1e-1)
    const zero = run([0, 1], (value) => -value)
    assert.deepStrictEqual([zero.asked, zero.best, zero.atEdge], [[0, 1], 0, false])
  })

  it("chooses nothing where one value is given", () => {
    assert.deepStrictEqual(run([0.5, 0.5], () => 0), { asked: [], best: 0.5, tried: [], atEdge: false })
    assert.throws(() => run([], () => 0), /at least one/)
  })
})
