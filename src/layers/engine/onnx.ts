/** Compiled programs on ONNX Runtime in a worker thread. */
import { Effect } from "effect"
import * as Trace from "../../compiler/Trace.ts"
import type { OnnxOptions } from "../Engine.ts"
import { EngineError, Failed, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./thread.ts"

/** An engine on a worker thread of its own. `file` is the worker's program. */
export const make = Effect.fnUntraced(function*(
  { provider = "cpu", spin = 50, threads }: OnnxOptions,
  file: URL = Thread.file("worker")
) {
  const call = yield* Thread.start(file, { provider, threads, spin })
  const unavailable = (detail: string) =>
    new EngineError({ program: "start", reason: new ProviderUnavailable({ provider, detail }) })
  const started = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason }) => unavailable(reason.message))
  )
  if (!started.providers.includes(provider)) {
    return yield* unavailable(`this build of ONNX Runtime has ${started.providers.join(", ")}`)
  }
  return Thread.engine(call, {
    name: `onnx ${provider}, ${started.threads} ${started.threads === 1 ? "thread" : "threads"}`,
    // What is updated apart is in this process's memory.
    trainStep: (step) => Trace.trainStep(step, { apart: provider === "cpu" }),
    inference: Trace.inference,
    // Providers are loaded with the first program that wants them.
    opening: (error) => provider !== "cpu" && error.reason instanceof Failed ? unavailable(error.reason.detail) : error
  })
})
