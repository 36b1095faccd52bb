import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "../../src/domain/evaluation/Metrics.ts"

describe("Metrics", () => {
  it("ranks equal logits by class number", () => {
    const equal = Float32Array.of(1, 1, 1)
    assert.deepStrictEqual([...Metrics.predictions(equal, 3)], [0])
    assert.strictEqual(Metrics.topK(equal, Int32Array.of(1), 3, 1), 0)
    assert.strictEqual(Metrics.topK(equal, Int32Array.of(1), 3, 2), 1)
  })

  it("counts NaN as wrong", () => {
    assert.strictEqual(Metrics.topK(Float32Array.of(NaN, NaN), Int32Array.of(0), 2, 2), 0)
  })

  it.each([7, 2, -1])("never counts a label beyond the classes: %i", (label) => {
    const wrong = new RegExp(`label 0 is ${label}, not in 0\\.\\.1`)
    assert.throws(() => Metrics.topK(Float32Array.of(1, 0), Int32Array.of(label), 2, 1), wrong)
    assert.throws(() => Metrics.confusion(Int32Array.of(0), Int32Array.of(label), 2), wrong)
    assert.throws(() => Metrics.confusion(Int32Array.of(label), Int32Array.of(0), 2), /prediction 0/)
    assert.throws(() => Metrics.columns(Float32Array.of(1, 0), 2, [label]), /column 0/)
  })

  it("prefers any number to NaN", () => {
    assert.deepStrictEqual([...Metrics.predictions(Float32Array.of(NaN, -1, -2), 3)], [1])
  })

  it("knows how sure a share is", () => {
    const [low, high] = Metrics.interval(81, 263)
    assert.closeTo(low, 0.2553, 1e-4)
    assert.closeTo(high, 0.3662, 1e-4)
    assert.deepStrictEqual(Metrics.interval(0, 0), [0, 1])
    for (let total = 1; total < 2000; total++) {
      assert.strictEqual(Metrics.interval(0, total)[0], 0)
      assert.strictEqual(Metrics.interval(total, total)[1], 1)
    }
    assert.closeTo(Metrics.interval(10, 10)[0], 0.7225, 1e-4)
  })

  it("puts labels in rows and predictions in columns", () => {
    const counts = Metrics.confusion(Int32Array.of(0, 1, 1, 1), Int32Array.of(0, 0, 1, 1), 3)
    assert.deepStrictEqual([...counts], [1, 1, 0, 0, 2, 0, 0, 0, 0])
    assert.deepStrictEqual(Metrics.classAccuracies(counts, 3), [0.5, 1, undefined])
    assert.strictEqual(Metrics.meanClassAccuracy(counts, 3), 0.75)
  })

  it("refuses logits and labels that do not match", () => {
    assert.throws(() => Metrics.predictions(new Float32Array(5), 3), /5 logits/)
    assert.throws(() => Metrics.classAccuracies(new Int32Array(9), 2), /9 counts are no confusion matrix of 2/)
    assert.throws(() => Metrics.topK(new Float32Array(6), new Int32Array(3), 3, 1), /2 rows of logits but 3 labels/)
  })
})
