import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, ManagedRuntime } from "effect"
import fc from "fast-check"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type { DType, HostTensor } from "../../src/shapes/HostTensor.ts"
import * as HostTensors from "../../src/shapes/HostTensor.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import { type Any, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import { openvino, present, tensorflow, xla } from "../layers/engine/engines.ts"

const compiled = present([{ name: "onnx", layer: Engine.layerOnnx({ threads: 1 }) }, openvino, tensorflow, xla]).map(
  ({ layer, name }) => ({
    name,
    numRuns: name === openvino.name || name === xla.name ? 1 : 4,
    runtime: ManagedRuntime.make(layer)
  })
)
const eager = ManagedRuntime.make(Engine.layerReference)

interface Case {
  readonly inputs: ReadonlyArray<HostTensor>
  readonly run: (...inputs: ReadonlyArray<tf.Tensor>) => tf.Tensor | ReadonlyArray<tf.Tensor>
}

const inference = ({ inputs, run }: Case): Inference<object, Record<string, Any>, ReadonlyArray<Any>> => ({
  name: "case",
  weights: {},
  batch: Object.fromEntries(inputs.map(({ dtype, shape }, i) => [`x${i}`, { dtype, shape }])),
  run: (_, batch) =>
    [run(...inputs.map((__, i) => untyped(batch[`x${i}`]!)))].flat().map((y) => unsafeTyped(y as tf.Tensor))
})

const results = (step: Case) =>
  Effect.gen(function*() {
    const engine = yield* Engine.Engine
    const handle = yield* engine.infer(inference(step), {})
    return yield* handle.run(Object.fromEntries(step.inputs.map((input, i) => [`x${i}`, input])))
  }).pipe(Effect.scoped)

const agrees = (runtime: ManagedRuntime.ManagedRuntime<Engine.Engine, Engine.EngineError>) => async (step: Case) => {
  const [found, expected] = await Promise.all([runtime.runPromise(results(step)), eager.runPromise(results(step))])
  assert.strictEqual(found.length, expected.length)
  for (const [i, { data, dtype, shape }] of expected.entries()) {
    assert.deepStrictEqual([found[i]!.dtype, found[i]!.shape], [dtype, shape])
    ;(data as Float32Array).forEach((value, at) => {
      const other = found[i]!.data[at]!
      if (Number.isFinite(value)) assert.approximately(other, value, 2e-5 * Math.max(1, Math.abs(value)))
      else assert.strictEqual(other, value)
    })
  }
}

const gradient = ({ inputs, run }: Case): Case => {
  const real = inputs.flatMap(({ dtype }, i) => (dtype === "float32" ? [i] : []))
  return {
    inputs,
    run: (...given) => {
      const loss = (...values: ReadonlyArray<tf.Tensor>) => {
        const all = given.map((x, i) => (real.includes(i) ? values[real.indexOf(i)]! : x))
        const weighted = [run(...all)].flat().flatMap((y) => {
          const one = y as tf.Tensor
          return one.dtype === "float32" ? [tf.sum(tf.mul(one, tf.add(tf.mul(one, 0.5), 0.3)))] : []
        })
        return weighted.reduce((a, b) => tf.add(a, b)) as tf.Scalar
      }
      return tf.grads(loss)(real.map((i) => given[i]!))
    }
  }
}

const dims = (min: number, max: number) => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: min, maxLength: max })

const array = (shape: ReadonlyArray<number>, dtype: DType, seed: number, from = -2, to = 2): HostTensor => {
  const at = (i: number) => from + (to - from) * ((Math.sin((i + 1) * (seed + 1) * 12.9898) * 43758.5453) % 1 + 1) / 2
  const length = HostTensors.size(shape)
  const data = {
    float32: () => Float32Array.from({ length }, (_, i) => at(i)),
    int32: () => Int32Array.from({ length }, (_, i) => Math.floor(at(i))),
    bool: () => Uint8Array.from({ length }, (_, i) => Number(at(i) > (from + to) / 2))
  }
  return { shape, dtype, data: data[dtype]() }
}

const seeds = fc.integer({ min: 0, max: 1000 })

type Cases = fc.Arbitrary<Case>

const unary = (run: (x: tf.Tensor) => tf.Tensor, from = -2, to = 2): Cases =>
  fc.tuple(dims(0, 4), seeds).map(([shape, seed]) => ({
    inputs: [array(shape, "float32", seed, from, to)],
    run: (x) => run(x!)
  }))

