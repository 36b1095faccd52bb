import { afterAll, assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, ManagedRuntime } from "effect"
import fc from "fast-check"
import * as Engine from "../../src/layers/engine/Engine.ts"
import {
  Activation,
  Arrange,
  Codes,
  Convolution,
  Elementwise,
  Gradient,
  HostTensor,
  Reduction,
  ShapeError,
  type Step,
  Tensor,
  Tree
} from "../../src/shapes/index.ts"
import { openvino, present, tensorflow } from "../layers/engine/engines.ts"
import { type Host, inputs, type Operation, operations, type Sizes, sizes } from "./operations.ts"

type Tensors = Readonly<Record<string, Tensor.Any>>

const ramp = (shape: ReadonlyArray<number>) =>
  Tensor.constant(
    HostTensor.make(
      shape,
      "float32",
      Float32Array.from({ length: HostTensor.size(shape) }, (_, at) => Math.sin(at + 1))
    )
  )

const weighted = (output: object): Tensor.Tensor<[]> =>
  Tree.leaves<Tensor.Any>(output)
    .map(([, leaf]) => Reduction.sum(Elementwise.mul(leaf, ramp(leaf.shape))))
    .reduce((total, part) => Elementwise.add(total, part))

const distinct = (params: object): Tensor.Tensor<[]> =>
  Tree.leaves<Tensor.Any>(params)
    .map(([, leaf], index) => Elementwise.scale(Reduction.sum(Elementwise.square(leaf)), 0.1 * (index + 1)))
    .reduce((total, part) => Elementwise.add(total, part))

const inference = (operation: Operation, size: Sizes, floats: Host, rest: Host) => {
  const spec = (host: Host) => Tree.map<Tensors>(host, ({ shape, dtype }) => ({ shape, dtype }))
  const described: Step.Inference<Tensors, Tensors, Tensors> = {
    name: operation.name,
    weights: spec(floats),
    batch: spec(rest),
    run: (weights, batch) => {
      if (!operation.gradient) return { output: operation.run({ ...weights, ...batch }, size) as Tensor.Any }
      const { aux, gradients } = Gradient.valueAndGradient((params) => {
        const output = operation.run({ ...params, ...batch }, size)
        return { loss: Elementwise.add(weighted(output), distinct(params)), aux: { output } }
      }, weights)
      return { ...gradients, ...aux } as Tensors
    }
  }
  return described
}

const compute = (operation: Operation, size: Sizes, floats: Host, rest: Host) =>
  Effect.scoped(Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const handle = yield* engine.infer(inference(operation, size, floats, rest), floats)
    return Tree.leaves<HostTensor.Any>(yield* handle.run(rest))
  }))

const close = (actual: HostTensor.Any, expected: HostTensor.Any, name: string): void => {
  assert.deepStrictEqual(actual.shape, expected.shape, name)
  assert.strictEqual(actual.dtype, expected.dtype, name)
  const largest = Math.max(0, ...Array.from(expected.data, Math.abs))
  expected.data.forEach((x, index) => assert.closeTo(actual.data[index]!, x, 1e-5 * largest + 1e-6, `${name} ${index}`))
}

const unusual: Readonly<Record<string, (x: Tensor.Tensor<[3, 40]>) => Tensor.Any>> = {
  "maxAlong 0": (x) => Reduction.maxAlong(x, 0),
  "maxAlong 1": (x) => Reduction.maxAlong(x, 1),
  "minAlong 0": (x) => Reduction.minAlong(x, 0),
  "minAlong 1": (x) => Reduction.minAlong(x, 1),
  maxPool: (x) => Convolution.maxPool(Arrange.reshape(x, [1, 3, 4, 10]), 2),
  maximum: (x) => Elementwise.maximum(x, Elementwise.scale(x, 0.5)),
  minimum: (x) => Elementwise.minimum(x, Elementwise.scale(x, 0.5)),
  atMost: (x) => Elementwise.atMost(x, 0.5),
  atLeast: (x) => Elementwise.atLeast(x, 0.5),
  abs: Elementwise.abs,
  sign: Elementwise.sign,
  relu: Activation.relu,
  silu: Activation.silu,
  quickGelu: Activation.quickGelu,
  softmax: Activation.softmax,
  logSoftmax: Activation.logSoftmax,
  "div by itself": (x) => Elementwise.div(Elementwise.scale(x, 1e-3), x)
}

