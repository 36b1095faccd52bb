import { assert, describe, it } from "@effect/vitest"
import * as Charts from "../../src/pipelines/report/Charts.ts"

const drawn = (metrics: Readonly<Record<string, ReadonlyArray<number>>>) =>
  Charts.charts(
    Object.entries(metrics).map(([metric, values]) => ({
      stage: "pretrain",
      metric,
      steps: values.map((_, i) => i),
      values
    })),
    { expected: { curves: [] } }
  )

describe("charts of curves", () => {
  it("show a constant value in the middle of an axis of its own size", () => {
    for (const value of [0.05, -0.05, 1e-5, 300]) {
      const [low, high] = drawn({ weightDecay: [value, value] })[0]!.range
      assert.closeTo((low + high) / 2, value, Math.abs(value) * 1e-9)
      assert.isAtMost(high - low, Math.abs(value) / 2)
    }
    assert.deepStrictEqual(drawn({ weightDecay: [0, 0] })[0]!.range, [-1, 1])
  })

  it("have different names", () => {
    assert.deepStrictEqual(drawn({ loss: [2, 1], loss_1: [2, 1] }).map(({ title }) => title), [
      "pretrain: loss",
      "pretrain: loss of the last layer"
    ])
    assert.deepStrictEqual(drawn({ loss_1: [2, 1] }).map(({ title }) => title), ["pretrain: loss"])
  })
})
