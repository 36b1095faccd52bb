import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import { Engine, layerReference } from "../../src/layers/engine/Engine.ts"
import * as AdamW from "../../src/nn/optimizer/AdamW.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, SpecOf, TrainStep } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"

interface Weights {
  readonly table: Tensor<[2, 2]>
  readonly bias: Tensor<[2]>
}

const spec: SpecOf<Weights> = { table: { shape: [2, 2], dtype: "float32" }, bias: { shape: [2], dtype: "float32" } }

const betas = [0.9, 0.999] as const

const stepOf = (adamw: AdamW.Options): TrainStep<AdamW.State<Weights>, { readonly hyper: AdamW.Hyper }, object> => ({
  name: "decay",
  state: AdamW.stateSpec(spec, adamw),
  batch: { hyper: AdamW.hyperSpec(adamw) },
  run: (state, { hyper }) => {
    const { bias, table } = state.parameters
    const still = { table: Elementwise.scale(table, 0), bias: Elementwise.scale(bias, 0) }
    return { metrics: {}, state: AdamW.update(state, still, hyper, adamw).state }
  }
})

const filled = (value: number): HostOf<Weights> => ({
  table: HostTensor.make([2, 2], "float32", new Float32Array(4).fill(value)),
  bias: HostTensor.make([2], "float32", new Float32Array(2).fill(value))
})

const begun = () => ({ parameters: filled(1), first: filled(0), second: filled(0) })

const decayed = (adamw: AdamW.Options, weightDecays: ReadonlyArray<number | undefined>) =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine).train(stepOf(adamw), begun())
    for (const [step, weightDecay] of weightDecays.entries()) {
      yield* handle.run({ hyper: AdamW.hyper(step, 0.1, { betas, eps: 1e-8 }, 0, weightDecay) })
    }
    const { table, bias } = (yield* handle.snapshot).state.parameters
    return [table.data[0]!, bias.data[0]!]
  }).pipe(Effect.scoped, Effect.provide(layerReference))

const options = {
  betas,
  clipNorm: null,
  weightDecay: 0.5,
  weightDecayEnd: 0.1,
  decays: (_: string, rank: number) => rank > 1
}

describe("a weight decay that changes", () => {
  it.effect("acts with the value of each step, where weight decay acts at all", () =>
    Effect.gen(function*() {
      const [table, bias] = yield* decayed(options, [0.5, 0.2, 0])
      assert.closeTo(table!, (1 - 0.1 * 0.5) * (1 - 0.1 * 0.2), 1e-6)
      assert.strictEqual(bias, 1)
      const none = yield* decayed({ ...options, weightDecay: 0 }, [0.5, 0.5])
      assert.deepStrictEqual(none, [1, 1])
    }))

  it.effect("is refused by options without one", () =>
    Effect.gen(function*() {
      const constant = { ...options, weightDecayEnd: undefined }
      const [table] = yield* decayed(constant, [undefined])
      assert.closeTo(table!, 1 - 0.1 * 0.5, 1e-6)
      const step = { ...stepOf(constant), batch: { hyper: AdamW.hyperSpec({ weightDecay: 0, weightDecayEnd: 1 }) } }
      assert.throws(() => Trace.trainStep(step), "differ about a weight decay that changes")
    }))
})
