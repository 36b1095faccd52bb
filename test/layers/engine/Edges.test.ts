import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import { Activation, Elementwise, HostTensor, Reduction, type Step, Tensor } from "../../../src/shapes/index.ts"
import { type Candidate, onnx, openvino, present, reference, tensorflow, web, xla } from "./engines.ts"

interface Said extends Candidate {
  readonly denormal: "kept" | "zero"
  readonly losesNaN: ReadonlyArray<string>
  readonly mayLoseNaN?: ReadonlyArray<string>
}

const engines: ReadonlyArray<Said> = [
  { ...reference, denormal: "kept", losesNaN: [] },
  { ...onnx, denormal: "kept", losesNaN: [] },
  { ...web, denormal: "kept", losesNaN: [] },
  {
    ...openvino,
    denormal: "kept",
    losesNaN: ["relu", "atMost", "atLeast", "maximum, first", "minimum, first", "softmax", "exp"]
  },
  { ...tensorflow, denormal: "zero", losesNaN: [], mayLoseNaN: ["softmax"] },
  { ...xla, denormal: "zero", losesNaN: [] }
]

type Rows = Tensor.Tensor<[4, 4]>

const operations: Readonly<Record<string, (x: Rows) => Tensor.Any>> = {
  relu: (x) => Activation.relu(x),
  softmax: (x) => Activation.softmax(x),
  atMost: (x) => Elementwise.atMost(x, 2),
  atLeast: (x) => Elementwise.atLeast(x, 2),
  "maximum, first": (x) => Elementwise.maximum(x, Tensor.fill([4, 4], 1)),
  "maximum, second": (x) => Elementwise.maximum(Tensor.fill([4, 4], 1), x),
  "minimum, first": (x) => Elementwise.minimum(x, Tensor.fill([4, 4], 1)),
  "minimum, second": (x) => Elementwise.minimum(Tensor.fill([4, 4], 1), x),
  maxLast: (x) => Reduction.maxLast(x),
  exp: (x) => Elementwise.exp(x),
  sum: (x) => Reduction.sum(x),
  square: (x) => Elementwise.square(x)
}

type Outputs = Readonly<Record<string, Tensor.Any>>

const step: Step.Inference<object, { readonly x: Rows; readonly small: Tensor.Tensor<[4]> }, Outputs> = {
  name: "edges",
  weights: {},
  batch: { x: { shape: [4, 4], dtype: "float32" }, small: { shape: [4], dtype: "float32" } },
  run: (_, { small, x }) => ({
    ...Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, operation(x)])),
    half: Elementwise.scale(small, 0.5)
  })
}

const x = HostTensor.make([4, 4], "float32", Float32Array.from({ length: 16 }, (_, i) => i % 5 === 0 ? NaN : i - 8))
const small = HostTensor.make([4], "float32", Float32Array.of(1e-40, -1e-40, 1, 2))

describe("numbers at the edges", () => {
  it.effect.each(present(engines) as ReadonlyArray<Said>)(
    "are taken by $name as docs/numerics.md says",
    ({ denormal, layer, losesNaN, mayLoseNaN = [] }) =>
      Effect.gen(function*() {
        const handle = yield* (yield* Engine.Engine).infer(step, {})
        const found = yield* handle.run({ x, small })
        assert.strictEqual(found["half"]!.data[0] === 0 ? "zero" : "kept", denormal)
        const isAll = new Set(["softmax", "maxLast", "sum"])
        const lost = Object.entries(found).filter(([name, { data }]) =>
          name !== "half" && Array.from(data).some((y, i) => !Number.isNaN(y) && (isAll.has(name) || i % 5 === 0))
        ).map(([name]) => name)
        assert.deepStrictEqual(lost.filter((name) => !mayLoseNaN.includes(name)).toSorted(), losesNaN.toSorted())
      }).pipe(Effect.scoped, Effect.provide(layer))
  )
})
