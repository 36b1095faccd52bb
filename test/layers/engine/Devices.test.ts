import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Tree from "../../../src/shapes/Tree.ts"
import { onNewest } from "../pjrt/cpuPlugin.ts"
import { NONE, picking, picks } from "./picking.ts"

const onDevices = <A, E>(
  devices: number,
  body: (engine: Engine.Engine["Service"]) => Effect.Effect<A, E, Scope.Scope>
) => Engine.Engine.use((engine) => Effect.scoped(body(engine))).pipe(Effect.provide(Engine.layerXla({ devices })))

const refusal = <A, R>(effect: Effect.Effect<A, Engine.EngineError, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

onNewest("an engine of two devices", () => {
  it.effect("says so, trains as one device does, and frees what it held on both", () =>
    Effect.gen(function*() {
      const trained = (engine: Engine.Engine["Service"]) =>
        Effect.gen(function*() {
          const handle = yield* engine.train(Steps.regression, Steps.initial())
          const metrics = yield* Effect.forEach([0, 1, 2], (step) => handle.run(Steps.batch(step)))
          return { metrics, state: (yield* handle.snapshot).state, memory: yield* engine.memory }
        }).pipe(Effect.scoped)
      const one = yield* onDevices(1, trained)
      yield* onDevices(
        2,
        Effect.fnUntraced(function*(engine) {
          assert.match(engine.name, /fp32, 2 devices, \d+ threads?$/)
          assert.strictEqual(engine.about.devices, 2)
          const two = yield* trained(engine)
          const expected = new Map(Tree.leaves<HostTensor.Any>(one))
          for (const [path, { data }] of Tree.leaves<HostTensor.Any>({ metrics: two.metrics, state: two.state })) {
            data.forEach((x, at) => assert.closeTo(x, expected.get(path)!.data[at]!, 1e-6, path))
          }
          assert.deepStrictEqual(two.memory, {
            handles: 1,
            tensors: 2 * one.memory.tensors,
            bytes: 2 * one.memory.bytes
          })
          assert.deepStrictEqual(yield* engine.memory, NONE)
        })
      )
    }))

  it.effect("keeps its state if the share of one is not finite, and takes whole steps when it is interrupted", () =>
    onDevices(
      2,
      Effect.fnUntraced(function*(engine) {
        yield* Effect.gen(function*() {
          const handle = yield* engine.train(Steps.regression, Steps.initial())
          const broken = { ...Steps.batch(0), x: Steps.values([4, 3], (i) => (i === 11 ? NaN : i)) }
          assert.strictEqual((yield* Effect.flip(handle.run(broken))).reason._tag, "NonFinite")
          assert.deepStrictEqual((yield* handle.snapshot).state, Steps.initial())
          const running = yield* Effect.forkChild(handle.run(Steps.batch(0)), { startImmediately: true })
          yield* Fiber.interrupt(running)
          const { steps } = yield* handle.snapshot
          yield* handle.run(Steps.batch(1))
          assert.strictEqual((yield* handle.snapshot).steps, steps + 1)
        }).pipe(Effect.scoped)
        assert.deepStrictEqual(yield* engine.memory, NONE)
      })
    ))

  it.effect("gives each its own places, and refuses places and batches that they cannot share", () =>
    onDevices(
      2,
      Effect.fnUntraced(function*(engine) {
        const handle = yield* engine.train(picking, { w: HostTensor.scalar(0) })
        assert.strictEqual(HostTensor.item((yield* handle.run(picks(0, 2, 3, 5))).sum), 101_101)
        const others = yield* refusal(handle.run(picks(0, 1, 2, 5)))
        assert.include(others, "batch.rows must be 2 places of the rows of each of 2 devices, in their order")
        assert.strictEqual((yield* handle.snapshot).steps, 1)
        const odd = { ...picking, batch: { ...picking.batch, extra: { shape: [3], dtype: "float32", split: "rows" } } }
        assert.include(
          yield* refusal(engine.train(odd as typeof picking, { w: HostTensor.scalar(0) })),
          "2 devices cannot share the 3 rows of batch.extra equally; choose a batch size that is a multiple"
        )
        assert.include(
          yield* refusal(
            engine.train(Steps.repeated, { first: Steps.values([3], () => 0), second: Steps.values([3], () => 0) })
          ),
          "no array of its batch says how several devices share it"
        )
      })
    ))

  it.effect("infers on the first", () =>
    onDevices(
      2,
      Effect.fnUntraced(function*(engine) {
        const handle = yield* engine.infer(Steps.affine, Steps.weights())
        assert.deepStrictEqual((yield* handle.run(Steps.x()))[0]!.shape, [4, 2])
      })
    ))

  it.effect("needs at least one", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Engine.Engine, Engine.layerXla({ devices: 0 })))
      assert.include(error.message, "there are no 0 devices")
    }))
})
