import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pauses from "../../../src/layers/machine/Pauses.ts"
import { busily, turns } from "./turns.ts"

describe("pauses", () => {
  it.live("give the event loop a turn between any two long pieces of work of several fibers", () =>
    Effect.gen(function*() {
      const counted = yield* turns
      const seen: Array<number> = []
      const piece = Effect.andThen(
        Pauses.pause,
        Effect.sync(() => {
          seen.push(counted.turn)
          busily(6)
        })
      )
      yield* Effect.forEach([1, 2, 3, 4], () => Effect.forEach([1, 2, 3], () => piece), { concurrency: "unbounded" })
      assert.lengthOf(seen, 12)
      assert.lengthOf(new Set(seen.slice(1)), 11)
    }))

  it.live("are rare in short work", () =>
    Effect.gen(function*() {
      const counted = yield* turns
      yield* Pauses.pause
      const before = counted.turn
      const sum = yield* Pauses.during((function*() {
        let sum = 0
        for (let i = 0; i < 100; i++) {
          sum += i
          yield
        }
        return sum
      })())
      assert.strictEqual(sum, 4950)
      assert.isAtMost(counted.turn - before, 20)
    }))
})