const pair = (run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, from = -2, to = 2): Cases =>
  fc.tuple(dims(0, 4), seeds, fc.constantFrom("same", "row", "scalar", "column")).map(([shape, seed, kind]) => {
    const other =
      { same: shape, row: shape.slice(1), scalar: [], column: shape.map((dim, i) => (i === 0 ? dim : 1)) }[kind]
    return {
      inputs: [array(shape, "float32", seed, from, to), array(other, "float32", seed + 1, from, to)],
      run: (a, b) => run(a!, b!)
    }
  })

const along = (run: (x: tf.Tensor, axis: number, keep: boolean) => tf.Tensor, from = -2, to = 2): Cases =>
  fc.tuple(dims(1, 4), seeds, fc.nat(), fc.boolean()).map(([shape, seed, axis, keep]) => ({
    inputs: [array(shape, "float32", seed, from, to)],
    run: (x) => run(x!, axis % shape.length - (axis % 2 === 0 ? 0 : shape.length), keep)
  }))

const long = (run: (x: tf.Tensor) => tf.Tensor): Cases =>
  fc.tuple(dims(0, 2), seeds, fc.constantFrom(256, 257, 300, 1021, 2048), fc.constantFrom(4, 1000)).map(
    ([shape, seed, length, values]) => ({
      inputs: [array([...shape, length], "float32", seed, -values, values)],
      run: (x) => run(tf.floor(x!))
    })
  )

const indexed = (
  run: (x: tf.Tensor, indices: tf.Tensor) => tf.Tensor,
  shapes: (x: ReadonlyArray<number>) => ReadonlyArray<number>
): Cases =>
  fc.tuple(dims(2, 3), seeds).map(([shape, seed]) => ({
    inputs: [array(shape, "float32", seed), array(shapes(shape), "int32", seed, 0, shape[0]!)],
    run: (x, indices) => run(x!, indices!)
  }))

const chosen = (run: (condition: tf.Tensor, a: tf.Tensor) => tf.Tensor): Cases =>
  fc.tuple(dims(1, 3), seeds).map(([shape, seed]) => ({
    inputs: [array(shape, "bool", seed), array(shape, "float32", seed + 1)],
    run: (condition, a) => run(condition!, a!)
  }))

const product = (transposeA: boolean, transposeB: boolean, batched: boolean): Cases =>
  fc.tuple(dims(batched ? 5 : 3, batched ? 5 : 3), seeds).map(([[m, k, n, ...batch], seed]) => ({
    inputs: [
      array([...batch, ...(transposeA ? [k!, m!] : [m!, k!])], "float32", seed),
      array([...batch, ...(transposeB ? [n!, k!] : [k!, n!])], "float32", seed + 1)
    ],
    run: (a, b) => tf.matMul(a!, b!, transposeA, transposeB)
  }))

