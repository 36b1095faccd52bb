import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber, type Layer, Runtime, Scope } from "effect"
import { Worker } from "node:worker_threads"
import * as OnnxModel from "../../src/compiler/OnnxModel.ts"
import { Engine, type EngineError } from "../../src/layers/Engine.ts"
import * as Onnx from "../../src/layers/engine/onnx.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Inference, TrainStep } from "../../src/shapes/Step.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "../../src/shapes/Tensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import * as Steps from "./steps.ts"

const onnx = Engine.layerOnnx()

const trained = Effect.gen(function*() {
  const engine = yield* Engine
  const handle = yield* engine.train(Steps.regression, Steps.initial())
  const metrics = yield* Effect.forEach([0, 1, 2, 3, 4], (step) => handle.run(Steps.batch(step)))
  return { metrics, state: yield* handle.state }
}).pipe(Effect.scoped)

const close = (a: object, b: object) => {
  const expected = new Map(Tree.leaves<HostTensor.Any>(b))
  const found = Tree.leaves<HostTensor.Any>(a)
  assert.deepStrictEqual(found.map(([path]) => path), [...expected.keys()])
  for (const [path, leaf] of found) {
    assert.deepStrictEqual(leaf.shape, expected.get(path)!.shape)
    leaf.data.forEach((value, i) => assert.approximately(value, expected.get(path)!.data[i]!, 1e-5, path))
  }
}

const engines: ReadonlyArray<readonly [string, Layer.Layer<Engine, EngineError>]> = [
  ["onnx", onnx],
  ["reference", Engine.layerReference]
]

const reasonOf = <A, R>(effect: Effect.Effect<A, EngineError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("engines agree", () => {
  it.effect("on the metrics and the state of five steps", () =>
    Effect.gen(function*() {
      const compiled = yield* Effect.provide(trained, onnx)
      const eager = yield* Effect.provide(trained, Engine.layerReference)
      close(compiled.metrics, eager.metrics)
      close(compiled.state, eager.state)
      const losses = eager.metrics.map(({ loss }) => loss.data[0]!)
      assert.isBelow(losses[4]!, losses[0]!)
    }))
})

for (const [name, layer] of engines) {
  describe(name, () => {
    it.effect("returns records with lists in them", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        const outputs = yield* handle.run(Steps.x())
        assert.isTrue(Array.isArray(outputs))
        assert.deepStrictEqual(outputs.map(({ shape }) => shape), [[4, 2], [4, 2]])
        outputs[1]!.data.forEach((value, i) => assert.approximately(value, 2 * outputs[0]!.data[i]!, 1e-6))
      }).pipe(Effect.provide(layer)))

    it.effect("leaves the arrays it is given alone", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const [state, batch] = [Steps.initial(), Steps.batch(0)]
        const handle = yield* engine.train(Steps.regression, state)
        yield* handle.run(batch)
        const first = yield* handle.state
        yield* handle.run(batch)
        assert.deepStrictEqual(state, Steps.initial())
        assert.deepStrictEqual(batch, Steps.batch(0))
        assert.notDeepEqual(yield* handle.state, first)
      }).pipe(Effect.provide(layer)))

    it.effect("says which input is not what the step declares", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        const batch = Steps.batch(0)
        const wrong = { ...batch, x: Steps.values([4, 2], () => 0) } as unknown as typeof batch
        const error = yield* Effect.flip(handle.run(wrong))
        assert.strictEqual(
          error.message,
          "engine, regression: batch.x must be float32 [4, 3] but is float32 [4, 2]"
        )
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        const { hyper: _, ...lacking } = batch
        const missing = yield* Effect.flip(handle.run(lacking as typeof batch))
        assert.match(missing.message, /batch\.hyper\.rate must be float32 \[\] but is missing/)
        const short = { ...batch, y: { ...batch.y, data: new Float32Array(7) } }
        assert.match((yield* Effect.flip(handle.run(short))).message, /float32 \[4, 2\] with 7 values/)
        const { parameters: __, ...stateless } = Steps.initial()
        const opened = engine.train(Steps.regression, stateless as ReturnType<typeof Steps.initial>)
        assert.match((yield* Effect.flip(opened)).message, /state\.parameters\.weight must be .* is missing/)
        yield* handle.run(batch)
      }).pipe(Effect.provide(layer)))

    it.effect("refuses handles whose scope is closed", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const scope = yield* Scope.make()
        const handle = yield* Scope.provide(engine.train(Steps.regression, Steps.initial()), scope)
        const infer = yield* Scope.provide(engine.infer(Steps.affine, Steps.weights()), scope)
        yield* handle.run(Steps.batch(0))
        yield* Scope.close(scope, Exit.void)
        const reasons = [
          yield* reasonOf(handle.run(Steps.batch(1))),
          yield* reasonOf(handle.state),
          yield* reasonOf(infer.run(Steps.x()))
        ]
        assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["Disposed", "Disposed", "Disposed"])
      }).pipe(Effect.provide(layer)))

    it.effect("counts what handles hold", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const empty = yield* engine.memory
        assert.deepStrictEqual(empty, { handles: 0, tensors: 0, bytes: 0 })
        const held = yield* Effect.scoped(Effect.gen(function*() {
          yield* engine.train(Steps.regression, Steps.initial())
          yield* engine.infer(Steps.affine, Steps.weights())
          return yield* engine.memory
        }))
        const twice = name === "onnx" ? 2 : 0
        assert.deepStrictEqual(held, { handles: 2, tensors: 8 + twice, bytes: 4 * 8 * 4 + (twice === 0 ? 0 : 8 * 4) })
        assert.deepStrictEqual(yield* engine.memory, empty)
      }).pipe(Effect.provide(layer)))

    it.effect("says at which step the loss was not finite, and goes on", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const handle = yield* engine.train(Steps.regression, Steps.initial())
        yield* handle.run(Steps.batch(0))
        const before = yield* handle.state
        const broken = { ...Steps.batch(1), x: Steps.values([4, 3], () => NaN) }
        const error = yield* Effect.flip(handle.run(broken))
        assert.match(error.message, /regression: the loss of step 2 since this start is NaN/)
        assert.strictEqual(error[Runtime.errorExitCode], 70)
        assert.deepStrictEqual(yield* handle.state, before)
        yield* handle.run(Steps.batch(1))
        assert.notDeepEqual(yield* handle.state, before)
      }).pipe(Effect.provide(layer)))

    it.effect("refuses a step that changes the shape of its state", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const spec = { shape: [2, 3] as [2, 3], dtype: "float32" } as const
        const step: TrainStep<{ readonly w: Tensor<[2, 3]> }, object, object> = {
          name: "turn",
          state: { w: spec },
          batch: {},
          run: ({ w }) => ({ metrics: {}, state: { w: unsafeTyped(tf.transpose(untyped(w))) } })
        }
        const turn = Effect.flatMap(
          engine.train(step, { w: Steps.values([2, 3], () => 0) }),
          (handle) => handle.run({})
        )
        const error = yield* Effect.flip(turn)
        assert.match(error.message, /turn: .*state\.w is float32 \[2, 3\] but the step makes it float32 \[3, 2\]/)
      }).pipe(Effect.provide(layer)))

    it.effect("restores the backend that was set", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const before = tf.getBackend()
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        yield* handle.run(Steps.x())
        assert.strictEqual(tf.getBackend(), before)
        assert.deepStrictEqual([...tf.tensor([1, 2]).mul(2).dataSync()], [2, 4])
      }).pipe(Effect.provide(layer)))
  })
}

