/** Worker threads that run programs. */
import { Effect, Schema } from "effect"
import * as WorkerThread from "../machine/WorkerThread.ts"
import * as Check from "./Check.ts"
import type { Call } from "./CompiledEngine.ts"
import { EngineError, Reason, WorkerLost } from "./EngineError.ts"
import { type Calls, END, type Response } from "./Protocol.ts"

/** Returns the file of a worker's program. */
export const file = (name: string): URL => WorkerThread.file(name, import.meta.url)

const reasonOf = Schema.decodeSync(Reason)

/**
 * Starts a worker that lives until the scope closes. It ends its calls before, and frees what the end of a thread does not free: a native
 * library that is cut off in a call, or while it is loaded, ends the whole process. With `cut`, the worker is cut off, because it may wait for
 * other ranks in vain.
 */
export const start = Effect.fnUntraced(function*(program: URL, options: object, cut = false) {
  const waiting = new Map<number, (response: Response | WorkerLost) => void>()
  let lost: WorkerLost | undefined
  let calls = 0
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => WorkerThread.start(program, options)),
    (running) => {
      // The layer's finalizer waits for the end of the worker.
      running.ref()
      return Effect.andThen(cut ? Effect.void : freed, Effect.promise(() => running.terminate()))
    }
  )
  const freed = Effect.callback<void>((resume) => {
    if (lost !== undefined) return resume(Effect.void)
    waiting.set(END.id, () => resume(Effect.void))
    worker.postMessage(END)
  })
  const end = (detail: string) => {
    lost ??= new WorkerLost({ detail })
    for (const settle of waiting.values()) settle(lost)
    waiting.clear()
  }
  worker.on("error", (error) => end(error.message))
  worker.on("exit", (code) => end(`exit code ${code}`))
  worker.on("message", (response: Response) => {
    const settle = waiting.get(response.id)
    waiting.delete(response.id)
    // An idle worker must not keep the process alive. This precedes `settle`, which may call again.
    if (waiting.size === 0) worker.unref()
    settle?.(response)
  })

  const call: Call = (program, name, ask, buffers = []) =>
    Effect.callback((resume) => {
      const fail = (reason: Reason) => resume(Effect.fail(new EngineError({ program, reason })))
      if (lost !== undefined) return fail(lost)
      const id = calls++
      waiting.set(id, (response) => {
        if (response instanceof WorkerLost) return fail(response)
        if ("failure" in response) {
          const { failure } = response
          return fail(typeof failure === "string" ? Check.reasonOf(failure) : reasonOf(failure))
        }
        resume(Effect.succeed(response.answer as Calls[typeof name]["answer"]))
      })
      worker.ref()
      worker.postMessage({ id, name, ask }, buffers)
    })
  return call
})
