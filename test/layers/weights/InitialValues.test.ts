import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { once } from "node:events"
import type { Worker } from "node:worker_threads"
import * as InitialValues from "../../../src/layers/weights/InitialValues.ts"
import * as Parameter from "../../../src/nn/blocks/Parameter.ts"

const weight = Parameter.normal([2048, 1024], Parameter.pretraining(0.02))
const spec = {
  blocks: [{ weight, bias: Parameter.zeros([3]) }, { weight: Parameter.byFanIn([2048, 1024], 1024, 0.5) }],
  "head.weight": weight,
  absent: undefined,
  last: [weight, Parameter.byFanIn([2048, 1024], 4)]
}

const watched = Effect.acquireRelease(
  Effect.sync(() => {
    const workers: Array<Worker> = []
    const listener = (worker: Worker) => workers.push(worker)
    process.on("worker", listener)
    return { workers, listener }
  }),
  ({ listener }) => Effect.sync(() => process.off("worker", listener))
)
const ended = ({ threadId }: Worker) => threadId === -1

describe("initial values", () => {
  it.live("are the same in threads, which end", () =>
    Effect.gen(function*() {
      const { workers } = yield* watched
      assert.deepStrictEqual(yield* InitialValues.draw(spec, 7), Parameter.initialise(spec, 7))
      assert.isNotEmpty(workers)
      assert.isTrue(workers.every(ended))
    }))

  it.live("end their threads when they are interrupted", () =>
    Effect.gen(function*() {
      const { workers } = yield* watched
      const fiber = yield* Effect.forkChild(InitialValues.draw(spec, 7), { startImmediately: true })
      yield* Effect.promise(() => once(process, "worker"))
      yield* Fiber.interrupt(fiber)
      assert.isNotEmpty(workers)
      assert.isTrue(workers.every(ended))
    }))

  it.live("of few parameters are drawn without threads", () =>
    Effect.gen(function*() {
      const { workers } = yield* watched
      const few = { weight: Parameter.normal([8, 8], Parameter.finetuning) }
      assert.deepStrictEqual(yield* InitialValues.draw(few, 7), Parameter.initialise(few, 7))
      assert.isEmpty(workers)
    }))
})
