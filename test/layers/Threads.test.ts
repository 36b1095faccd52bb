import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Grid from "../../src/domain/Grid.ts"
import * as RelativePosition from "../../src/domain/RelativePosition.ts"
import { Engine } from "../../src/layers/Engine.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"

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

describe("several threads", () => {
  it.effect("lose nothing of what is added at one place", () =>
    Effect.gen(function*() {
      const batch = {
        codes: HostTensor.make([M], "int32", RelativePosition.index(Grid.square(14))),
        vectors: HostTensor.make([M, E], "float32", new Float32Array(M * E).fill(1))
      }
      const counts = new Int32Array(K)
      for (const code of batch.codes.data) counts[code]!++
      const handle = yield* (yield* Engine).infer(summing, {})
      for (let run = 0; run < 300; run++) {
        const { sums } = yield* handle.run(batch)
        assert.strictEqual(sums.data.findIndex((sum, at) => sum !== counts[Math.floor(at / E)]), -1)
      }
    }).pipe(Effect.scoped, Effect.provide(Engine.layerOnnx({ threads: 2, spin: 1000 }))))
})
