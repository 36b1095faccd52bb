import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import fc from "fast-check"
import type * as Graph from "../../../src/compiler/graph/Graph.ts"
import { typeOf } from "../../../src/compiler/stablehlo/StableHloWriter.ts"
import * as DeviceArray from "../../../src/layers/pjrt/DeviceArray.ts"
import * as XlaSession from "../../../src/layers/pjrt/XlaSession.ts"
import type * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { flags, floats, ints } from "./arrays.ts"
import { NOTHING, onCpu } from "./cpuPlugin.ts"

const port = (name: string, dtype: HostTensor.DType, ...shape: ReadonlyArray<number>): Graph.Value => ({
  name,
  shape,
  dtype
})

const program = (
  { batch, results, state }: Omit<XlaSession.Program, "text" | "devices">,
  lines: ReadonlyArray<string>,
  returned: ReadonlyArray<string>
): XlaSession.Program => {
  const given = [
    ...state.map((one, place) => `%s${place}: ${typeOf(one)} {tf.aliasing_output = ${place} : i32}`),
    ...batch.map((one, place) => `%b${place}: ${typeOf(one)}`)
  ]
  const types = [...state, ...results].map(typeOf).join(", ")
  const text = `module @step {
func.func public @main(${given.join(", ")}) -> (${types}) {
${lines.join("\n")}
return ${returned.join(", ")} : ${types}
} }`
  return { text, devices: 1, state, batch, results }
}

const adding = program(
  {
    state: [port("state.x", "float32", 4), port("state.n", "int32", 2), port("state.seen", "bool", 1)],
    batch: [port("batch.d", "float32", 4)],
    results: [port("metrics.sum", "float32", 1), port("metrics.n", "int32", 2)]
  },
  [
    "%x = stablehlo.add %s0, %b0 : tensor<4xf32>",
    "%n = stablehlo.add %s1, %s1 : tensor<2xi32>",
    "%seen = stablehlo.not %s2 : tensor<1xi1>",
    "%zero = stablehlo.constant dense<0.0> : tensor<f32>",
    "%all = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32>",
    "%sum = stablehlo.reshape %all : (tensor<f32>) -> tensor<1xf32>"
  ],
  ["%x", "%n", "%seen", "%sum", "%s1"]
)

const start = (): XlaSession.Arrays => ({
  "state.x": floats(0, 1, 2, 3),
  "state.n": ints(7, 1_000_000_000),
  "state.seen": flags(false)
})

const ten = (): XlaSession.Arrays => ({ "batch.d": floats(10, 10, 10, 10) })

const ONE = { ...NOTHING, loaded: 1, executable: 1 }

