/** The worker's side of the protocol. */
import { parentPort } from "node:worker_threads"
import type { Reason } from "./EngineError.ts"
import { type Answer, type Calls, END, type Handlers, type Name, type Request, type Response } from "./Protocol.ts"

type Failure = Extract<Response, { readonly failure: unknown }>["failure"]

// A message copies the name and the text of an error, but not its other fields.
const failureOf = (cause: unknown): Failure => {
  if (!(cause instanceof Error)) return String(cause)
  return "_tag" in cause ? { ...cause as Reason } : cause.message
}

/**
 * Answers the calls of the parent thread, one at a time and in order. `arrived` receives each call at once, while the handler of an
 * earlier one may be waiting. `ended` frees what the thread holds, after the last call.
 */
export const serve = (
  handlers: Handlers,
  arrived: (request: Request) => void = () => {},
  ended: () => void | Promise<void> = () => {}
): void => {
  const port = parentPort!
  const answer = <N extends Name>(name: N, ask: Calls[N]["ask"]): Answer<N> | Promise<Answer<N>> => handlers[name](ask)
  let last: Promise<void> = Promise.resolve()
  port.on("message", (request: Request | typeof END) => {
    if (request.name === END.name) {
      last = last.then(ended).then(() => port.postMessage({ id: END.id, answer: undefined } satisfies Response))
      return
    }
    arrived(request)
    last = last.then(() => answer(request.name, request.ask)).then(
      ([found, buffers = []]) => port.postMessage({ id: request.id, answer: found } satisfies Response, buffers),
      (cause: unknown) => port.postMessage({ id: request.id, failure: failureOf(cause) } satisfies Response)
    )
  })
}
