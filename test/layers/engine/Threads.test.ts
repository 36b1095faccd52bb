import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { pretraining } from "../../../benchmarks/steps.ts"
import { tiny } from "../../../src/domain/config/presets/Presets.ts"
import * as RelativePosition from "../../../src/domain/method/RelativePosition.ts"
import * as Grid from "../../../src/domain/values/Grid.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Codes from "../../../src/shapes/Codes.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import type { Inference } from "../../../src/shapes/Step.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"
import * as Tree from "../../../src/shapes/Tree.ts"

const [M, E, K] = [38_809, 12, 732] as const

interface Batch {
  readonly codes: Tensor<[typeof M], "int32">
  readonly vectors: Tensor<[typeof M, typeof E]>
}

const summing: Inference<object, Batch, { readonly sums: Tensor<[typeof K, typeof E]> }> = {
  name: "summing",
  weights: {},
  batch: {
    codes: { shape: [M], dtype: "int32" },
    vectors: { shape: [M, E], dtype: "float32" }
  },
  run: (_, { codes, vectors }) => ({ sums: Codes.sumByCode(vectors, codes, K) })
}

const trained = (threads: number) =>
  Effect.gen(function*() {
    const { batch, state, step } = pretraining(tiny, 8)
    const handle = yield* (yield* Engine.Engine).train(step, state())
    const { loss } = yield* handle.run(batch)
    return {
      loss: HostTensor.item(loss),
      gradients: Tree.leaves<HostTensor.HostTensor<ReadonlyArray<number>, "float32">>(
        (yield* handle.snapshot).state.first
      )
    }
  }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads })))

describe("several threads", () => {
  it.effect("give the same bytes again, and those of one thread but for rounding", () =>
    Effect.gen(function*() {
      const [one, two, again] = [yield* trained(1), yield* trained(2), yield* trained(2)]
      assert.deepStrictEqual(again, two)
      assert.closeTo(two.loss, one.loss, 1e-6 * one.loss)
      const found = new Map(two.gradients)
      for (const [path, { data }] of one.gradients) {
        const rms = Math.sqrt(Array.from(data).reduce((sum, x) => sum + x * x, 0) / data.length)
        const worst = found.get(path)!.data.reduce((most, x, at) => Math.max(most, Math.abs(x - data[at]!)), 0)
        assert.isAtMost(worst, 2e-5 * rms, path)
      }
    }))

  it.effect("lose nothing of what is added at one place", () =>
    Effect.gen(function*() {
      const batch = {
        codes: HostTensor.make([M], "int32", RelativePosition.index(Grid.square(14))),
        vectors: HostTensor.make([M, E], "float32", new Float32Array(M * E).fill(1))
      }
      const counts = new Int32Array(K)
      for (const code of batch.codes.data) counts[code]!++
      const handle = yield* (yield* Engine.Engine).infer(summing, {})
      for (let run = 0; run < 300; run++) {
        const { sums } = yield* handle.run(batch)
        assert.strictEqual(sums.data.findIndex((sum, at) => sum !== counts[Math.floor(at / E)]), -1)
      }
    }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads: 2, spin: 1000 }))))
})
