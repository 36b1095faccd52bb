import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Vit from "../../../src/nn/blocks/Vit.ts"
import * as PretrainStep from "../../../src/nn/pretrain/PretrainStep.ts"
import * as Codes from "../../../src/shapes/Codes.ts"
import * as Elementwise from "../../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Linear from "../../../src/shapes/Linear.ts"
import type { HostOf, Inference } from "../../../src/shapes/Step.ts"
import type { Tensor } from "../../../src/shapes/Tensor.ts"
import * as Tree from "../../../src/shapes/Tree.ts"
import { present, reference, xla } from "./engines.ts"

const drawn = <T>(spec: object, size: number): HostOf<T> =>
  Tree.map<HostOf<T>>(spec, ({ dtype, shape }) => {
    const at = (i: number) => size * Math.sin(0.37 * i * i)
    const length = HostTensor.size(shape)
    const data = {
      float32: () => Float32Array.from({ length }, (_, i) => at(i)),
      int32: () => Int32Array.from({ length }, (_, i) => i % 4),
      bool: () => Uint8Array.from({ length }, (_, i) => i % 2)
    }[dtype as HostTensor.DType]()
    return { dtype, shape, data }
  })

const results = <W, B, O>(inference: Inference<W, B, O>) =>
  Effect.gen(function*() {
    const handle = yield* (yield* Engine.Engine).infer(inference, drawn<W>(inference.weights as object, 0.3))
    return yield* handle.run(drawn<B>(inference.batch as object, 1))
  }).pipe(Effect.scoped)

const network = {
  ...Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 }),
  hidden: 16,
  relativeRows: 12,
  depth: 1,
  absolutePositions: false,
  relativePositions: "shared",
  qkvBias: true,
  layerScale: 0.1,
  initStd: 0.02,
  codes: 7,
  aggregation: null
} as const

interface Layer {
  readonly weight: Tensor<[8, 8]>
  readonly codebook: Tensor<[64, 8]>
}

const matrix = <const S extends readonly [number, number]>(...shape: S) =>
  ({ shape, dtype: "float32" }) as { readonly shape: { -readonly [K in keyof S]: S[K] }; readonly dtype: "float32" }

const coded: Inference<
  Layer,
  { readonly vectors: Tensor<[256, 8]> },
  { readonly codes: Tensor<[256], "int32">; readonly exact: Tensor<[256, 8]>; readonly rounded: Tensor<[256, 8]> }
> = {
  name: "coded",
  weights: { weight: matrix(8, 8), codebook: matrix(64, 8) },
  batch: { vectors: matrix(256, 8) },
  run: ({ codebook, weight }, { vectors }) => {
    const exact = Linear.project(vectors, weight, { exact: true })
    const rounded = Linear.project(Elementwise.scale(vectors, 2), weight)
    return { codes: Codes.nearest(exact, codebook), exact, rounded }
  }
}

for (const { name } of present([xla])) {
  describe(`${name} in bf16`, () => {
    const both = <W, B, O>(inference: Inference<W, B, O>) =>
      Effect.all([results(inference), Effect.provide(results(inference), reference.layer)])

    it.layer(Engine.layerXla({ precision: "bf16" }))((it) => {
      it.effect("says so", () =>
        Effect.gen(function*() {
          const engine = yield* Engine.Engine
          assert.strictEqual(engine.about.precision, "bf16")
          assert.match(engine.name, / bf16, /)
        }))

      it.effect("computes the loss of a network nearly as in fp32", () =>
        Effect.gen(function*() {
          const [found, expected] = yield* both(PretrainStep.predict(network, { size: 2, masked: 4 }))
          const deviation = Math.abs(HostTensor.item(found.loss) / HostTensor.item(expected.loss) - 1)
          assert.isBelow(deviation, 1e-3)
          assert.isAbove(deviation, 1e-7)
        }))

      it.effect("finds the codes of fp32, and rounds no exact layer", () =>
        Effect.gen(function*() {
          const [found, expected] = yield* both(coded)
          assert.deepStrictEqual(found.codes, expected.codes)
          const deviation = (key: "exact" | "rounded") =>
            Math.max(...found[key].data.map((x, i) => Math.abs(x - expected[key].data[i]!)))
          assert.isBelow(deviation("exact"), 1e-6)
          assert.isAbove(deviation("rounded"), 1e-4)
        }))
    })
  })
}
