import { assert, describe, it } from "@effect/vitest"
import * as AccuracyDifference from "../../src/domain/evaluation/AccuracyDifference.ts"
import * as Metrics from "../../src/domain/evaluation/Metrics.ts"

const of = (right: number, total: number) => ({ value: right / total, interval: Metrics.interval(right, total) })

describe("AccuracyDifference", () => {
  it("has the intervals that Newcombe printed for his tenth method", () => {
    const printed: ReadonlyArray<
      readonly [one: [number, number], other: [number, number], low: number, high: number]
    > = [
      [[56, 70], [48, 80], 0.0524, 0.3339],
      [[9, 10], [3, 10], 0.1705, 0.809],
      [[6, 7], [2, 7], 0.0582, 0.8062],
      [[5, 56], [0, 29], -0.0381, 0.1926],
      [[0, 10], [0, 20], -0.1611, 0.2775]
    ]
    for (const [one, other, low, high] of printed) {
      const { interval, isClear } = AccuracyDifference.between(of(...other), of(...one))
      assert.closeTo(interval[0], low, 5e-5)
      assert.closeTo(interval[1], high, 5e-5)
      assert.strictEqual(isClear, low > 0)
    }
  })

  it("turns its sign with the order", () => {
    const [one, other] = [of(30, 100), of(60, 100)]
    const there = AccuracyDifference.between(one, other)
    const back = AccuracyDifference.between(other, one)
    assert.closeTo(there.difference, -back.difference, 1e-12)
    assert.closeTo(there.interval[0], -back.interval[1], 1e-12)
    assert.isTrue(there.isClear && back.isClear)
  })
})
