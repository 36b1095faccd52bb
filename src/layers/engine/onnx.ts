/** Compiled programs on ONNX Runtime in a worker thread. */
import { Effect } from "effect"
import * as Trace from "../../compiler/trace/Trace.ts"
import type { OnnxOptions } from "./Engine.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Service from "./service.ts"
import * as Thread from "./thread.ts"

const REMEDY: Readonly<Record<NonNullable<OnnxOptions["provider"]>, string>> = {
  cpu: "install onnxruntime-node again",
  cuda:
    "install CUDA 12 and cuDNN 9, and ONNX Runtime's part for them with \"ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild " +
    "onnxruntime-node\", or choose \"cpu\"",
  webgpu: "install the graphics card's driver with Vulkan, Metal or Direct3D 12, or choose \"cpu\"",
  dml: "use Windows, or choose \"cpu\"",
  coreml: "use macOS, or choose \"cpu\""
}

/** An engine on a worker thread of its own. `file` is the worker's program. */
export const make = Effect.fnUntraced(function*(
  { memory = "high", provider = "cpu", spin = 50, threads }: OnnxOptions,
  file: URL = Thread.file("worker")
) {
  const call = yield* Thread.start(file, { provider, threads, spin })
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason: { message: detail } }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider, detail, remedy: REMEDY[provider] })
      })
    )
  )
  const recompute = memory === "low"
  return Service.make(call, {
    name: `onnx ${provider}`,
    about: { ...about, engine: `onnx ${provider}`, precision: "fp32" },
    trainStep: (step) =>
      // What is updated apart is in this process's memory, and only there can a program write over it.
      provider === "webgpu"
        ? Service.anew(Trace.trainStep(step, { recompute }))
        : Trace.trainStep(step, { apart: provider === "cpu", recompute }),
    inference: Trace.inference
  })
})
