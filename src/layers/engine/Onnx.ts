/** Runs compiled programs on ONNX Runtime in a worker thread. */
import { Effect } from "effect"
import * as OnnxProgram from "../../compiler/programs/OnnxProgram.ts"
import type { CollectivesOrigin } from "../ranks/Collectives.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, noRanks, PrecisionUnavailable, ProviderUnavailable } from "./EngineError.ts"
import * as Thread from "./Thread.ts"

/** Options of `layerOnnx`. */
export interface OnnxOptions {
  /**
   * ONNX Runtime's execution provider; default `cpu`. With `webgpu` the state stays on the device between steps. With
   * `cuda`, `dml` and `coreml`, each step copies the state to the device and back: for them, onnxruntime-node gives no
   * access to device memory (its `gpu-buffer` is for WebGPU only). This takes most of a step: on NVIDIA's GPUs, XLA and
   * TensorFlow keep the state on the device. `cuda` computes in fp32. ONNX Runtime itself would take tf32, so the engine sets
   * `NVIDIA_TF32_OVERRIDE=0` for the whole process (on Linux), and multiplies two matrices to see that it holds.
   */
  readonly provider?: "cpu" | "cuda" | "webgpu" | "dml" | "coreml"
  /**
   * Number of threads of one operator; default all physical cores. The same number gives the same bytes; another number
   * rounds differently.
   */
  readonly threads?: number
  /**
   * Time that an idle thread waits for work before it sleeps, in microseconds; default 50. It often takes longer to wake a
   * thread than to compute an operator. With 0, a step of a small network takes up to twice the time. A long wait takes
   * time from other work of the machine (image decoding, another engine).
   */
  readonly spin?: number
  /**
   * Memory use of training steps; default `high`. `low` keeps only the input of each block of the network from the forward
   * pass, and computes the rest again for the gradients. The numbers are the same; a step takes about a third more time.
   */
  readonly memory?: "high" | "low"
  /**
   * The connection of this engine to the other ranks, each of which trains on its share of the batch; default that of
   * the present ranks (`Ranks`). Inferences
   * run on each rank for itself. The provider `webgpu` takes none.
   */
  readonly ranks?: CollectivesOrigin | undefined
  /**
   * The number format in which gradients travel between ranks; default `fp32`. `bf16` sends half of the bytes. Gradients and their sums are
   * rounded, and added up in fp32. Other sums are exact. One rank sends nothing.
   */
  readonly wire?: "fp32" | "bf16"
}

const REMEDY: Readonly<Record<NonNullable<OnnxOptions["provider"]>, string>> = {
  cpu: "install it with \"npm install --ignore-scripts onnxruntime-node@1.30.0\"",
  // Its build of 1.30 from PyPI wants CUDA 13. The name in the command does not say what the build from NuGet wants.
  cuda:
    "install ONNX Runtime's part for CUDA with \"ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node\", cuDNN 9, and " +
    "CUDA of the version in the names of missing libraries (\".so.13\" is of CUDA 13), or choose \"cpu\"",
  webgpu: "install the graphics card's driver with Vulkan, Metal or Direct3D 12, or choose \"cpu\"",
  dml: "use Windows, or choose \"cpu\"",
  coreml: "use macOS, or choose \"cpu\""
}

// ONNX Runtime's messages begin with a line of its sources.
const sentence = (detail: string): string => detail.replace(/^\S*\/onnxruntime_src\/.* was false\. /s, "")

/** Makes an engine on its own worker thread. `file` is the worker's program. */
export const make = Effect.fnUntraced(function*(
  options: OnnxOptions,
  file: URL = Thread.file("OnnxWorker")
) {
  const { memory = "high", provider = "cpu", spin = 50, threads, wire = "fp32" } = options
  const ranks = options.ranks?.size === 1 ? undefined : options.ranks
  if (ranks !== undefined && provider === "webgpu") return yield* noRanks("onnx webgpu")
  const call = yield* Thread.start(file, { provider, threads, spin, ranks, wire }, ranks !== undefined)
  const about = yield* call("start", "start", undefined).pipe(
    Effect.mapError(({ reason: { message: detail } }) =>
      new EngineError({
        program: "start",
        reason: new ProviderUnavailable({ provider, detail: sentence(detail), remedy: REMEDY[provider] })
      })
    )
  )
  if (!about.precisions.includes("fp32")) {
    const detail = "ONNX Runtime rounds products to tf32 on this GPU"
    const remedy = "set NVIDIA_TF32_OVERRIDE=0 before the program starts, or choose another engine"
    return yield* new EngineError({
      program: "start",
      reason: new PrecisionUnavailable({ precision: "fp32", detail, remedy })
    })
  }
  const recompute = memory === "low"
  return CompiledEngine.make(call, {
    name: `onnx ${provider}${ranks === undefined ? "" : `, rank ${ranks.rank} of ${ranks.size}`}`,
    about: {
      ...about,
      engine: `onnx ${provider}`,
      precision: "fp32",
      ...(ranks === undefined ? {} : { ranks: ranks.size, ...(wire === "bf16" && { wire }) })
    },
    place: ranks,
    trainStep: (step) =>
      // Updates outside of the graph, and updates in place, need the state in this process's memory.
      provider === "webgpu"
        ? CompiledEngine.outOfPlace(OnnxProgram.compiling(step, { recompute }))
        : OnnxProgram.compiling(step, { external: provider === "cpu", recompute, place: ranks }),
    inference: OnnxProgram.compilingInference
  })
})
