import { assert, describe, it } from "@effect/vitest"
import * as Tracer from "../../src/compiler/kernels/Tracer.ts"
import * as XlaProgram from "../../src/compiler/programs/XlaProgram.ts"
import * as Split from "../../src/compiler/trace/Split.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Collective from "../../src/shapes/Collective.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import { valueAndGradient } from "../../src/shapes/Gradient.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Split as How, TrainStep } from "../../src/shapes/Step.ts"
import type { Any, Tensor } from "../../src/shapes/Tensor.ts"
import { casesOf } from "../nn/steps.ts"

interface State {
  readonly w: Tensor<[]>
}

interface Batch {
  readonly x: Tensor<[4]>
  readonly codes: Tensor<[4], "int32">
  readonly rate: Tensor<[]>
}

const rows = { split: "rows" } as const

const step = (
  metricOf: (batch: Batch, state: State) => Any,
  shared: { readonly split?: How } = rows
): TrainStep<State, Batch, object> => ({
  name: "small",
  state: { w: { shape: [], dtype: "float32" } },
  batch: {
    x: { shape: [4], dtype: "float32", ...shared },
    codes: { shape: [4], dtype: "int32", ...shared },
    rate: { shape: [], dtype: "float32" }
  },
  run: (state, batch) => {
    const { gradients, loss } = valueAndGradient(({ w }: State) => ({
      loss: Reduction.mean(Elementwise.square(Elementwise.shiftBy(batch.x, w))),
      aux: {}
    }), state)
    return {
      metrics: { loss, metric: metricOf(batch, state) },
      state: { w: Elementwise.sub(state.w, Elementwise.mul(batch.rate, gradients.w)) }
    }
  }
})

const operations = (devices: number) => {
  const { graph } = Trace.trainStep(
    step(({ codes }) => Collective.psum(Codes.countByCode(codes, 3))),
    { devices }
  )
  return graph.nodes.map(({ operation }) => operation).filter((operation) => /^p|^rank/.test(operation))
}

const refused = (traced: () => unknown, words: RegExp) => {
  assert.throws(traced, Tracer.NotTraceable)
  assert.throws(traced, words)
}

describe("a step on several devices", () => {
  it("is the same program for the devices of several ranks, of which each has one and its own share", () => {
    const small = step(({ codes }) => Collective.psum(Codes.countByCode(codes, 3)))
    const together = XlaProgram.trainStep(small, { devices: 2 })
    const ofRank = (rank: number) => XlaProgram.trainStep(small, { place: { rank, size: 2 }, collectives: "inside" })
    for (const { batch, before, devices, replicas, results, state, text } of [ofRank(0), ofRank(1)]) {
      assert.deepStrictEqual([before, devices, replicas], [undefined, 1, 2])
      assert.strictEqual(text, together.text)
      assert.deepStrictEqual([state, results], [together.state, together.results])
      assert.deepStrictEqual(batch.map(({ name, shape }) => [name, shape]), [
        ["batch.x", [2]],
        ["batch.codes", [2]],
        ["batch.rate", []]
      ])
    }
    assert.include(together.text, "mhlo.num_replicas = 2 : i32")
    assert.include(together.text, "replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>")
    assert.strictEqual(
      XlaProgram.trainStep(small, { place: { rank: 0, size: 1 }, collectives: "inside" }).text,
      XlaProgram.trainStep(small).text
    )
  })

  it("has sums and means over them in its graph, and none on one device", () => {
    assert.deepStrictEqual(operations(1), [])
    assert.deepStrictEqual(operations(2), ["pmean", "pmean", "psum"])
  })

  it("is a program of the share of one, with the ports of the whole batch", () => {
    const { batch, devices, text } = XlaProgram.trainStep(step(({ rate }) => rate), { devices: 2 })
    assert.match(text, /mhlo\.num_replicas = 2 : i32/)
    assert.match(text, /@main\(%arg0: tensor<f32> \{tf\.aliasing_output = 0 : i32\}, %arg1: tensor<2xf32>/)
    assert.deepStrictEqual([devices, batch[0]], [2, { name: "batch.x", shape: [4], dtype: "float32", split: "rows" }])
  })

  it("is refused if a result would differ between them", () => {
    refused(
      () => Trace.trainStep(step(({ x }) => Reduction.mean(x)), { devices: 2 }),
      /^metrics\.metric would differ between devices; take its sum or its mean/
    )
    Trace.trainStep(step(({ rate }, { w }) => Elementwise.add(rate, w)), { devices: 2 })
  })

  it("is refused if it sums what all of them have", () => {
    refused(
      () => Trace.trainStep(step(({ rate }) => Collective.psum(rate)), { devices: 2 }),
      /it sums a value over devices/
    )
    Trace.trainStep(step(({ rate }) => Collective.pmean(rate)), { devices: 2 })
  })

  it("is refused if they would not share the batch", () => {
    refused(() => Trace.trainStep(step(({ rate }) => rate, {}), { devices: 2 }), /no array of its batch says/)
    assert.throws(() => Trace.trainStep(step(({ rate }) => rate), { devices: 3 }), Split.Uneven)
  })

  it("may be any of the method", () => {
    for (const { step } of Object.values(casesOf({ image: 16, batch: 4 }))) {
      Trace.trainStep(step as TrainStep<object, object, object>, { devices: 4 })
    }
  })
})
