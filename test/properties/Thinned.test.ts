import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Thinned from "../../src/pipelines/runs/Thinned.ts"

const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 400 })

const added = (most: number, points: ReadonlyArray<readonly [number, number]>) => {
  const thinned = Thinned.make(most)
  for (const [step, value] of points) thinned.add(step, value)
  return thinned.series()
}

describe("Thinned", () => {
  it("keeps a bounded number of points: ends, extremes, and all of a short series", () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 1, max: 5 }), values, (most, stride, all) => {
        const points = all.map((value, i) => [1 + stride * i, value] as const)
        const { steps, values } = added(most, points)
        assert.isAtMost(steps.length, most)
        assert.deepStrictEqual(steps, steps.toSorted((a, b) => a - b))
        steps.forEach((step, i) => assert.strictEqual(values[i], all[(step - 1) / stride]))
        if (all.length <= most) assert.strictEqual(steps.length, all.length)
        if (all.length === 0) return
        assert.strictEqual(steps[0], 1)
        assert.strictEqual(steps.at(-1), points.at(-1)![0])
        assert.strictEqual(Math.min(...values), Math.min(...all))
        assert.strictEqual(Math.max(...values), Math.max(...all))
      })
    )
  })

  it("replaces the steps that a resumed stage repeats", () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 1, max: 60 }), (length, back) => {
      const from = Math.max(1, length + 1 - back)
      const first = Array.from({ length }, (_, i) => [i + 1, 0] as const)
      const again = Array.from({ length: back + 3 }, (_, i) => [from + i, 1] as const)
      const { steps, values } = added(1000, [...first, ...again])
      assert.deepStrictEqual(steps, Array.from({ length: from + back + 2 }, (_, i) => i + 1))
      assert.deepStrictEqual(values, steps.map((step) => step < from ? 0 : 1))
    }))
  })
})
