import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as AdamWSplit from "../../src/compiler/graph/AdamWSplit.ts"
import * as Graph from "../../src/compiler/graph/Graph.ts"
import * as Tracer from "../../src/compiler/kernels/Tracer.ts"
import * as Operations from "../../src/compiler/operations/Operations.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as ShapeError from "../../src/shapes/ShapeError.ts"
import type { Inference, TrainStep } from "../../src/shapes/Step.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"

type Row = Tensor<[2, 3]>

const spec = { shape: [2, 3] as [2, 3], dtype: "float32" } as const

const inference = (
  run: (x: tf.Tensor) => Record<string, tf.Tensor>
): Inference<object, { readonly x: Row }, object> => ({
  name: "one",
  weights: {},
  batch: { x: spec },
  run: (_, { x }) => Object.fromEntries(Object.entries(run(untyped(x))).map(([key, y]) => [key, unsafeTyped(y)]))
})

const compile = (run: (x: tf.Tensor) => Record<string, tf.Tensor>) => {
  const { bytes, graph } = OnnxProgram.inference(inference(run))
  return { ...graph, bytes }
}

const flopsOf = (run: (x: tf.Tensor) => Record<string, tf.Tensor>) => Graph.flops(Trace.inference(inference(run)).graph)

const thrown = (run: (x: tf.Tensor) => unknown): Error => {
  let found: Error | undefined
  assert.throws(() => {
    try {
      compile((x) => ({ y: (run(x), x) }))
    } catch (error) {
      found = error as Error
      throw error
    }
  })
  return found!
}

