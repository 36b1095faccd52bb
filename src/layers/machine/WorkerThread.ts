/** Worker threads, whose programs are files of this library. */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"

/** Returns the file of a program beside the module `from`: TypeScript in the sources, JavaScript in a build. */
export const file = (name: string, from: string): URL =>
  new URL(`./${name}${from.endsWith(".ts") ? ".ts" : ".js"}`, from)

/** Starts a thread. `data` is its `workerData`. */
export const start = (program: URL, data: object): Worker =>
  new Worker(program, { workerData: data, execArgv: ["--disable-warning=ExperimentalWarning"] })

/** Returns the first message of a thread, which ends then. If the thread is lost, `here` gives the answer. `data` is its `workerData`. */
export const answer = <A>(program: URL, data: object, here: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.sync(() => start(program, data)),
    (worker) =>
      Effect.callback<A>((resume) => {
        worker.once("message", (found: A) => resume(Effect.succeed(found)))
        worker.once("error", () => resume(here))
        worker.once("exit", () => resume(here))
      }),
    (worker) => Effect.promise(() => worker.terminate())
  )