const places = [
  { places: [0], values: [Number.NaN] },
  { places: [39], values: [Number.NaN] },
  { places: [5, 57, 119], values: [Number.NaN, Number.NaN, Number.NaN] },
  { places: [3, 90], values: [1e38, -1e38] }
]

const compiled = present([{ name: "onnx", layer: Engine.layerOnnx({ threads: 1 }) }, openvino, tensorflow])

describe("what TypeScript does not see", () => {
  const x: Tensor.Any = ramp([2, 3])
  const codes: Tensor.Any = Tensor.constant(HostTensor.zeros([2], "int32"))
  const empty: Tensor.Any = Arrange.slice(x, 1, 0, 0)
  const scalar: Tensor.Any = Reduction.sum(x)
  const wrong: ReadonlyArray<readonly [string, () => Tensor.Any]> = [
    ["repeat: -2 is not a size", () => Arrange.repeat(x, 0, -2)],
    ["repeat: 2.5 is not a size", () => Arrange.repeat(x, 0, 2.5)],
    ["oneHot: -1 is not a size", () => Codes.oneHot(codes, -1)],
    ["oneHot: 2.5 is not a size", () => Codes.oneHot(codes, 2.5)],
    ["sumByCode: -1 is not a size", () => Codes.sumByCode(x, codes, -1)],
    ["countByCode: 2.5 is not a size", () => Codes.countByCode(codes, 2.5)],
    ["fill: -1 is not a size", () => Tensor.fill([-1], 0)],
    ["zeros: 1.5 is not a size", () => Tensor.zeros([1.5])],
    ["maxAlong: axis 1 of [2, 0] is empty", () => Reduction.maxAlong(empty, 1)],
    ["meanAlong: axis 1 of [2, 0] is empty", () => Reduction.meanAlong(empty, 1)],
    ["maxLast: axis -1 of [2, 0] is empty", () => Reduction.maxLast(empty)],
    [
      "own: expected float32 [2, 3] but got float32 [4, 3]",
      () => Elementwise.pairwise("own", (a, b) => tf.concat([a, b]))(x, x)
    ],
    [
      "own: expected float32 [2, 3] but got bool [2, 3]",
      () => Elementwise.pairwise("own", (a, b) => tf.less(a, b))(x, x)
    ],
    ["own: expected float32 [2, 3] but got float32 []", () => Elementwise.unary("own", (y) => tf.sum(y))(x)],
    ["softmax: [] has no axis -1", () => Activation.softmax(scalar)],
    ["logSoftmax: [] has no axis -1", () => Activation.logSoftmax(scalar)]
  ]
  it.each(wrong)("%s", (message, run) => assert.throws(run, ShapeError.ShapeError, message))
})

