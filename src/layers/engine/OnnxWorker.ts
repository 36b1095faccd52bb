/** The worker thread of ONNX Runtime. */
import koffi from "koffi"
import { workerData } from "node:worker_threads"
import { env, InferenceSession, Tensor } from "onnxruntime-node"
import { physicalCores } from "../machine/Processor.ts"
import * as BFloat16Sum from "../ranks/BFloat16Sum.ts"
import type { Collectives } from "../ranks/Collectives.ts"
import * as Connection from "../ranks/Connection.ts"
import * as Sessions from "./OnnxSessions.ts"
import type { Options } from "./Protocol.ts"
import { serve } from "./Serve.ts"
import * as TensorFloat32 from "./TensorFloat32.ts"

const { provider, ranks, spin, threads = physicalCores(), wire } = workerData as Options

// Errors are thrown, so they need not be printed.
env.logLevel = "fatal"

type Sum = Collectives["sum"]

let sums: { readonly gradients: Sum; readonly values: Sum } | undefined

const runtime: Sessions.Runtime = {
  started: { version: env.versions.common, threads, precisions: ["fp32"] },
  Tensor,
  create: (model, options) => InferenceSession.create(model, options),
  // Only the binding of this provider gives access to its device memory.
  state: provider === "webgpu" ? "device" : "bound",
  sum: (values, of) => sums![of](values),
  mayRound: provider === "cuda"
}

const handlers = Sessions.handlers(runtime, {
  executionProviders: [provider],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  extra: {
    session: { intra_op: { allow_spinning: spin > 0 ? "1" : "0", spin_duration_us: String(spin) } },
    // Programs already determine which operands are transposed in advance. This optimization would undo that.
    optimization: { disable_specified_optimizers: "MatmulTransposeFusion" }
  },
  executionMode: "sequential",
  enableMemPattern: false,
  graphOptimizationLevel: "all",
  logSeverityLevel: 4
})

const start: typeof handlers.start = (ask) => {
  // On Linux, WebGPU uses Vulkan. This throws if Vulkan is missing; the provider would print it as well.
  if (provider === "webgpu" && process.platform === "linux") koffi.load("libvulkan.so.1")
  // CUDA's provider computes in tf32 by itself. The binding passes on none of its options, such as `use_tf32`.
  if (provider === "cuda" && process.platform === "linux") TensorFloat32.setVariable(false)
  if (ranks !== undefined) {
    const collectives = Connection.open(ranks)
    sums = { gradients: wire === "bf16" ? BFloat16Sum.make(collectives) : collectives.sum, values: collectives.sum }
  }
  return handlers.start(ask)
}

serve({ ...handlers, start })
