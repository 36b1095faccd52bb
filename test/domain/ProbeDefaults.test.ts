import { assert, describe, it } from "@effect/vitest"
import * as KnnConfig from "../../src/domain/config/KnnConfig.ts"
import * as LogregConfig from "../../src/domain/config/LogregConfig.ts"
import * as SweepConfig from "../../src/domain/config/SweepConfig.ts"
import * as CorruptionError from "../../src/domain/evaluation/CorruptionError.ts"

describe("published settings of evaluations", () => {
  it("of logistic regression are 45 values of C from 1e-6 to 1e5, evenly on a logarithmic scale", () => {
    const { c, ...others } = LogregConfig.complete({})
    assert.lengthOf(c, 45)
    c.forEach((value, i) => assert.closeTo(Math.log10(value), -6 + i / 4, 1e-12))
    assert.deepStrictEqual(others, { heldOut: 0.1, tolerance: 1e-12, iterations: 1000 })
    assert.strictEqual(LogregConfig.complete({ heldOut: 0.2 }).heldOut, 0.2)
  })

  it("of the sweep are DINOv2's", () => {
    assert.deepStrictEqual(SweepConfig.complete({}), {
      blocks: [1, 4],
      pooling: ["cls", "cls+mean"],
      rates: [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
      batchSize: 128,
      steps: 12_500,
      momentum: 0.9,
      batchNorm: false,
      heldOut: 0.1,
      augment: { cropScale: [0.08, 1], cropRatio: [0.75, 1.3333333333333333], flip: 0.5, interpolation: "bicubic" }
    })
    const changed = SweepConfig.complete({ steps: 3, augment: { flip: 0 } })
    assert.strictEqual(changed.steps, 3)
    assert.deepInclude(changed.augment, { flip: 0, cropScale: [0.08, 1] })
    assert.isNull(SweepConfig.complete({ augment: null }).augment)
  })

  it("of few-shot learning are five draws", () => assert.strictEqual(KnnConfig.TRIES, 5))

  it("of corruption errors are AlexNet's, in the order of the benchmark", () => {
    assert.deepStrictEqual(Array.from(CorruptionError.ALEXNET.values()), [
      0.886428,
      0.894468,
      0.92264,
      0.81988,
      0.826268,
      0.785948,
      0.79836,
      0.866816,
      0.826572,
      0.819324,
      0.564592,
      0.853204,
      0.646056,
      0.71784,
      0.6065
    ])
    assert.strictEqual(CorruptionError.ALEXNET_CLEAN, 0.4348)
  })
})
