/** Compiled programs on ONNX Runtime in a worker thread. */
import { Effect } from "effect"
import * as Trace from "../../compiler/Trace.ts"
import type { OnnxOptions } from "../Engine.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Service from "./service.ts"
import * as Thread from "./thread.ts"

/** An engine on a worker thread of its own. `file` is the worker's program. */
export const make = Effect.fnUntraced(function*(
  { provider = "cpu", spin = 50, threads }: OnnxOptions,
  file: URL = Thread.file("worker")
) {
  const call = yield* Thread.start(file, { provider, threads, spin })
  const started = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason: { message: detail } }) =>
      new EngineError({ program: "start", reason: new ProviderUnavailable({ provider, detail }) })
    )
  )
  return Service.make(call, {
    name: `onnx ${provider}, ${started.threads} ${started.threads === 1 ? "thread" : "threads"}`,
    trainStep: (step) =>
      // What is updated apart is in this process's memory, and only there can a program write over it.
      provider === "webgpu"
        ? Service.anew(Trace.trainStep(step))
        : Trace.trainStep(step, { apart: provider === "cpu" }),
    inference: Trace.inference
  })
})