onCpu("a session", ({ isOldest, opened }) => {
  it.effect("keeps its state on the device from step to step", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* XlaSession.open(client, adding, start())
        yield* session.step(ten())
        assert.deepStrictEqual(yield* session.step(ten()), {
          "metrics.sum": floats(86),
          "metrics.n": ints(14, 2_000_000_000)
        })
        assert.deepStrictEqual(yield* session.read, {
          "state.x": floats(20, 21, 22, 23),
          "state.n": ints(28, -294_967_296),
          "state.seen": flags(false)
        })
        assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 3 })
        const memory = yield* session.memory
        assert.deepInclude(memory, { arrays: 3, bytes: 25 })
        assert.isAbove(memory.step!.donated, 0)
      }))
      assert.deepStrictEqual(client.handles.counts, NOTHING)
    }))

  it.effect("shares no memory with the arrays that it is given", () =>
    Effect.gen(function*() {
      const SIZE = 2 ** 18
      const wide = program({ state: [port("state.x", "float32", SIZE)], batch: [], results: [] }, [], ["%s0"])
      const given = { shape: [SIZE], dtype: "float32", data: new Float32Array(SIZE).fill(3) } as const
      const session = yield* XlaSession.open(yield* opened(), wide, { "state.x": given })
      given.data.fill(-1)
      yield* session.step({})
      const first = yield* session.read
      first["state.x"]!.data.fill(-2)
      assert.isTrue((yield* session.read)["state.x"]!.data.every((value) => value === 3))
    }))

  it.effect("only reads a state that its program does not donate", () =>
    Effect.gen(function*() {
      const reading: XlaSession.Program = {
        state: [port("weights.w", "float32", 2)],
        batch: [port("batch.x", "float32", 2)],
        results: [port("outputs.y", "float32", 2)],
        devices: 1,
        text: `module @reading {
          func.func public @main(%w: tensor<2xf32>, %x: tensor<2xf32>) -> tensor<2xf32> {
            %y = stablehlo.multiply %w, %x : tensor<2xf32>
            return %y : tensor<2xf32>
          } }`
      }
      const client = yield* opened()
      const session = yield* XlaSession.open(client, reading, { "weights.w": floats(2, 3) })
      for (let i = 0; i < 3; i++) {
        assert.deepStrictEqual(yield* session.step({ "batch.x": floats(i, 1) }), { "outputs.y": floats(2 * i, 3) })
      }
      assert.deepStrictEqual(yield* session.read, { "weights.w": floats(2, 3) })
      assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 1 })
    }))

  it.effect("refuses arrays that do not fit, and changes nothing", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const session = yield* XlaSession.open(client, adding, start())
      const wrong: ReadonlyArray<readonly [XlaSession.Arrays, string]> = [
        [{ "batch.d": floats(1, 2, 3) }, "batch.d must be float32 [4] but is float32 [3]; give it in this form"],
        [{ "batch.d": ints(1, 2, 3, 4) }, "batch.d must be float32 [4] but is int32 [4]; give it in this form"],
        [
          { "batch.d": { ...floats(1, 2, 3), shape: [4] } },
          "batch.d must be float32 [4] but is float32 [4] with 3 values; give it in this form"
        ],
        [{}, "batch.d must be float32 [4] but is missing; give it in this form"]
      ]
      for (const [batch, message] of wrong) {
        const error = yield* Effect.flip(session.step(batch))
        assert.deepStrictEqual([error._tag, error.message], ["WrongArray", message])
      }
      assert.strictEqual((yield* Effect.flip(session.load({ ...start(), "state.n": ints(1) })))._tag, "WrongArray")
      assert.deepStrictEqual(yield* session.read, start())
      assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 3 })
    }))

  it.effect("does not open with a wrong state, a wrong program or a program that its ports do not describe", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const open = (given: XlaSession.Program, state = start()) =>
        Effect.flip(Effect.scoped(XlaSession.open(client, given, state)))
      assert.strictEqual((yield* open(adding, {}))._tag, "WrongArray")
      assert.strictEqual((yield* open({ ...adding, text: "module" }))._tag, "PjrtError")
      const error = yield* open({ ...adding, results: adding.results.toReversed() })
      assert.strictEqual(error._tag, "WrongProgram")
      assert.include(
        error.message,
        "the program must return float32 [4], int32 [2], bool [1], int32 [2], float32 [1] but returns float32 [4], int32 [2], bool [1], float32 [1], int32 [2]"
      )
      assert.deepStrictEqual(client.handles.counts, NOTHING)
    }))

  it.effect("stays as it was after a step that could not begin", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const text = adding.text.replaceAll("tensor<4xf32>", "tensor<5xf32>")
      const longer = adding.state.map((one) => one.name === "state.x" ? { ...one, shape: [5] } : one)
      const state = { ...start(), "state.x": floats(0, 1, 2, 3, 4) }
      const session = yield* XlaSession.open(client, { ...adding, text, state: longer }, state)
      const error = yield* Effect.flip(session.step(ten()))
      assert.deepInclude(error, { _tag: "PjrtError", call: "PJRT_LoadedExecutable_Execute", code: "INVALID_ARGUMENT" })
      assert.deepStrictEqual(yield* session.read, state)
      assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 3 })
    }))

  it.effect.each([1, 2])(
    "keeps its state after a step without memory on %i devices, or says that it is lost, until it is loaded again",
    (devices) =>
      Effect.gen(function*() {
        const client = yield* opened({ cpu_device_count: BigInt(devices) })
        const HUGE = 2 ** 45
        const growing = program(
          {
            state: [port("state.x", "float32", 4)],
            batch: [port("batch.d", "float32", 4)],
            results: [port("metrics.huge", "float32", 4, HUGE)]
          },
          [`%huge = stablehlo.broadcast_in_dim %b0, dims = [0] : (tensor<4xf32>) -> tensor<4x${HUGE}xf32>`],
          ["%s0", "%huge"]
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* XlaSession.open(client, { ...growing, devices }, { "state.x": floats(1, 2, 3, 4) })
          const first = yield* Effect.flip(session.step(ten()))
          if (isOldest) {
            assert.deepInclude(first, { call: "PJRT_LoadedExecutable_Execute", code: "RESOURCE_EXHAUSTED" })
            assert.deepStrictEqual(yield* session.read, { "state.x": floats(1, 2, 3, 4) })
            return assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: devices })
          }
          if (first._tag !== "StateLost") return assert.fail(first.message)
          assert.deepInclude(first, { step: 1 })
          assert.deepInclude(first.reason, { code: "RESOURCE_EXHAUSTED" })
          assert.include(first.message, "and its state is lost; load a saved state")
          assert.deepStrictEqual(client.handles.counts, ONE)
          assert.strictEqual(yield* Effect.flip(session.step(ten())), first)
          assert.strictEqual(yield* Effect.flip(session.read), first)
          assert.strictEqual(yield* Effect.flip(session.memory), first)
          yield* session.load({ "state.x": floats(5, 6, 7, 8) })
          assert.deepStrictEqual(yield* session.read, { "state.x": floats(5, 6, 7, 8) })
        }))
        assert.deepStrictEqual(client.handles.counts, NOTHING)
      })
  )

  it.effect("leaves nothing of any batches that are sent, taken, discarded or refused", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const session = yield* XlaSession.open(client, adding, start())
      const acts = {
        step: session.step(ten()),
        read: session.read,
        refused: Effect.flip(session.step({})),
        discarded: Effect.map(session.send(ten()), (sent) => DeviceArray.discard(client, sent)),
        ahead: Effect.gen(function*() {
          const first = yield* Effect.forkChild(session.take(yield* session.send(ten())), { startImmediately: true })
          const second = yield* session.send(ten())
          yield* Fiber.join(first)
          yield* session.take(second)
        }),
        interrupted: Effect.flatMap(
          Effect.forkChild(session.step(ten()), { startImmediately: true }),
          Fiber.interrupt
        )
      }
      const names = fc.array(fc.constantFrom(...Object.keys(acts) as ReadonlyArray<keyof typeof acts>), {
        maxLength: 8
      })
      const taken = (name: keyof typeof acts) =>
        Effect.map(
          acts[name] as Effect.Effect<unknown, unknown>,
          () => assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 3 })
        )
      const left = fc.asyncProperty(names, (script) =>
        Effect.runPromise(Effect.forEach(script, taken, { discard: true })))
      yield* Effect.promise(() =>
        fc.assert(left, { numRuns: 30 })
      )
    }))

  it.effect("is independent of a second session of its program", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const one = yield* XlaSession.open(client, adding, start())
      const two = yield* XlaSession.open(client, adding, start())
      yield* one.step(ten())
      assert.deepStrictEqual((yield* one.read)["state.x"], floats(10, 11, 12, 13))
      assert.deepStrictEqual(yield* two.read, start())
    }))

  it.effect("takes no more memory with each step", () =>
    Effect.gen(function*() {
      const SIZE = 2 ** 20
      const shape = { shape: [SIZE], dtype: "float32" } as const
      const wide = program(
        {
          state: [port("state.x", "float32", SIZE)],
          batch: [port("batch.d", "float32", SIZE)],
          results: [port("metrics.d", "float32", SIZE)]
        },
        [`%x = stablehlo.add %s0, %b0 : tensor<${SIZE}xf32>`],
        ["%x", "%b0"]
      )
      const client = yield* opened()
      const session = yield* XlaSession.open(client, wide, { "state.x": { ...shape, data: new Float32Array(SIZE) } })
      const batch = { "batch.d": { ...shape, data: new Float32Array(SIZE).fill(1) } }
      for (let i = 0; i < 50; i++) yield* session.step(batch)
      const before = process.memoryUsage.rss()
      for (let i = 0; i < 300; i++) yield* session.step(batch)
      assert.isBelow((process.memoryUsage.rss() - before) / 2 ** 20, 100)
      assert.deepStrictEqual(client.handles.counts, { ...ONE, buffer: 1 })
      assert.isTrue((yield* session.read)["state.x"]!.data.every((value) => value === 350))
    }), 60_000)
})
