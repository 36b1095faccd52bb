import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import * as Runs from "../../src/layers/run/Runs.ts"
import { timed } from "../../src/pipelines/training/Timed.ts"

const run = <A, E>(name: string, test: Effect.Effect<A, E, Runs.Runs>) =>
  it.effect(name, () => Effect.provide(test, Runs.layerMemory()))

const interruptedAfter = Effect.fnUntraced(function*(seconds: number) {
  const fiber = yield* Effect.forkChild(timed("part", Effect.never), { startImmediately: true })
  yield* TestClock.adjust(`${seconds} seconds`)
  yield* Fiber.interrupt(fiber)
})

describe("the time of a part", () => {
  run(
    "is that of all who worked on it, and is remembered",
    Effect.gen(function*() {
      yield* interruptedAfter(5)
      yield* interruptedAfter(2)
      const failed = timed("part", Effect.andThen(TestClock.adjust("3 seconds"), Effect.fail("any")))
      assert.strictEqual(yield* Effect.flip(failed), "any")
      const done = yield* timed("part", Effect.as(TestClock.adjust("4 seconds"), "value"))
      assert.deepStrictEqual(done, { value: "value", seconds: 14 })
      const again = yield* timed("part", Effect.as(TestClock.adjust("9 seconds"), "other"))
      assert.deepStrictEqual(again, { value: "other", seconds: 14 })
    })
  )

  run(
    "is written with its end, whoever is interrupted",
    Effect.gen(function*() {
      const runs = yield* Runs.Runs
      const fiber = yield* Effect.forkChild(
        timed("part", Effect.andThen(TestClock.adjust("4 seconds"), Effect.interruptible(Effect.void))).pipe(
          Effect.provideService(Runs.Runs, {
            ...runs,
            done: (stage, result) => {
              fiber.interruptUnsafe()
              return runs.done(stage, result)
            }
          })
        )
      )
      yield* Fiber.await(fiber)
      assert.deepStrictEqual(yield* runs.result("part-seconds"), Option.some({ seconds: 4, finished: true }))
    })
  )

  run(
    "is that of an earlier version",
    Effect.gen(function*() {
      yield* (yield* Runs.Runs).done("part-seconds", { seconds: 7 })
      assert.deepStrictEqual(yield* timed("part", Effect.succeed(1)), { value: 1, seconds: 7 })
    })
  )
})
