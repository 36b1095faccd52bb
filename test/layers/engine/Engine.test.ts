import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, ManagedRuntime, Result, Runtime, Scope } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import * as OnnxModel from "../../../src/compiler/onnx/OnnxModel.ts"
import { trained } from "../../../src/laws/Engine.ts"
import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Laws from "../../../src/laws/index.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Onnx from "../../../src/layers/engine/Onnx.ts"
import { roundsToBf16 } from "../../../src/layers/machine/Processor.ts"
import * as Codes from "../../../src/shapes/Codes.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Loss from "../../../src/shapes/Loss.ts"
import type { Any, Tensor } from "../../../src/shapes/Tensor.ts"
import { holds } from "../../laws/kit.ts"
import { absent, type Candidate, on, onnx, openvino, present, reference, tensorflow, web, xla } from "./engines.ts"

const models = new URL("../teacher/fixtures/", import.meta.url)

const reasonOf = <A, R>(effect: Effect.Effect<A, Engine.EngineError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

for (const { layer, name } of present([onnx, web, reference, tensorflow, openvino, xla])) {
  const runtime = ManagedRuntime.make(Layer.fresh<Engine.Engine, Engine.EngineError, never>(layer))
  afterAll(() => runtime.dispose())
  holds(`the ${name} engine`, Laws.engine(runtime))
}

const counts = (candidate: Candidate, spare: { readonly tensors: number; readonly bytes: number }) =>
  on(candidate, (it) => {
    it.effect("counts what handles hold, and what it needs beside", () =>
      Effect.gen(function*() {
        const engine = yield* Engine.Engine
        yield* engine.train(Steps.regression, Steps.initial())
        yield* engine.infer(Steps.affine, Steps.weights())
        const { bytes, tensors } = yield* engine.memory
        assert.deepStrictEqual({ bytes, tensors }, { tensors: 8 + spare.tensors, bytes: 4 * 8 * 4 + spare.bytes })
      }))
  })

for (const candidate of [onnx, web, openvino]) counts(candidate, { tensors: 2, bytes: 8 * 4 })
for (const candidate of [reference, tensorflow, xla]) counts(candidate, { tensors: 0, bytes: 0 })

describe("the worker", () => {
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

  it.effect.each(present([onnx, openvino, tensorflow, xla]))(
    "of $name ends with its layer, also when a handle is open",
    ({ layer }) =>
      Effect.gen(function*() {
        const outer = yield* Scope.make()
        const handle = yield* Engine.Engine.use((engine) =>
          Scope.provide(engine.train(Steps.regression, Steps.initial()), outer)
        ).pipe(Effect.provide(Layer.fresh(layer)))
        assert.strictEqual((yield* reasonOf(handle.run(Steps.batch(0))))._tag, "WorkerLost")
        yield* Scope.close(outer, Exit.void)
        assert.strictEqual((yield* reasonOf(handle.run(Steps.batch(0))))._tag, "Disposed")
      })
  )

  it.effect.each(
    [
      ["coreml", /backend not found.*use macOS/],
      ["dml", /backend not found.*use Windows/],
      ["cuda", /load shared library.*ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild.*names of missing libraries/]
    ] as const
  )("says why %s cannot be had, and takes no other provider for it", ([provider, why]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Engine.Engine.useSync(() => {}), Engine.layerOnnx({ provider })))
      assert.strictEqual(error.reason._tag, "ProviderUnavailable")
      assert.include(error.message, `the provider "${provider}" cannot be used`)
      assert.match(error.message, why)
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }).pipe(Effect.when(Effect.sync(() => process.platform === "linux"))))

  it.effect.each(absent)("says how to install @tensorflow/%s", (name) =>
    Effect.gen(function*() {
      const layer = Engine.layerTensorFlow({ package: name })
      const error = yield* Effect.flip(Effect.provide(Engine.Engine.useSync(() => {}), layer))
      assert.strictEqual(error.reason._tag, "ProviderUnavailable")
      assert.include(error.message, `@tensorflow/${name} is not installed`)
      assert.include(error.message, "patchword setup tensorflow")
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }))

  it.effect("says where it looked for OpenVINO, and how to get it", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "openvino-"))
      const start = Effect.flip(
        Effect.provide(Engine.Engine.useSync(() => {}), Engine.layerOpenVino({ library: folder }))
      )
      const absent = yield* start
      assert.strictEqual(absent.reason._tag, "ProviderUnavailable")
      assert.include(absent.message, `no libopenvino_c in ${folder}`)
      assert.include(absent.message, "pip install openvino")
      assert.include(absent.message, "patchword setup openvino")
      assert.strictEqual(absent[Runtime.errorExitCode], 69)
      const file = join(folder, process.platform === "win32" ? "openvino_c.dll" : "libopenvino_c.so.2641")
      writeFileSync(file, "no library")
      const broken = yield* start
      assert.strictEqual(broken.reason._tag, "ProviderUnavailable")
      assert.include(broken.message, `${file} does not load`)
      rmSync(folder, { recursive: true })
    }))

  it.effect.each(present([openvino, tensorflow, xla]))(
    "of $name computes in bf16, or says why it cannot",
    ({ layer: plain, name }) =>
      Effect.gen(function*() {
        const precision = "bf16"
        const layer = name === openvino.name
          ? Engine.layerOpenVino({ precision })
          : name === xla.name
          ? Engine.layerXla({ precision })
          : Engine.layerTensorFlow({ precision })
        const { about } = yield* Effect.provide(Engine.Engine, Layer.fresh(plain))
        const can = about.precisions.includes("bf16")
        const found = yield* Effect.result(Effect.provide(trained, layer))
        if (can && name !== tensorflow.name) {
          const { metrics } = Result.getOrThrow(found)
          const expected = yield* Effect.provide(trained, reference.layer)
          const deviations = metrics.map(({ loss }, i) =>
            Math.abs(HostTensor.item(loss) - HostTensor.item(expected.metrics[i]!.loss))
          )
          assert.isBelow(Math.max(...deviations), 0.02)
          assert.isAbove(Math.max(...deviations), 1e-5)
        } else {
          const error = Result.getOrThrow(Result.flip(found))
          assert.strictEqual(error.reason._tag, "PrecisionUnavailable")
          const why = can ? /this process already uses .*\); use a separate process/ : / processor.*\); choose "fp32"/
          assert.match(error.message, /the precision "bf16" cannot be used/)
          assert.match(error.message, why)
          assert.strictEqual(error[Runtime.errorExitCode], 69)
        }
      })
  )

  it.effect.each(present([xla]))("of $name has no tf32 on a processor", () =>
    Effect.gen(function*() {
      const { message, reason } = yield* Effect.flip(
        Effect.provide(Engine.Engine, Engine.layerXla({ precision: "tf32" }))
      )
      assert.strictEqual(reason._tag, "PrecisionUnavailable")
      assert.match(
        message,
        /the precision "tf32" cannot be used \(XLA has no tf32 on cpu here.*\); choose "fp32" or "bf16"/
      )
    }))

  it.each([
    ["flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile", true],
    ["flags : fpu amx_bf16", true],
    ["Features : fp asimd bf16", true],
    ["flags : fpu avx512f avx512_bf16 avx512_vnni", false],
    ["bugs : bf16", false],
    ["", false]
  ])("%j says whether a processor rounds products to bf16: %s", (information, can) => {
    assert.strictEqual(roundsToBf16(information), can)
  })

  it.effect.each(
    present([
      { name: "onnx cpu, 1 thread", layer: Engine.layerOnnx({ threads: 1 }) },
      { ...openvino, name: "openvino 2026.4.1 fp32, 1 thread", layer: Engine.layerOpenVino({ threads: 1 }) }
    ])
  )("names what it runs on: $name", ({ layer, name }) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Engine.Engine.useSync(({ name }) => name), name)
    }).pipe(Effect.provide(layer)))

  it.effect.each(present([onnx, openvino, web]))(
    "of $name runs models made elsewhere, with 64-bit indices",
    ({ layer }) =>
      Effect.gen(function*() {
        const engine = yield* Engine.Engine
        const model = OnnxModel.encode({
          name: "pick",
          nodes: [
            {
              operation: "Gather",
              domain: "",
              inputs: ["table", "rows"],
              outputs: ["picked"],
              attributes: { axis: 0 }
            },
            { operation: "Shape", domain: "", inputs: ["picked"], outputs: ["size"], attributes: {} }
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
        const odd = OnnxModel.encode({
          name: "odd",
          nodes: [{ operation: "Odd", domain: "", inputs: ["x"], outputs: ["y"], attributes: {} }],
          constants: [],
          inputs: [{ name: "x", shape: [2], dtype: "float32" }],
          outputs: [{ name: "y", shape: [2], dtype: "float32" }]
        })
        const unsupported = yield* Effect.flip(engine.load("odd", odd))
        assert.strictEqual(unsupported.message, "engine, odd: this engine cannot do Odd; use another engine")
        const broken = yield* Effect.flip(engine.load("noise", new Uint8Array(8)))
        assert.strictEqual(broken.reason._tag, "Failed")
      }).pipe(Effect.provide(layer))
  )

  it.effect.each(present([onnx, openvino]))(
    "of $name takes and gives numbers of 16 and 64 bits as float32",
    ({ layer }) =>
      Effect.gen(function*() {
        const engine = yield* Engine.Engine
        const pixels = Steps.values([1, 3, 4, 4], (i) => i % 2)
        const given = Effect.fnUntraced(function*(model: string) {
          const handle = yield* engine.load(model, readFileSync(new URL(model, models)))
          const { features } = yield* handle.run({ pixels })
          assert.deepStrictEqual([features!.dtype, features!.shape], ["float32", [1, 4, 4]])
          return { dtype: handle.inputs[0]!.dtype, values: Array.from(features!.data) }
        })
        const halves = yield* given("halves.onnx")
        assert.strictEqual(halves.dtype, "float16")
        assert.isTrue(halves.values.some((value) => value !== 0 && Math.abs(value) < 20))
        const doubles = yield* given("doubles.onnx")
        assert.deepStrictEqual(doubles, { dtype: "float64", values: Array.from({ length: 16 }, (_, i) => i % 2) })
      }).pipe(Effect.provide(layer))
  )

  it.effect.each(present([onnx, openvino]))(
    "of $name says what to do about numbers in other files",
    ({ layer, name }) =>
      Effect.gen(function*() {
        const engine = yield* Engine.Engine
        const file = (path: string) => readFileSync(new URL(path, models))
        const files = [{ path: "outer.onnx.data", data: file("outer.onnx.data").subarray(0, 24) }]
        const error = yield* Effect.flip(engine.load("teacher", file("outer_shape.onnx"), files))
        assert.match(
          error.message,
          name === "onnx"
            ? /outside of its file \(s\), and shapes depend on them.*; save it in one file/
            : /save it in one file, or use ONNX/
        )
      }).pipe(Effect.provide(layer))
  )

  it.effect("starts as a thread of its own", () =>
    Effect.callback<void>((resume) => {
      const worker = new Worker(new URL("../../../src/layers/engine/OnnxWorker.ts", import.meta.url), {
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

describe("an index out of range", () => {
  const matrix = { shape: [2, 3] as [2, 3], dtype: "float32" } as const
  const indices = { shape: [2] as [2], dtype: "int32" } as const
  type Batch = { readonly x: Tensor<[2, 3]>; readonly k: Tensor<[2], "int32"> }
  const taking = (run: (batch: Batch) => Any) =>
    Effect.fnUntraced(function*(...k: ReadonlyArray<number>) {
      const engine = yield* Engine.Engine
      const handle = yield* engine.infer(
        {
          name: "taking",
          weights: {},
          batch: { x: matrix, k: indices },
          run: (_, batch: Batch) => ({ y: run(batch) })
        },
        {}
      )
      const taken = handle.run({
        x: Steps.values([2, 3], (i) => i),
        k: HostTensor.make([2], "int32", Int32Array.from(k))
      })
      return yield* Effect.result(taken)
    })
  const rows = taking(({ k, x }) => Codes.lookup(x, k))
  const labels = taking(({ k, x }) => Loss.crossEntropy(x, k))
  const refused = (found: Result.Result<unknown, Engine.EngineError>) => {
    const error = Result.getOrThrow(Result.flip(found))
    assert.strictEqual(error.reason._tag, "IndexOutOfRange", error.message)
    assert.match(error.message, /^engine, taking: an index is out of range \(.*\); correct the indices and labels/)
    assert.strictEqual(error[Runtime.errorExitCode], 65)
  }

  it.effect.each(present([onnx, web, reference, tensorflow]))(
    "of rows is refused by $name",
    ({ layer }) =>
      Effect.gen(function*() {
        assert.isTrue(Result.isSuccess(yield* rows(1, 0)))
        refused(yield* rows(0, 2))
        assert.isTrue(Result.isSuccess(yield* rows(0, 1)))
      }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect.each(present([onnx, web, tensorflow, openvino]))(
    "of labels is refused by $name",
    ({ layer }) =>
      Effect.gen(function*() {
        assert.isTrue(Result.isSuccess(yield* labels(2, 0)))
        for (const wrong of [[3, 0], [0, 3], [0, 100]] as const) refused(yield* labels(...wrong))
      }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe.each(present([reference, tensorflow]))("$name", ({ layer }) => {
  it.effect("does not run models made elsewhere", () =>
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      const error = yield* Effect.flip(engine.load("pick", new Uint8Array(1)))
      assert.strictEqual(error.reason._tag, "UnsupportedOperation")
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }).pipe(Effect.provide(layer)))
})
