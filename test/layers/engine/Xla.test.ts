import { assert, describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { ConfigProvider, Effect, Fiber, Layer, Logger, Result } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as CompiledPrograms from "../../../src/layers/files/CompiledPrograms.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as PluginFile from "../../../src/layers/pjrt/PluginFile.ts"
import * as Elementwise from "../../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import type { Inference } from "../../../src/shapes/Step.ts"
import { type Tensor, unsafeTyped, untyped } from "../../../src/shapes/Tensor.ts"
import { present, xla } from "./engines.ts"

const plugin = Effect.runSync(PluginFile.cached("cpu"))

type Row = Tensor<[3]>

const times = (factor: number): Inference<object, { readonly x: Row }, { readonly y: Row }> => ({
  name: "times",
  weights: {},
  batch: { x: { shape: [3], dtype: "float32" } },
  run: (_, { x }) => ({ y: Elementwise.scale(x, factor) })
})

const root = mkdtempSync(join(tmpdir(), "patchword-xla-"))

const machine = Layer.mergeAll(
  ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: root })),
  Files.layerNode,
  Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => rmSync(root, { recursive: true }))))
)

const multiplied = Effect.fnUntraced(function*(factor: number, ...folders: ReadonlyArray<string>) {
  const lines: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
  const values = yield* Effect.gen(function*() {
    const handle = yield* (yield* Engine.Engine).infer(times(factor), {})
    const { y } = yield* handle.run({ x: HostTensor.make([3], "float32", Float32Array.of(1, 2, 3)) })
    return Array.from(y.data)
  }).pipe(Effect.scoped, Effect.provide(logger), Effect.provideService(CompiledPrograms.Folders, folders))
  return { values, lines }
})

const only = (folder: string) => {
  const names = readdirSync(folder)
  assert.strictEqual(names.length, 1)
  const content = readFileSync(join(folder, names[0]!))
  const end = content.indexOf(0x0a)
  return { origin: JSON.parse(content.toString("utf8", 0, end)).origin, program: content.subarray(end + 1) }
}

const growing = (side: number): Inference<object, { readonly x: Row }, { readonly y: Tensor<[]> }> => ({
  name: "growing",
  weights: {},
  batch: { x: { shape: [3], dtype: "float32" } },
  run: (_, { x }) => {
    const row = tf.reshape(tf.sum(untyped(x)), [1, 1])
    const all = tf.add(tf.tile(row, [side, 1]), tf.tile(row, [1, side]))
    return { y: unsafeTyped(tf.sum(tf.exp(all))) }
  }
})

for (const { name } of present([xla])) {
  describe(`${name} without the memory for a program`, () => {
    layer(Engine.layerXla())((it) => {
      it.effect.each([2 ** 22, 2 ** 31])("says what was alive, and goes on: side %s", (side) =>
        Effect.gen(function*() {
          const engine = yield* Engine.Engine
          const x = HostTensor.make([3], "float32", Float32Array.of(1, 2, 3))
          const found = yield* Effect.result(
            Effect.scoped(Effect.flatMap(engine.infer(growing(side), {}), (handle) => handle.run({ x })))
          )
          if (Result.isFailure(found)) {
            assert.strictEqual(found.failure.reason._tag, "OutOfMemory")
            assert.match(found.failure.message, /; \d+ arrays with \d+ MB were alive\)/)
          } else assert.isBelow(side, 2 ** 31)
          assert.deepStrictEqual(yield* engine.memory, { handles: 0, tensors: 0, bytes: 0 })
        }))
    })
  })

  describe(`programs that ${name} has compiled`, () => {
    layer(Layer.provideMerge(Engine.layerXla({ plugin }), machine))((it) => {
      it.effect("are kept where a run says, and loaded from there instead of compiled", () =>
        Effect.gen(function*() {
          const [run, other] = [join(root, "run"), join(root, "other")]
          assert.deepStrictEqual(yield* multiplied(2, run), { values: [2, 4, 6], lines: [] })
          assert.deepStrictEqual(yield* multiplied(3, other), { values: [3, 6, 9], lines: [] })
          yield* CompiledPrograms.keep([run], only(run).origin, only(other).program)
          assert.deepStrictEqual(yield* multiplied(2, run), { values: [3, 6, 9], lines: [] })
          assert.deepStrictEqual(yield* multiplied(2), { values: [2, 4, 6], lines: [] })
        }))

      it.effect("for one device and for several are kept apart, and give the same steps again", () =>
        Effect.gen(function*() {
          const run = join(root, "devices")
          const trained = (devices: number) =>
            Effect.gen(function*() {
              const handle = yield* (yield* Engine.Engine).train(Steps.regression, Steps.initial())
              const metrics = yield* Effect.forEach([0, 1], (step) => handle.run(Steps.batch(step)))
              return { metrics, state: (yield* handle.snapshot).state }
            }).pipe(
              Effect.scoped,
              Effect.provide(Engine.layerXla({ plugin, devices })),
              Effect.provideService(CompiledPrograms.Folders, [run])
            )
          const first = yield* trained(2)
          const { origin } = only(run)
          assert.deepStrictEqual(yield* trained(2), first)
          assert.deepStrictEqual(only(run).origin, origin)
          yield* trained(1)
          assert.lengthOf(readdirSync(run), 2)
        }))

      it.effect("and that it does not load are told of once, and compiled again", () =>
        Effect.gen(function*() {
          const run = join(root, "broken")
          yield* multiplied(4, run)
          yield* CompiledPrograms.keep([run], only(run).origin, Buffer.from("no program"))
          const { lines, values } = yield* multiplied(4, run)
          assert.deepStrictEqual(values, [4, 8, 12])
          assert.match(
            lines.join(),
            /^times: XLA cannot load its compiled program \(PJRT_Executable_DeserializeAndLoad: .*\. It was compiled again$/s
          )
          assert.deepStrictEqual(yield* multiplied(4, run), { values: [4, 8, 12], lines: [] })
        }))

      it.effect("are kept in the cache only if they took long, which is told meanwhile", () =>
        Effect.gen(function*() {
          const cache = join(root, "patchword", "xla-programs")
          yield* multiplied(5)
          assert.isFalse(yield* (yield* Files.make).fs.exists(cache))
          const slow = yield* Effect.forkChild(multiplied(6))
          while (slow.pollUnsafe() === undefined) {
            yield* TestClock.adjust("1 second")
            yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
          }
          const { lines, values } = yield* Fiber.join(slow)
          assert.deepStrictEqual(values, [6, 12, 18])
          assert.deepStrictEqual(lines.slice(0, 2), [
            "XLA compiles times: 5 s so far",
            "XLA compiles times: 15 s so far"
          ])
          assert.isAbove(only(cache).program.length, 0)
        }))
    })
  })
}
