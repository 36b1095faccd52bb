import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schema } from "effect"
import * as TestClock from "effect/testing/TestClock"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as Held from "../../src/jobs/Held.ts"
import * as Stages from "../../src/jobs/Stages.ts"

const run = Stages.workflow("Run", {
  payload: Schema.Struct({ name: Schema.String }),
  title: ({ name }) => name,
  stages: () => [{ name: "first", run: Effect.void }, { name: "second", run: Effect.void }]
})

describe("a run", () => {
  it.live("tells its keeper that it was interrupted", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const told: Array<Exit.Exit<Stages.Outcome, unknown>> = []
      const keeper: Stages.Keeper = {
        stage: ({ index }) => () =>
          index === 0
            ? Effect.succeed("done" as const)
            : Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
        ended: (_, exit) => Effect.sync(() => void told.push(exit))
      }
      const fiber = yield* Stages.execute(run, { name: "run" }).pipe(
        Effect.provide(Layer.provideMerge(run.layer, WorkflowEngine.layerMemory)),
        Effect.provideService(Stages.Keeper, keeper),
        Effect.forkChild
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(told.map(Exit.hasInterrupts), [true])
    }))
})

describe("a worker", () => {
  const of = { job: 1, execution: 2 }
  const other = { job: 1, execution: 3 }

  it.effect("is not held for ever by a claim that no stage follows", () =>
    Effect.gen(function*() {
      const held = Held.make()
      assert.isTrue(yield* held.isFree)
      yield* held.claim(of)
      yield* TestClock.adjust(`${Held.FORGOTTEN} seconds`)
      assert.isFalse(yield* held.isFree)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* held.isFree)
      yield* held.work(of)
      yield* TestClock.adjust("1 day")
      assert.isFalse(yield* held.isFree)
    }))

  it.effect("is held by a stage until that is over, also when its run is", () =>
    Effect.gen(function*() {
      const held = Held.make()
      yield* held.work(of)
      yield* held.end(of)
      assert.isFalse(yield* held.isFree)
      assert.deepStrictEqual([of, other].map(held.has), [true, false])
      for (const leave of [held.rest, held.end, held.release]) yield* leave(other)
      assert.isFalse(yield* held.isFree)
      yield* held.rest(of)
      assert.isFalse(yield* held.isFree)
      yield* held.end(of)
      assert.isTrue(yield* held.isFree)
      yield* held.work(other)
      yield* held.release(other)
      assert.isTrue(yield* held.isFree)
    }))
})