describe("the worker", () => {
  it.effect("takes each step whole, whoever is interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const handle = yield* engine.train(Steps.regression, Steps.initial())
      const fiber = yield* Effect.forkChild(handle.run(Steps.batch(0)), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const interrupted = yield* handle.state
      const other = yield* engine.train(Steps.regression, Steps.initial())
      yield* other.run(Steps.batch(0))
      assert.deepStrictEqual(interrupted, yield* other.state)
      const broken = { ...Steps.batch(1), x: Steps.values([4, 3], () => NaN) }
      assert.match((yield* Effect.flip(handle.run(broken))).message, /step 2/)
    }).pipe(Effect.provide(onnx)))

  it.effect("gives the same bytes for the same steps", () =>
    Effect.gen(function*() {
      const first = yield* Effect.provide(trained, onnx)
      const second = yield* Effect.provide(trained, Engine.layerOnnx())
      assert.deepStrictEqual(first, second)
    }))

  it.effect("says that memory is short and lives on", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const side = 2 ** 23
      const greedy: Inference<{ readonly w: Tensor<[1]> }, { readonly x: Tensor<[1]> }, { readonly y: Any }> = {
        name: "greedy",
        weights: { w: { shape: [1], dtype: "float32" } },
        batch: { x: { shape: [1], dtype: "float32" } },
        run: ({ w }, { x }) => {
          const [rows, columns] = [
            untyped(w).reshape([1, 1]).tile([side, 1]),
            untyped(x).reshape([1, 1]).tile([1, side])
          ]
          return { y: unsafeTyped(rows.add(columns).exp().max()) }
        }
      }
      const one = Steps.values([1], () => 1)
      const error = yield* Effect.scoped(Effect.gen(function*() {
        const handle = yield* engine.infer(greedy, { w: one })
        return yield* Effect.flip(handle.run({ x: one }))
      }))
      assert.strictEqual(error.reason._tag, "OutOfMemory", error.message)
      assert.strictEqual(error[Runtime.errorExitCode], 70)
      const handle = yield* engine.infer(Steps.affine, Steps.weights())
      yield* handle.run(Steps.x())
    }).pipe(Effect.provide(onnx)))

  it.effect("is lost for everyone when it ends", () =>
    Effect.gen(function*() {
      const engine = yield* Onnx.make({}, new URL("./mortalWorker.ts", import.meta.url))
      const handle = yield* engine.train(Steps.regression, Steps.initial())
      yield* handle.run(Steps.batch(0))
      const reasons = yield* Effect.all([reasonOf(engine.memory), reasonOf(handle.run(Steps.batch(1)))], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["WorkerLost", "WorkerLost"])
      const error = yield* Effect.flip(engine.infer(Steps.affine, Steps.weights()))
      assert.match(error.message, /affine: the engine's worker thread has ended \(exit code 3\)/)
    }))

  it.effect("ends with its layer, also when a handle is still open", () =>
    Effect.gen(function*() {
      const outer = yield* Scope.make()
      const handle = yield* Engine.use((engine) =>
        Scope.provide(engine.train(Steps.regression, Steps.initial()), outer)
      ).pipe(
        Effect.provide(Engine.layerOnnx())
      )
      assert.strictEqual((yield* reasonOf(handle.run(Steps.batch(0))))._tag, "WorkerLost")
      yield* Scope.close(outer, Exit.void)
      assert.strictEqual((yield* reasonOf(handle.run(Steps.batch(0))))._tag, "Disposed")
    }))

  it.effect("says what a provider lacks", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.provide(Engine.useSync(({ name }) => name), Engine.layerOnnx({ provider: "coreml" }))
      )
      assert.match(error.message, /the provider "coreml" cannot be used/)
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }).pipe(Effect.when(Effect.sync(() => process.platform !== "darwin"))))

  it.effect("names what it runs on", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Engine.useSync(({ name }) => name), "onnx cpu, 1 thread")
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))))

  it.effect("runs models made elsewhere, with 64-bit indices and free sizes", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const model = OnnxModel.encode({
        name: "pick",
        nodes: [
          {
            operation: "Gather",
            domain: "",
            inputs: ["table", "rows"],
            outputs: ["picked"],
            attributes: { axis: 0 },
            flops: 0
          },
          { operation: "Shape", domain: "", inputs: ["picked"], outputs: ["size"], attributes: {}, flops: 0 }
        ],
        constants: [],
        inputs: [{ name: "table", shape: [3, 2], dtype: "float32" }, { name: "rows", shape: [2], dtype: "int64" }],
        outputs: [{ name: "picked", shape: [2, 2], dtype: "float32" }, { name: "size", shape: [2], dtype: "int64" }]
      })
      const handle = yield* engine.load("pick", model)
      assert.deepStrictEqual(handle.inputs, [
        { name: "table", shape: [3, 2], dtype: "float32" },
        { name: "rows", shape: [2], dtype: "int64" }
      ])
      const table = Steps.values([3, 2], (i) => i)
      const rows = HostTensor.make([2], "int32", Int32Array.of(2, 0))
      const outputs = yield* handle.run({ table, rows })
      assert.deepStrictEqual(outputs, {
        picked: Steps.values([2, 2], (i) => [4, 5, 0, 1][i]!),
        size: HostTensor.make([2], "int32", Int32Array.of(2, 2))
      })
      const error = yield* Effect.flip(handle.run({ table, rows: HostTensor.make([1], "int32", Int32Array.of(2)) }))
      assert.match(error.message, /pick: rows must be int32 \[2\] but is int32 \[1\]/)
      const broken = yield* Effect.flip(engine.load("noise", new Uint8Array(8)))
      assert.strictEqual(broken.reason._tag, "Failed")
    }).pipe(Effect.provide(onnx)))

  it.effect("starts as a thread of its own", () =>
    Effect.callback<void>((resume) => {
      const worker = new Worker(new URL("../../src/layers/engine/worker.ts", import.meta.url), {
        workerData: { provider: "cpu", threads: 1 }
      })
      worker.on("message", (message: { id: number; answer: { threads: number } }) => {
        assert.strictEqual(message.id, 7)
        assert.strictEqual(message.answer.threads, 1)
        void worker.terminate().then(() => resume(Effect.void))
      })
      worker.postMessage({ id: 7, name: "start" })
    }))
})

