/** The worker's end of the protocol: one call at a time, in order. */
import { parentPort } from "node:worker_threads"
import type { Answer, Calls, Handlers, Name, Request, Response } from "./Protocol.ts"

/** Answers every call of the thread that started this one. */
export const serve = (handlers: Handlers): void => {
  const port = parentPort!
  const answer = <N extends Name>(name: N, ask: Calls[N]["ask"]): Answer<N> | Promise<Answer<N>> => handlers[name](ask)
  let last: Promise<void> = Promise.resolve()
  port.on("message", (request: Request) => {
    last = last.then(() => answer(request.name, request.ask)).then(
      ([found, buffers = []]) => port.postMessage({ id: request.id, answer: found } satisfies Response, buffers),
      (cause: unknown) =>
        port.postMessage(
          { id: request.id, failure: cause instanceof Error ? cause.message : String(cause) } satisfies Response
        )
    )
  })
}