const differentiable: Readonly<Record<string, Cases>> = {
  Abs: unary(tf.abs, 0.1),
  AddN: pair((a, b) => tf.addN([a, tf.add(a, b), tf.zerosLike(a)])),
  Add: pair(tf.add),
  ClipByValue: unary((x) => tf.clipByValue(x, -0.51, 0.73)),
  Concat: along((x, axis) => tf.concat([x, tf.mul(x, 2), x], axis)),
  Cos: unary(tf.cos),
  Cumsum: along((x, _, keep) => tf.cumsum(x, x.shape.length - 1, keep, !keep)),
  Elu: unary((x) => tf.sub(tf.exp(x), 1)),
  Erf: unary(tf.erf),
  Exp: unary(tf.exp),
  ExpandDims: unary((x) => tf.mul(tf.expandDims(tf.expandDims(x, 0), -1), 3)),
  GatherV2: indexed((x, i) => tf.gather(x, i), (x) => [x[1]!, 2]),
  GatherV2Flat: indexed((x, i) => tf.gather(x, i, 0), () => [3]),
  Log: unary(tf.log, 0.2),
  Max: along((x, axis, keep) => tf.max(x, axis, keep)),
  Maximum: unary((x) => tf.maximum(x, tf.mul(tf.neg(x), 0.3))),
  Mean: along((x, axis, keep) => tf.mean(x, axis, keep)),
  Min: along((x, axis, keep) => tf.min(x, axis, keep)),
  Minimum: unary((x) => tf.minimum(x, tf.mul(tf.neg(x), 0.3))),
  Multiply: pair(tf.mul),
  Neg: unary(tf.neg),
  Pack: along((x, axis) => tf.stack([x, tf.mul(x, 2)], axis)),
  PadV2: unary((x) => tf.pad(tf.reshape(x, [-1]), [[1, 2]], 0.7)),
  Pow: unary((x) => tf.pow(x, 3)),
  PowBy: pair((a, b) => tf.pow(a, b), 0.3, 2),
  RealDiv: pair(tf.div, 0.4, 2),
  Reciprocal: unary(tf.reciprocal, 0.4),
  Relu: unary((x) => tf.relu(tf.add(x, 0.01))),
  Reverse: along((x, axis) => tf.mul(tf.reverse(x, axis), x)),
  Rsqrt: unary(tf.rsqrt, 0.4),
  Select: chosen((condition, a) => tf.where(condition, tf.mul(a, 3), tf.exp(a))),
  "Select by one": chosen((condition, a) => tf.where(tf.all(condition), tf.mul(a, 3), a)),
  Sigmoid: unary(tf.sigmoid),
  Sin: unary(tf.sin),
  Slice: along((x, axis) => {
    const at = axis < 0 ? axis + x.shape.length : axis
    return tf.slice(x, x.shape.map((dim, i) => (i === at ? dim - 1 : 0)), x.shape.map((dim, i) => (i === at ? 1 : dim)))
  }),
  Softmax: unary((x) => tf.softmax(tf.reshape(x, [1, -1]))),
  Softplus: unary(tf.softplus),
  SplitV: along((x, axis) => {
    const [a, b] = tf.split(tf.concat([x, tf.mul(x, 3)], axis), 2, axis) as [tf.Tensor, tf.Tensor]
    return tf.mul(a, b)
  }),
  Sqrt: unary(tf.sqrt, 0.2),
  Square: unary(tf.square),
  SquaredDifference: unary((x) => tf.squaredDifference(x, tf.mul(x, 0.3))),
  Sub: pair(tf.sub),
  Sum: along((x, axis, keep) => tf.sum(x, axis, keep)),
  SumAll: unary((x) => tf.sum(x)),
  Tanh: unary(tf.tanh),
  Tile: along((x, axis) =>
    tf.tile(x, x.shape.map((_, i) => (i === (axis < 0 ? axis + x.shape.length : axis) ? 3 : 1)))
  ),
  TileAll: unary((x) => tf.tile(tf.reshape(x, [-1, 1]), [2, 3])),
  Transpose: unary((x) => tf.mul(tf.transpose(x), 2)),
  UnsortedSegmentSum: indexed((x, i) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 5), ([first]) => [first!]),
  Unpack: along((x, axis) => {
    const at = axis < 0 ? axis + x.shape.length : axis
    const parts = tf.unstack(tf.concat([x, tf.mul(x, 2)], at), at)
    return tf.mul(parts[0]!, parts.at(-1)!)
  }),
  moments: along((x, axis, keep) => {
    const { mean, variance } = tf.moments(x, axis, keep)
    return tf.add(mean, variance)
  }),
  logSoftmax: unary((x) => tf.logSoftmax(tf.reshape(x, [2, 1, -1].slice(x.size % 2 === 0 ? 0 : 1)))),
  matMul: product(false, false, false),
  "matMul, left transposed": product(true, false, true),
  "matMul, right transposed": product(false, true, true),
  "matMul, both transposed": product(true, true, false)
}