describe("the reference engine", () => {
  it.effect("does not run models made elsewhere", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const error = yield* Effect.flip(engine.load("pick", new Uint8Array(1)))
      assert.strictEqual(error.reason._tag, "UnsupportedOperation")
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }).pipe(Effect.provide(Engine.layerReference)))

  it.effect("frees what a failing step made", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const step: TrainStep<{ readonly w: Tensor<[2]> }, object, { readonly loss: Tensor<[]> }> = {
        name: "failing",
        state: { w: { shape: [2], dtype: "float32" } },
        batch: {},
        run: ({ w }) => {
          const { loss } = Gradient.valueAndGradient((p: { readonly w: Tensor<[2]> }) => {
            const sum = Reduction.sum(Elementwise.square(p.w))
            untyped(sum).reshape([7])
            return { loss: sum, aux: {} }
          }, { w })
          return { metrics: { loss }, state: { w } }
        }
      }
      const handle = yield* engine.train(step, { w: Steps.values([2], (i) => i) })
      const before = { engine: yield* engine.memory, tensors: tf.memory().numTensors }
      const error = yield* Effect.flip(handle.run({}))
      assert.strictEqual(error.reason._tag, "Failed")
      assert.deepStrictEqual({ engine: yield* engine.memory, tensors: tf.memory().numTensors }, before)
    }).pipe(Effect.provide(Engine.layerReference)))
})
