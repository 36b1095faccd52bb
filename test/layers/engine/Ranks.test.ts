import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Split from "../../../src/compiler/trace/Split.ts"
import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Engine from "../../../src/layers/engine/Engine.ts"
import * as Ranks from "../../../src/layers/ranks/Ranks.ts"
import * as ThreadRanks from "../../../src/layers/ranks/ThreadRanks.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { NONE, picking, picks } from "./picking.ts"

const SIZE = 2

const engines = Effect.forEach(
  ThreadRanks.origins(SIZE),
  (ranks) => Effect.map(Layer.build(Engine.layerOnnx({ threads: 1, ranks })), Context.get(Engine.Engine)),
  { concurrency: "unbounded" }
)

const onAll = <A, B, E, R>(all: ReadonlyArray<A>, body: (one: A, rank: number) => Effect.Effect<B, E, R>) =>
  Effect.forEach(all, body, { concurrency: "unbounded" })

it.effect("engines of two ranks say so, share a batch, and free what they held", () =>
  Effect.gen(function*() {
    const both = yield* engines
    assert.deepStrictEqual(both.map(({ name }) => name), [
      "onnx cpu, rank 0 of 2, 1 thread",
      "onnx cpu, rank 1 of 2, 1 thread"
    ])
    assert.strictEqual(both[0]!.about.ranks, 2)
    yield* Effect.scoped(Effect.gen(function*() {
      const handles = yield* onAll(both, (engine) => engine.train(picking, { w: HostTensor.scalar(0) }))
      const sums = (batches: ReadonlyArray<ReturnType<typeof picks>>) =>
        Effect.map(
          onAll(handles, ({ run }, rank) => run(batches[rank]!)),
          (metrics) => metrics.map(({ sum }) => HostTensor.item(sum))
        )
      const whole = picks(0, 2, 3, 5)
      assert.deepStrictEqual(yield* sums([whole, whole]), [101_101, 101_101])
      const { table, rows } = whole
      const shares = [0, 1].map((rank) => ({
        table: Split.part(table, "rows", SIZE, rank) as typeof table,
        rows: Split.part(rows, { placesOf: 6 }, SIZE, rank) as typeof rows
      }))
      assert.deepStrictEqual(yield* sums(shares), [101_101, 101_101])
      const [refused] = yield* onAll(handles, ({ run }) => Effect.flip(run(picks(0, 1, 2, 5))))
      const odd = { ...picking, batch: { ...picking.batch, extra: { shape: [3], dtype: "float32", split: "rows" } } }
      assert.include(
        (yield* Effect.flip(both[0]!.train(odd as typeof picking, { w: HostTensor.scalar(0) }))).message,
        "2 ranks cannot share the 3 rows of batch.extra equally; choose a batch size that is a multiple of 2 (batchSize), or " +
          "another number of ranks"
      )
      assert.include(refused!.message, "batch.rows must be 2 places of the rows of each of 2 devices, in their order")
    }))
    for (const engine of both) assert.deepStrictEqual(yield* engine.memory, NONE)
  }).pipe(Effect.scoped))

it.effect("all ranks keep their state if the share of one is not finite", () =>
  Effect.gen(function*() {
    const handles = yield* onAll(yield* engines, (engine) => engine.train(Steps.regression, Steps.initial()))
    const broken = { ...Steps.batch(0), x: Steps.values([4, 3], (i) => (i === 11 ? NaN : i)) }
    for (const { reason } of yield* onAll(handles, ({ run }) => Effect.flip(run(broken)))) {
      assert.strictEqual(reason._tag, "NonFinite")
    }
    for (const { snapshot } of handles) assert.deepStrictEqual((yield* snapshot).state, Steps.initial())
    yield* onAll(handles, ({ run }) => run(Steps.batch(0)))
    const [first, second] = yield* onAll(handles, ({ snapshot }) => snapshot)
    assert.notDeepEqual(first!.state, Steps.initial())
    assert.deepStrictEqual(second, first)
  }).pipe(Effect.scoped))

it.effect("engines train with the present ranks, or refuse to be built", () =>
  Effect.gen(function*() {
    const [collectives] = ThreadRanks.origins(2)
    const alone = yield* Ranks.Ranks
    const present = Layer.succeed(Ranks.Ranks, { ...alone, size: 2, collectives: collectives! })
    const built = (engine: Layer.Layer<Engine.Engine, Engine.EngineError>) =>
      Effect.map(Engine.Engine, ({ name }) => name).pipe(Effect.provide(Layer.provide(engine, present)))
    assert.strictEqual(yield* built(Engine.layerOnnx({ threads: 1 })), "onnx cpu, rank 0 of 2, 1 thread")
    const others = {
      reference: Layer.fresh(Engine.layerReference),
      auto: Engine.layerAuto(),
      openvino: Engine.layerOpenVino(),
      tensorflow: Engine.layerTensorFlow(),
      "onnx web": Engine.layerOnnxWeb(),
      "onnx webgpu": Engine.layerOnnx({ provider: "webgpu" }),
      "xla with 2 devices": Engine.layerXla({ devices: 2 })
    }
    for (const [name, engine] of Object.entries(others)) {
      const { message, reason } = yield* Effect.flip(built(engine))
      assert.strictEqual(reason._tag, "RanksUnavailable")
      assert.include(message, `the engine ${name} does not train with other ranks; use ONNX Runtime (--engine onnx)`)
    }
  }).pipe(Effect.scoped))
