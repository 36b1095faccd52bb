import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as LogFigures from "../../src/domain/health/LogFigures.ts"

const average = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

const middle = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : average(sorted.slice(half - 1, half + 1))
}

const series = (least: number, most: number, minLength = 25) =>
  fc.array(fc.double({ min: least, max: most, noNaN: true }), { minLength, maxLength: 260, size: "max" })

const rowsOf = (name: string, values: ReadonlyArray<number>) =>
  values.map((value, step) => ({ step, lr: Math.min(step, 10), [name]: value }))

const steps = (count: number) => rowsOf("cosine", Array.from({ length: count }, () => 0.5))

describe("the figures of a log", () => {
  it("are of windows of a tenth, from 5 to 100 rows", () => {
    assert.deepStrictEqual([3, 5, 25, 50, 51, 990, 991, 1001, 9000].map(LogFigures.window), [
      3,
      5,
      5,
      5,
      6,
      99,
      100,
      100,
      100
    ])
  })

  it("compare the last gradients with those of the second fifth", () => {
    fc.assert(fc.property(series(0.1, 9), (norms) => {
      const fifth = Math.floor(norms.length / 5)
      const { gradientGrowth } = LogFigures.ofTokenizer(rowsOf("gradientNorm", norms), 16)
      const expected = middle(norms.slice(norms.length - fifth)) / middle(norms.slice(fifth, 2 * fifth))
      assert.closeTo(gradientGrowth!, expected, 1e-9)
    }))
    assert.isUndefined(LogFigures.ofTokenizer(rowsOf("gradientNorm", Array(25).fill(0)), 16).gradientGrowth)
  })

  it("compare the last cosine with the best one", () => {
    fc.assert(fc.property(series(-1, 1), (cosines) => {
      const size = LogFigures.window(cosines.length)
      const means: Array<number> = []
      for (let end = cosines.length; end >= size; end -= size) means.push(average(cosines.slice(end - size, end)))
      const { cosineLost } = LogFigures.ofTokenizer(rowsOf("cosine", cosines), 16)
      assert.closeTo(cosineLost!, Math.max(...means) - means[0]!, 1e-9)
    }))
  })

  it("of pretraining are shares of chance", () => {
    fc.assert(fc.property(series(0.1, 9, 100), (values) => {
      const rows = values.map((value, step) => ({ step, loss_1: value, accuracy_1: value / 10 }))
      const last = average(values.slice(-LogFigures.window(values.length)))
      const found = LogFigures.ofBackbone(rows, { entropy: 5, topShare: 0.25 })
      assert.closeTo(found.lossOverEntropy!, last / 5, 1e-9)
      assert.closeTo(found.accuracy!, last / 10, 1e-9)
      assert.closeTo(found.accuracyOverChance!, last / 10 / 0.25, 1e-9)
      assert.deepStrictEqual(Object.keys(LogFigures.ofBackbone(rows, { entropy: 0, topShare: 0 })), ["accuracy"])
    }))
  })

  it("need 25 rows, and 100 of pretraining", () => {
    assert.deepStrictEqual(LogFigures.ofTokenizer(steps(24), 16), {})
    assert.strictEqual(LogFigures.ofTokenizer(steps(25), 16).cosine, 0.5)
    const chance = { entropy: 5, topShare: 0.25 }
    const rows = (count: number) => rowsOf("loss_1", Array.from({ length: count }, () => 2))
    assert.deepStrictEqual(LogFigures.ofBackbone(rows(99), chance), {})
    assert.deepStrictEqual(LogFigures.ofBackbone(rows(100), chance), { lossOverEntropy: 0.4 })
  })

  it("count as reached 50 steps after the warmup, unless a bad one still rises", () => {
    assert.isUndefined(LogFigures.reached(0.5, 0, 49))
    assert.strictEqual(LogFigures.reached(0.5, 1, 50), 0.5)
    assert.strictEqual(LogFigures.reached(0.05, 0.05, 50), 0.05)
    assert.isUndefined(LogFigures.reached(0.05, 0.051, 50))
  })

  it("tell their steps", () => {
    const told = (name: Parameters<typeof LogFigures.stepsOf>[0]) => LogFigures.stepsOf(name, steps(103))
    assert.strictEqual(told("cosineLost"), "steps 4 to 102 of the log")
    assert.strictEqual(told("cosineBest"), "steps 13 to 102 of the log, since the warmup")
    assert.strictEqual(told("gradientGrowth"), "steps 20 to 39 and steps 83 to 102 of the log")
    assert.strictEqual(told("cosine"), "steps 92 to 102 of the log")
    assert.strictEqual(LogFigures.stepsOf("cosine", []), "no steps of the log")
  })
})
