import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Runs from "../../src/layers/run/Runs.ts"
import { prefetch } from "../../src/pipelines/training/Prefetch.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro } from "./kit.ts"

const settle = Effect.repeat(Effect.yieldNow, { times: 200 })

describe("prefetched batches", () => {
  it.effect("come in order, and no more of them than two wait", () =>
    Effect.gen(function*() {
      const begun: Array<number> = []
      const used: Array<number> = []
      const gates = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], () => Deferred.make<void>())
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(
          prefetch(0, 7, (step) =>
            Effect.sync(() => {
              begun.push(step)
              return step
            })),
          (step) => Effect.andThen(Effect.sync(() => void used.push(step)), Deferred.await(gates[step]!))
        )
      )
      yield* settle
      assert.deepStrictEqual([used, begun], [[0], [0, 1, 2]])
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* settle
      assert.deepStrictEqual([used, begun], [[0, 1], [0, 1, 2, 3]])
      yield* Effect.forEach(gates, (gate) => Deferred.succeed(gate, undefined))
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(used, [0, 1, 2, 3, 4, 5, 6, 7])
      assert.deepStrictEqual(begun, used)
    }))

  const seconds = Effect.fnUntraced(function*(making: number, using: number) {
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(
        prefetch(0, 9, () => Effect.sleep(`${making} seconds`)),
        () => Effect.sleep(`${using} seconds`)
      )
    )
    let passed = 0
    for (; fiber.pollUnsafe() === undefined; passed++) yield* TestClock.adjust("1 second")
    return passed
  })

  it.effect("are made while a step runs", () =>
    Effect.gen(function*() {
      assert.approximately(yield* seconds(1, 2), 21, 1)
    }))

  it.effect("are made several at once where steps wait for them", () =>
    Effect.gen(function*() {
      assert.isBelow(yield* seconds(6, 0), 31)
    }))

  it.effect("stop with the training, the one in the making too", () =>
    Effect.gen(function*() {
      const begun: Array<number> = []
      let stopped = 0
      const make = (step: number) =>
        Effect.suspend(() => {
          begun.push(step)
          return step === 2 ? Effect.never : Effect.succeed(step)
        }).pipe(Effect.onInterrupt(() => Effect.sync(() => stopped++)))
      const fiber = yield* Effect.forkChild(Stream.runForEach(prefetch(0, 7, make), () => Effect.never))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.deepStrictEqual([begun, stopped], [[0, 1, 2], 1])
    }))

  it.effect("stop when a step fails", () =>
    Effect.gen(function*() {
      let stopped = 0
      const make = (step: number) =>
        step < 2
          ? Effect.succeed(step)
          : Effect.onInterrupt(Effect.never, () => Effect.sync(() => stopped++))
      const failed = yield* Effect.exit(
        Stream.runForEach(prefetch(0, 7, make), (step) => step === 1 ? Effect.fail("step") : settle)
      )
      assert.isTrue(failed._tag === "Failure")
      assert.strictEqual(stopped, 1)
    }))
})

describe("a training", () => {
  layer(machine, { excludeTestServices: true })((it) => {
    it.effect("says how long its steps waited for batches, and how much memory these took", () =>
      Effect.gen(function*() {
        const rows: Array<Runs.Row> = []
        const runs = yield* Runs.Runs
        const timing = (row: Runs.Row) => Effect.sync(() => void rows.push(row))
        yield* trainTokenizer(micro().tokenizer).pipe(Effect.provideService(Runs.Runs, { ...runs, timing }))
        assert.deepStrictEqual(rows.map(({ stage, step, steps }) => [stage, step, steps]), [["tokenizer", 1, 1], [
          "tokenizer",
          8,
          8
        ]])
        const { megabytesOfBatches, seconds, secondsWaitedForData } = rows.at(-1)!
        assert.isAbove(Number(secondsWaitedForData), 0)
        assert.isBelow(Number(secondsWaitedForData), Number(seconds))
        const images = 8 * 3 * 32 * 32 * 4 / 1e6
        assert.isAtLeast(Number(megabytesOfBatches), images)
        assert.isAtMost(Number(megabytesOfBatches), 3 * 1.2 * images)
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))
  })
})