describe("one definition on every engine", () => {
  const reference = ManagedRuntime.make(Engine.layerReference)
  afterAll(() => reference.dispose())

  describe.each(compiled)("$name", ({ layer, name: engine }) => {
    const runtime = ManagedRuntime.make(layer)
    afterAll(() => runtime.dispose())

    it("rounds halves to even numbers, cuts codes off, and knows no sign of zero", () => {
      const values = [-2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, -1.7, 1.7] as const
      const step: Step.Inference<{}, { readonly x: Tensor.Tensor<[9]> }, Tensors> = {
        name: "edges",
        weights: {},
        batch: { x: { shape: [9], dtype: "float32" } },
        run: (_, { x }) => {
          const codes = Codes.fromFloat(x)
          return {
            round: Elementwise.round(x),
            floor: Elementwise.floor(x),
            sign: Elementwise.sign(x),
            relu: Activation.relu(x),
            codes,
            hot: Codes.oneHot(codes, 2)
          }
        }
      }
      const program = Effect.scoped(Effect.gen(function*() {
        const handle = yield* (yield* Engine.Engine).infer(step, {})
        return yield* handle.run({ x: HostTensor.make([9], "float32", Float32Array.from(values)) })
      }))
      return runtime.runPromise(program).then((found) => {
        const numbers = Object.fromEntries(
          Object.entries(found).map(([name, { data }]) => [name, Array.from(data as Float32Array, (x) => x + 0)])
        )
        assert.deepStrictEqual(numbers, {
          round: [-2, -2, 0, 0, 0, 2, 2, -2, 2],
          floor: [-3, -2, -1, 0, 0, 1, 2, -2, 1],
          sign: [-1, -1, -1, 0, 1, 1, 1, -1, 1],
          relu: [0, 0, 0, 0, 0.5, 1.5, 2.5, 0, values[8]].map(Math.fround),
          codes: [-2, -1, 0, 0, 0, 1, 2, -1, 1],
          hot: [[0, 0], [0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 1]].flat()
        })
      })
    })

    it.each(engine === "onnx" ? [[3, 0, 2] as const] : [])(
      "reshapes arrays without elements to [%i, %i, %i]",
      (...shape) => {
        const step: Step.Inference<{}, { readonly x: Tensor.Tensor<[0, 3]> }, Tensors> = {
          name: "empty",
          weights: {},
          batch: { x: { shape: [0, 3], dtype: "float32" } },
          run: (_, { x }) => ({ sum: Reduction.sumAlong(Arrange.reshape(x, shape), 1) })
        }
        const program = Effect.scoped(Effect.gen(function*() {
          const handle = yield* (yield* Engine.Engine).infer(step, {})
          return yield* handle.run({ x: HostTensor.zeros([0, 3], "float32") })
        }))
        return runtime.runPromise(program).then(({ sum }) => {
          assert.deepStrictEqual(sum, HostTensor.zeros([3, 2], "float32"))
        })
      }
    )

    it.each(
      engine !== "onnx" ?
        [] :
        Object.entries(unusual).flatMap(([name, operation]) =>
          places.map((at) => ({ name: `${name}, ${JSON.stringify(at)}`, operation, at }))
        )
    )("$name", ({ at, operation }) => {
      const step: Step.Inference<{}, { readonly x: Tensor.Tensor<[3, 40]> }, Tensors> = {
        name: "unusual",
        weights: {},
        batch: { x: { shape: [3, 40], dtype: "float32" } },
        run: (_, { x }) => {
          const { aux, gradients, loss } = Gradient.valueAndGradient((params) => {
            const output = operation(params.x)
            return { loss: Reduction.sum(output), aux: { output } }
          }, { x })
          return { loss, output: aux.output, gradient: gradients.x }
        }
      }
      const data = Float32Array.from({ length: 120 }, (_, i) => at.values[at.places.indexOf(i)] ?? Math.sin(i + 1))
      const program = Effect.scoped(Effect.gen(function*() {
        const handle = yield* (yield* Engine.Engine).infer(step, {})
        return yield* handle.run({ x: HostTensor.make([3, 40], "float32", data) })
      }))
      return Promise.all([runtime.runPromise(program), reference.runPromise(program)]).then(([actual, expected]) => {
        for (const [name, { data }] of Object.entries(expected)) {
          data.forEach((x, i) => {
            const y = actual[name]!.data[i]!
            assert.isTrue(
              Object.is(x, y) || Math.abs(x - y) <= 1e-5 * Math.abs(x) + 1e-6,
              `${name} ${i}: ${y} for ${x}`
            )
          })
        }
      })
    })

    it.each(operations)("$name", (operation) =>
      fc.assert(
        fc.asyncProperty(sizes, fc.nat(), async (size, seed) => {
          const { floats, rest } = inputs(operation, size, seed)
          const program = compute(operation, size, floats, rest)
          const [actual, expected] = await Promise.all([runtime.runPromise(program), reference.runPromise(program)])
          assert.deepStrictEqual(actual.map(([path]) => path).toSorted(), expected.map(([path]) => path).toSorted())
          const byPath = new Map(actual)
          for (const [path, leaf] of expected) close(byPath.get(path)!, leaf, path)
        }),
        { numRuns: engine === openvino.name ? 1 : 5 }
      ))
  })
})
