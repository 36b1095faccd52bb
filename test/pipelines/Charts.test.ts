import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
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

  it("smooth each value by the mean of it and of those before it", () => {
    const values = fc.array(fc.double({ noNaN: true, min: -1e3, max: 1e3 }), { minLength: 120, maxLength: 500 })
    fc.assert(fc.property(values, (loss) => {
      const window = Math.ceil(loss.length / 40)
      const [, , smoothed] = drawn({ loss })[0]!.data
      loss.forEach((_, i) => {
        const seen = loss.slice(Math.max(0, i + 1 - window), i + 1)
        const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length
        assert.closeTo(smoothed![i]!, mean, 1e-4 * Math.abs(mean) + 1e-9)
      })
    }))
  })

  it("tell the first and the last value of the log, not of the smoothed curve", () => {
    const lr = Array.from({ length: 400 }, (_, i) => i / 1000)
    assert.strictEqual(drawn({ lr })[0]!.summary, "0 → 0.399")
  })

  it("end at zero where the values do, and recover from a value that is not finite", () => {
    const late = Array.from({ length: 400 }, (_, i) => i < 200 ? 1 / (3 + i) : 0)
    const [, , zeros] = drawn({ revived: late })[0]!.data
    assert.strictEqual(zeros!.at(-1), 0)
    const broken = Array.from({ length: 400 }, (_, i) => i === 100 ? NaN : 2)
    const [, , recovered] = drawn({ loss: broken })[0]!.data
    assert.strictEqual(recovered!.at(-1), 2)
  })
})
