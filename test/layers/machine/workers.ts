import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { once } from "node:events"
import type { Worker } from "node:worker_threads"

/** The worker threads that start within a scope, and those of them that send a message. */
export const watched = Effect.acquireRelease(
  Effect.sync(() => {
    const [workers, answering] = [new Set<Worker>(), new Set<Worker>()]
    const listener = (worker: Worker) => {
      workers.add(worker)
      worker.once("message", () => answering.add(worker))
    }
    process.on("worker", listener)
    return { workers, answering, listener }
  }),
  ({ listener }) => Effect.sync(() => process.off("worker", listener))
)

/** Checks that there are threads, and that they have ended. */
export const ended = (workers: ReadonlySet<Worker>): void => {
  assert.isAbove(workers.size, 0)
  assert.isTrue([...workers].every(({ threadId }) => threadId === -1))
}

/** Checks that an effect starts a thread, and ends it when it is interrupted then. */
export const endsInterrupted = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const { workers } = yield* watched
    const fiber = yield* Effect.forkChild(self, { startImmediately: true })
    yield* Effect.promise(() => once(process, "worker"))
    yield* Fiber.interrupt(fiber)
    ended(workers)
  }))