const discrete: Readonly<Record<string, Cases>> = {
  All: along((x, axis, keep) => tf.all(tf.greater(x, -1), axis, keep)),
  Any: along((x, axis, keep) => tf.any(tf.greater(x, 1), axis, keep)),
  ArgMax: along((x, axis) => tf.argMax(x, axis)),
  ArgMin: along((x, axis) => tf.argMin(x, axis)),
  "ArgMax of long rows": long((x) => tf.argMax(x, -1)),
  "ArgMin of long rows": long((x) => tf.argMin(x, -1)),
  Cast: unary((x) =>
    tf.add(
      tf.cast(tf.cast(tf.mul(tf.cast(x, "int32"), 3), "bool"), "float32"),
      tf.cast(tf.cast(tf.cast(x, "bool"), "int32"), "float32")
    )
  ),
  Ceil: unary(tf.ceil),
  "Cumsum along any axis": along((x, axis, keep) => tf.cumsum(x, axis < 0 ? axis + x.shape.length : axis, keep, !keep)),
  Elu: unary(tf.elu),
  Equal: pair((a, b) => tf.equal(tf.floor(a), tf.floor(b))),
  Floor: unary(tf.floor),
  GatherNd: indexed((x, i) => tf.gatherND(x, i), () => [3, 1]),
  Greater: pair(tf.greater),
  GreaterEqual: pair((a, b) => tf.greaterEqual(tf.floor(a), tf.floor(b))),
  IsFinite: unary((x) => tf.isFinite(tf.mul(tf.div(x, tf.floor(x)), tf.log(x)))),
  IsNan: unary((x) => tf.isNaN(tf.log(x))),
  Less: pair(tf.less),
  LessEqual: pair((a, b) => tf.lessEqual(tf.floor(a), tf.floor(b))),
  LogicalAnd: pair((a, b) => tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0))),
  LogicalNot: unary((x) => tf.logicalNot(tf.greater(x, 0))),
  LogicalOr: pair((a, b) => tf.logicalOr(tf.greater(a, 0), tf.greater(b, 0))),
  "matMul of a batch with one matrix": fc.tuple(dims(4, 5), seeds).map(([[m, k, n, ...batch], seed]) => ({
    inputs: [array([...batch, m!, k!], "float32", seed), array([k!, n!], "float32", seed + 1)],
    run: (a, b) => tf.matMul(a!, b!)
  })),
  NotEqual: pair((a, b) => tf.notEqual(tf.floor(a), tf.floor(b))),
  OneHot: indexed((x, i) => tf.oneHot(i, x.shape[0]! + 1), (x) => x.slice(1)),
  OneHotReal: indexed((_, i) => tf.oneHot(i as tf.Tensor1D, 3, 0.9, 0.1, "float32"), () => [4]),
  Prod: along((x, axis, keep) => tf.prod(x, axis, keep)),
  Round: unary(tf.round),
  ScatterNd: indexed(
    (x, i) => tf.scatterND(tf.reshape(i, [-1, 1]), x, [5, ...x.shape.slice(1)]),
    ([first]) => [first!]
  ),
  "ScatterNd, by two numbers": indexed(
    (x, i) =>
      tf.scatterND(tf.concat([tf.reshape(i, [-1, 1]), tf.reshape(i, [-1, 1])], 1), x, [5, 7, ...x.shape.slice(1)]),
    ([first]) => [first!]
  ),
  "ScatterNd, by a table of numbers": seeds.map((seed) => ({
    inputs: [array([2, 3, 4], "float32", seed), array([2, 3, 1], "int32", seed, 0, 5)],
    run: (x, i) => tf.scatterND(i!, x!, [5, 4])
  })),
  Sign: unary(tf.sign),
  Step: unary((x) => tf.step(x, -0.5)),
  "TopK, values": unary((x) => tf.topk(tf.reshape(x, [-1]), 1).values),
  "TopK, indices": along((x) => tf.topk(x, x.shape.at(-1)!).indices),
  "whole numbers": pair((a, b) => tf.sum(tf.add(tf.cast(tf.floor(a), "int32"), tf.cast(tf.floor(b), "int32"))), -5, 5)
}

const memory = Effect.flatMap(Engine.Engine, (engine) => engine.memory)

const tensors = tf.memory().numTensors

afterAll(async () => {
  assert.deepStrictEqual(await eager.runPromise(memory), { handles: 0, tensors: 0, bytes: 0 })
  assert.strictEqual(tf.memory().numTensors, tensors)
  await eager.dispose()
})

describe("the types that operations infer are those of the values", () => {
  const agree = async (step: Case) => {
    const { outputs } = Trace.inference(inference(step)).graph
    const expected = await eager.runPromise(results(step))
    assert.deepStrictEqual(
      outputs.map(({ value: { dtype, shape } }) => ({ dtype, shape })),
      expected.map(({ dtype, shape }) => ({ dtype, shape }))
    )
  }

  for (const [name, cases] of Object.entries({ ...discrete, ...differentiable })) {
    it(name, () => fc.assert(fc.asyncProperty(cases, agree), { numRuns: 2 }))
  }

  for (const [name, cases] of Object.entries(differentiable)) {
    it(`${name}, its gradient`, () => fc.assert(fc.asyncProperty(cases, (one) => agree(gradient(one))), { numRuns: 2 }))
  }
})

describe.each(compiled)("on the $name engine", ({ numRuns, runtime }) => {
  beforeAll(() => runtime.runPromise(memory))
  afterAll(async () => {
    assert.deepStrictEqual(await runtime.runPromise(memory), { handles: 0, tensors: 0, bytes: 0 })
    await runtime.dispose()
  })

  describe("a kernel computes what the cpu backend does", () => {
    for (const [name, cases] of Object.entries({ ...discrete, ...differentiable })) {
      it(name, () => fc.assert(fc.asyncProperty(cases, agrees(runtime)), { numRuns }))
    }
  })

  describe("a gradient is that of the cpu backend", () => {
    for (const [name, cases] of Object.entries(differentiable)) {
      it(name, () => fc.assert(fc.asyncProperty(cases, (one) => agrees(runtime)(gradient(one))), { numRuns }))
    }
  })
})