describe("a program", () => {
  it("names what goes in and out by its path", () => {
    const { graph: program, result, updates } = OnnxProgram.trainStep(Steps.regression)
    assert.strictEqual(program.name, "regression")
    assert.deepStrictEqual(program.inputs.map(({ name }) => name).toSorted(), [
      "batch.hyper.correction",
      "batch.hyper.epsilon",
      "batch.hyper.rate",
      "batch.x",
      "batch.y",
      "state.first.bias",
      "state.first.weight",
      "state.parameters.bias",
      "state.parameters.weight",
      "state.second.bias",
      "state.second.weight"
    ])
    assert.deepStrictEqual(program.outputs.slice(0, 3), [
      { name: "metrics.loss", shape: [], dtype: "float32" },
      { name: "metrics.norms.0", shape: [], dtype: "float32" },
      { name: "metrics.norms.1", shape: [], dtype: "float32" }
    ])
    assert.deepStrictEqual(result, {
      loss: { shape: [], dtype: "float32" },
      norms: [{ shape: [], dtype: "float32" }, { shape: [], dtype: "float32" }]
    })
    assert.deepStrictEqual(updates.map(({ input, output }) => [input, output])[0], [
      "state.parameters.weight",
      "next.parameters.weight"
    ])
  })

  it("moves the axes of an array once, and back for nothing", () => {
    const transposed = compile((x) => ({ y: tf.exp(tf.transpose(x)), z: tf.sin(tf.transpose(x)) }))
    assert.strictEqual(transposed.nodes.length, 3)
    const back = compile((x) => ({
      y: tf.transpose(tf.transpose(tf.exp(x))),
      z: tf.transpose(tf.reshape(x, [1, 2, 3]), [2, 0, 1])
    }))
    assert.strictEqual(back.nodes.length, 3)
    const cycled = compile((x) => ({
      y: tf.exp(tf.transpose(tf.transpose(tf.reshape(x, [1, 2, 3]), [2, 0, 1]), [1, 2, 0]))
    }))
    assert.strictEqual(cycled.nodes.length, 2)
  })

  it("adds transposes up before it transposes their sum", () => {
    const { nodes } = compile((x) => {
      const product = (y: tf.Tensor) => tf.matMul(y, tf.slice(y, [0, 0], [2, 1]), true)
      return { y: tf.add(product(x), product(tf.exp(x))) }
    })
    assert.strictEqual(nodes.length, 2 + 1 + 2 * 2 + 1 + 1)
  })

  it("counts what its matrix products take", () => {
    assert.strictEqual(flopsOf((x) => ({ y: tf.add(x, 1) })), 0)
    assert.strictEqual(flopsOf((x) => ({ y: tf.matMul(x, x, false, true) })), 2 * 2 * 3 * 2)
    assert.strictEqual(flopsOf((x) => (tf.matMul(x, x, true), { y: tf.matMul(x, x, true) })), 3 * 3 * 2 * 2)
    const batched = flopsOf((x) => ({ y: tf.matMul(tf.reshape(x, [2, 1, 3]), tf.reshape(x, [2, 3, 1])) }))
    assert.strictEqual(batched, 2 * 3 * 2)
    const flops = Graph.flops(Trace.inference(Steps.affine).graph)
    assert.strictEqual(flops, 2 * 4 * 3 * 2)
    assert.strictEqual(Graph.flops(Trace.trainStep(Steps.regression).graph), 2 * flops)
  })

  it("has the same bytes whenever the same step is compiled", () => {
    const first = OnnxProgram.trainStep(Steps.regression).bytes
    compile((x) => ({ y: tf.exp(x) }))
    assert.deepStrictEqual(OnnxProgram.trainStep(Steps.regression).bytes, first)
  })

  it("reads only what the step needs", () => {
    const { inputs, nodes } = compile((x) => {
      tf.exp(tf.matMul(x, x, false, true))
      return { y: tf.ones([2]) }
    })
    assert.deepStrictEqual(inputs, [])
    assert.strictEqual(nodes.length, 1)
  })

  it("leaves out what changes nothing", () => {
    const { nodes } = compile((x) => ({
      y: tf.exp(tf.reshape(tf.expandDims(tf.reshape(tf.div(tf.sub(tf.add(tf.mul(x, 1), 0), 0), 1), [6]), 0), [2, 3]))
    }))
    assert.strictEqual(nodes.length, 1)
    assert.strictEqual(compile((x) => ({ y: tf.exp(tf.add(tf.mul(x, tf.zeros([2, 3])), x)) })).nodes.length, 1)
    assert.strictEqual(
      compile((x) => ({ y: tf.exp(tf.squeeze(tf.transpose(tf.reshape(x, [1, 2, 3]), [1, 2, 0]))) })).nodes.length,
      1
    )
    assert.strictEqual(
      compile((x) => ({ y: tf.exp(tf.tile(tf.slice(tf.sum(x, [], true), [0, 0], [2, 3]), [1, 1])) })).nodes.length,
      1
    )
  })

  it("computes small constants when it is compiled", () => {
    const { nodes } = compile((x) => ({ y: tf.add(x, tf.sum(tf.mul(tf.exp(tf.tensor([1, 2, 3])), tf.range(0, 3)))) }))
    assert.strictEqual(nodes.length, 1)
    const parts = compile((x) => {
      const [a, b] = tf.split(tf.tensor([1, 2, 3, 4, 5, 6]), 2) as [tf.Tensor, tf.Tensor]
      return { y: tf.mul(tf.add(x, a), b) }
    })
    assert.strictEqual(parts.nodes.length, 2)
  })

  it("does not carry constants that one value fills, nor those that are larger than what they are made of", () => {
    const filled = compile((x) => ({ y: tf.add(x, tf.fill([1000, 2, 3], 7)) }))
    const spread = compile((x) => ({
      y: tf.add(tf.sum(x), tf.cast(tf.oneHot(tf.tensor1d([1, 2, 3], "int32"), 1_000_000), "float32"))
    }))
    assert.isBelow(filled.bytes.length, 1000)
    assert.isBelow(spread.bytes.length, 2000)
  })

  it("shares equal reshapes", () => {
    const { nodes } = compile((x) => {
      const flat = tf.exp(x)
      return {
        a: tf.matMul(tf.reshape(flat, [3, 2]), x),
        b: tf.sin(tf.reshape(flat, [3, 2])),
        c: tf.cos(tf.reshape(flat, [3, 2]))
      }
    })
    assert.strictEqual(nodes.length, 1 + 1 + 3)
  })

  it("copies what is wanted twice, and what is only passed on", () => {
    const { nodes, outputs } = compile((x) => {
      const y = tf.exp(x)
      return { a: y, b: y, c: x }
    })
    assert.strictEqual(nodes.length, 3)
    assert.deepStrictEqual(outputs.map(({ name }) => name), ["output.a", "output.b", "output.c"])
  })
})

describe("an operation", () => {
  it.each(Operations.all.filter(({ name }) => name !== AdamWSplit.ADAMW))(
    "is written for every engine: $name",
    (operation) => {
      assert.isFunction(operation.onnx)
      assert.isFunction(operation.tensorflow)
      assert.isFunction(operation.stablehlo)
    }
  )
})

