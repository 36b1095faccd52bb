/** The worker thread of ONNX Runtime. */
import koffi from "koffi"
import { workerData } from "node:worker_threads"
import { env, InferenceSession, Tensor } from "onnxruntime-node"
import * as Sessions from "./OnnxSessions.ts"
import { physicalCores } from "./Processor.ts"
import type { Options } from "./Protocol.ts"
import { serve } from "./Serve.ts"

const { provider, spin, threads = physicalCores() } = workerData as Options

// What goes wrong is thrown; it need not be printed as well.
env.logLevel = "fatal"

const runtime: Sessions.Runtime = {
  started: { version: env.versions.common, threads, precisions: ["fp32"] },
  Tensor,
  create: (model, options) => InferenceSession.create(model, options),
  // Only the binding of this provider hands out what is on its device.
  state: provider === "webgpu" ? "device" : "bound"
}

const handlers = Sessions.handlers(runtime, {
  executionProviders: [provider],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  extra: {
    session: { intra_op: { allow_spinning: spin > 0 ? "1" : "0", spin_duration_us: String(spin) } },
    // Programs say themselves which operands are transposed beforehand; this would join those to their products again.
    optimization: { disable_specified_optimizers: "MatmulTransposeFusion" }
  },
  executionMode: "sequential",
  enableMemPattern: false,
  graphOptimizationLevel: "all",
  logSeverityLevel: 4
})

const start: typeof handlers.start = (ask) => {
  // On Linux WebGPU is Vulkan. Its absence is thrown here; the provider would print it, too.
  if (provider === "webgpu" && process.platform === "linux") koffi.load("libvulkan.so.1")
  return handlers.start(ask)
}

serve({ ...handlers, start })
