import { assert, describe, it } from "@effect/vitest"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as Classifier from "../../src/nn/finetune/Classifier.ts"

const largest = (data: Float32Array) => data.reduce((most, x) => Math.max(most, Math.abs(x)), 0)

describe("initialisation", () => {
  it("cuts pretraining at one deviation and leaves fine-tuning uncut", () => {
    const most = (regime: Parameter.Regime) =>
      largest(Parameter.initialise({ weight: Parameter.normal([20_000], regime) }, 1).weight.data)
    assert.isAtMost(most(Parameter.pretraining(0.02)), 0.02)
    assert.isAbove(most(Parameter.pretraining(0.02)), 0.0199)
    assert.isAbove(most(Parameter.finetuning), 0.06)
  })

  it("draws each parameter from a stream of its own", () => {
    const alone = Parameter.initialise({ b: Parameter.normal([4], Parameter.finetuning) }, 3)
    const together = Parameter.initialise(
      { a: Parameter.normal([9], Parameter.finetuning), b: Parameter.normal([4], Parameter.finetuning) },
      3
    )
    assert.deepStrictEqual(alone.b, together.b)
    assert.notDeepEqual([...together.a.data.subarray(0, 4)], [...together.b.data])
  })

  it("makes the classifier's head as small as it is told", () => {
    const { head } = Classifier.spec({
      ...Vit.dims({ image: 32, patch: 16, width: 32, heads: 2 }),
      hidden: 64,
      relativeRows: 12,
      depth: 1,
      absolutePositions: false,
      relativePositions: "perBlock",
      qkvBias: true,
      layerScale: 0.1,
      pooling: "mean",
      headScale: 0.001,
      classes: 1000
    })
    const { data } = Parameter.initialise(head, 0).weight
    assert.closeTo(Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length), 2e-5, 1e-6)
  })
})