describe("a step that cannot be compiled", () => {
  const values = /asked for the values of a tensor of shape \[2, 3\].*no dataSync, data, array or print/

  it("is told that values do not exist while it is traced", () => {
    assert.match(thrown((x) => x.dataSync()).message, values)
    assert.match(thrown((x) => x.arraySync()).message, values)
    assert.match(thrown((x) => x.toString()).message, values)
    assert.match(thrown((x) => x.data()).message, values)
    assert.match(thrown((x) => void x.array()).message, values)
    assert.match(thrown((x) => (tf.sum(x).dataSync()[0]! > 0 ? x : tf.neg(x))).message, /tensor of shape \[\]/)
    assert.instanceOf(thrown((x) => x.dataSync()), Tracer.NotTraceable)
  })

  it("is told which operation has no translation, and of what", () => {
    const error = thrown((x) => tf.image.resizeBilinear(tf.reshape(x, [1, 2, 3, 1]) as tf.Tensor4D, [4, 6]))
    assert.instanceOf(error, Tracer.NotTraceable)
    assert.strictEqual(error.message, "ResizeBilinear of [1, 2, 3, 1] has no translation into a program")
  })

  it("is told that a tensor comes from elsewhere", () => {
    const outside = tf.tensor([1, 2, 3])
    assert.match(thrown((x) => tf.add(x, outside)).message, /tensor of shape \[3\] was made outside the step/)
    assert.deepStrictEqual([...outside.dataSync()], [1, 2, 3])
    outside.dispose()
  })

  it("is told how its state changes", () => {
    const step: TrainStep<{ readonly w: Row }, object, object> = {
      name: "turn",
      state: { w: spec },
      batch: {},
      run: ({ w }) => ({ metrics: {}, state: { w: unsafeTyped(tf.transpose(untyped(w))) } })
    }
    assert.throws(
      () => Trace.trainStep(step),
      ShapeError.ShapeError,
      "state.w is float32 [2, 3] but the step makes it float32 [3, 2]"
    )
    assert.throws(
      () => Trace.trainStep({ ...step, run: () => ({ metrics: {}, state: {} as { w: Row } }) }),
      "state.w is float32 [2, 3] but the step makes it missing"
    )
  })
})

describe("compiling leaves nothing behind", () => {
  const held = () => [tf.memory().numTensors, tf.memory().numDataBuffers, tf.memory().numBytes, tf.getBackend()]

  it("on success", () => {
    tf.ones([1]).dispose()
    const before = held()
    Trace.trainStep(Steps.regression)
    Trace.inference(Steps.affine)
    assert.deepStrictEqual(held(), before)
  })

  it("when the step throws, wherever it does", () => {
    tf.ones([1]).dispose()
    const before = held()
    const nested = (x: tf.Tensor, fail: () => tf.Tensor) =>
      tf.tidy(() => tf.grad((y) => tf.sum(tf.tidy(() => tf.mul(tf.exp(y), fail()))))(x))
    const failures: ReadonlyArray<(x: tf.Tensor) => unknown> = [
      (x) => tf.exp(x).dataSync(),
      (x) => nested(x, () => tf.reshape(x, [7])),
      (x) => nested(x, () => tf.tensor(tf.exp(x).dataSync())),
      (x) => tf.image.resizeBilinear(tf.reshape(x, [1, 2, 3, 1]) as tf.Tensor4D, [4, 6]),
      (x) => tf.exp(x).data()
    ]
    for (const failure of failures) thrown(failure)
    assert.deepStrictEqual(held(), before)
  })

  it("when a gradient has no translation", () => {
    tf.ones([1]).dispose()
    const before = held()
    const untranslated = tf.customGrad((x) => ({
      value: tf.sum(tf.exp(x as tf.Tensor)),
      gradFunc: () =>
        tf.squeeze(tf.image.resizeBilinear(tf.reshape(x as tf.Tensor, [1, 1, 1, 6]) as tf.Tensor4D, [2, 3]))
    }))
    const failing = (p: { readonly x: Any }) => ({ loss: unsafeTyped<[]>(untranslated(untyped(p.x))), aux: {} })
    const error = thrown((x) => Gradient.valueAndGradient(failing, { x: unsafeTyped(x) }))
    assert.strictEqual(error.message, "ResizeBilinear of [1, 1, 1, 6] has no translation into a program")
    assert.deepStrictEqual(held(), before)
  })

  it("not even on a trace that is under way", () => {
    const outer = compile((x) => {
      const y = tf.exp(x)
      const inner = compile((z) => ({ y: tf.cos(tf.sin(z)) }))
      assert.strictEqual(inner.nodes.length, 2)
      return { y: tf.add(y, x) }
    })
    assert.strictEqual(outer.nodes.length, 2)
  })
})
