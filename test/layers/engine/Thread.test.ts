import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { setImmediate } from "node:timers/promises"
import * as Thread from "../../../src/layers/engine/Thread.ts"

const program = new URL("./slowWorker.ts", import.meta.url)

describe("the thread of an engine", () => {
  it.effect("is not cut off while it loads its library, or in a call", () =>
    Effect.gen(function*() {
      const seen = new Int32Array(new SharedArrayBuffer(12))
      const settings = { memory: seen.buffer }
      yield* Effect.scoped(Thread.start(program, settings))
      assert.deepStrictEqual([...seen], [1, 0, 0])
      yield* Effect.scoped(Effect.gen(function*() {
        const call = yield* Thread.start(program, settings)
        const fiber = yield* Effect.forkChild(call("start", "start", undefined))
        while (seen[1] === 0) yield* Effect.promise(() => setImmediate())
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(seen[2], 0)
      }))
      assert.deepStrictEqual([...seen], [1, 1, 1])
    }))
})
