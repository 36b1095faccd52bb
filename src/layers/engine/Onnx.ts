/** Compiled programs on ONNX Runtime in a worker thread. */
import { Effect } from "effect"
import * as Trace from "../../compiler/trace/Trace.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./Thread.ts"

/** How `layerOnnx` runs programs. */
export interface OnnxOptions {
  /**
   * ONNX Runtime's execution provider; default `cpu`. With `webgpu` the state stays on the device from step to step. Of the
   * others onnxruntime-node hands out no device memory (its `gpu-buffer` is WebGPU's), so that with `cuda`, `dml` and
   * `coreml` each step copies the state to the device and back.
   */
  readonly provider?: "cpu" | "cuda" | "webgpu" | "dml" | "coreml"
  /** Threads of one operator; default all physical cores. The same count gives the same bytes, another rounds otherwise. */
  readonly threads?: number
  /**
   * For how many microseconds an idle thread waits for work before it sleeps; default 50. Waking a thread takes longer than
   * many an operator does, so a step of a small network that never waits (0) takes up to twice the time; one that waits
   * for long takes time from whatever else computes (image decoding, another engine).
   */
  readonly spin?: number
  /**
   * `low` keeps of a training step's forward pass only what enters each block of a network, and computes the rest again
   * for the gradients: the same numbers for about a third more time. Default `high`.
   */
  readonly memory?: "high" | "low"
}

const REMEDY: Readonly<Record<NonNullable<OnnxOptions["provider"]>, string>> = {
  cpu: "install onnxruntime-node again",
  cuda:
    "install CUDA 12 and cuDNN 9, and ONNX Runtime's part for them with \"ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild " +
    "onnxruntime-node\", or choose \"cpu\"",
  webgpu: "install the graphics card's driver with Vulkan, Metal or Direct3D 12, or choose \"cpu\"",
  dml: "use Windows, or choose \"cpu\"",
  coreml: "use macOS, or choose \"cpu\""
}

// ONNX Runtime says first in which line of its sources a condition was false.
const sentence = (detail: string): string => detail.replace(/^\S*\/onnxruntime_src\/.* was false\. /s, "")

/** An engine on a worker thread of its own. `file` is the worker's program. */
export const make = Effect.fnUntraced(function*(
  options: OnnxOptions,
  file: URL = Thread.file("OnnxWorker")
) {
  const { memory = "high", provider = "cpu", spin = 50, threads } = options
  const call = yield* Thread.start(file, { provider, threads, spin })
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason: { message: detail } }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider, detail: sentence(detail), remedy: REMEDY[provider] })
      })
    )
  )
  const recompute = memory === "low"
  return CompiledEngine.make(call, {
    name: `onnx ${provider}`,
    about: { ...about, engine: `onnx ${provider}`, precision: "fp32" },
    trainStep: (step) =>
      // What is updated outside of the graph is in this process's memory, and only there can a program write over it.
      provider === "webgpu"
        ? CompiledEngine.outOfPlace(Trace.trainStep(step, { recompute }))
        : Trace.trainStep(step, { external: provider === "cpu", recompute }),
    inference: Trace.inference
  })
})
