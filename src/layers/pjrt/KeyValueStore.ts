/**
 * The keys and values by which the plugins of several processes find each other, carried by MPI. A plugin asks for them while it opens a
 * client, compiles or runs a program, from any of its threads.
 *
 * Two threads that do nothing else serve them, one the function that puts and one those that get. Neither waits for the thread of the
 * engine, which may wait in the plugin. To put waits for nothing, not even for a get of the same process. To get waits until the value has
 * been put, and no longer than the plugin says. So the processes wait for each other only where the plugin itself would. There is one
 * exception: two gets of one process at the same time are answered one after the other. XLA makes one at a time for one device.
 */
import { Effect, type Scope } from "effect"
import * as WorkerThread from "../machine/WorkerThread.ts"
import type { MpiOrigin } from "../ranks/Collectives.ts"
import type { Reading, Writing } from "./KeyValueCallbacks.ts"
import type { Options } from "./KeyValueWorker.ts"

/** The addresses of the functions of a store. */
export interface KeyValueStore extends Reading, Writing {}

const serving = <A>(options: Options): Effect.Effect<A, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => WorkerThread.start(WorkerThread.file("KeyValueWorker", import.meta.url), options)),
      (worker) => Effect.promise(() => worker.terminate())
    ),
    (worker) =>
      Effect.callback((resume) => {
        worker.once("message", (functions: A) => resume(Effect.succeed(functions)))
        worker.once("error", (error) => resume(Effect.die(error)))
      })
  )

/**
 * Opens the store of this process. All ranks open theirs with the same `number`, which no other store of the process has. Its functions
 * may be called until the scope closes.
 */
export const open = Effect.fnUntraced(function*(ranks: MpiOrigin, number: number) {
  const writing = yield* serving<Writing>({ ranks, number, serves: "writing" })
  const reading = yield* serving<Reading>({ ranks, number, serves: "reading" })
  const store: KeyValueStore = { ...writing, ...reading }
  return store
})
