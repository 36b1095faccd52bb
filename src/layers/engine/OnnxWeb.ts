/** Runs compiled programs on ONNX Runtime's WebAssembly builds. They work in browsers and need nothing of Node. */
import { Effect, Semaphore } from "effect"
import * as OnnxProgram from "../../compiler/programs/OnnxProgram.ts"
import * as Check from "./Check.ts"
import * as CompiledEngine from "./CompiledEngine.ts"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import * as Sessions from "./OnnxSessions.ts"
import type { Calls } from "./Protocol.ts"

/** Options of `layerOnnxWeb`. */
export interface OnnxWebOptions {
  /**
   * Execution provider: WebAssembly or the browser's WebGPU; default `wasm`. With `webgpu` the state stays on the device
   * between steps.
   */
  readonly provider?: "wasm" | "webgpu"
  /** Number of threads of one operator; default 1. More than one needs a page that is isolated from other origins. */
  readonly threads?: number
  /**
   * Address of onnxruntime-web's file `ort-wasm-simd-threaded.wasm`, or `ort-wasm-simd-threaded.asyncify.wasm` for WebGPU.
   * Default: the place where a bundler has put it, or the folder of the package's script.
   */
  readonly wasm?: string
}

const REMEDY =
  "install it with \"npm install onnxruntime-web@1.30.0\", and without a bundler give the address of its .wasm file in " +
  "the option wasm"

/** The parts of this package that onnxruntime-node has too, and its settings. */
interface Package {
  readonly InferenceSession: { readonly create: Sessions.Runtime["create"] }
  readonly Tensor: Sessions.Runtime["Tensor"]
  readonly env: typeof import("onnxruntime-web").env
}

const packages: Readonly<Record<NonNullable<OnnxWebOptions["provider"]>, () => Promise<Package>>> = {
  wasm: () => import("onnxruntime-web/wasm"),
  webgpu: () => import("onnxruntime-web/webgpu")
}

/** Makes an engine on the present thread. */
export const make = Effect.fnUntraced(function*(options: OnnxWebOptions) {
  const { provider = "wasm", threads = 1, wasm } = options
  const unavailable = (cause: unknown) => {
    const detail = cause instanceof Error ? cause.message : String(cause)
    return new EngineError({ program: "start", reason: new ProviderUnavailable({ provider, detail, remedy: REMEDY }) })
  }
  const { InferenceSession, Tensor, env } = yield* Effect.tryPromise({ try: packages[provider], catch: unavailable })
  env.logLevel = "fatal"
  env.wasm.numThreads = threads
  if (wasm !== undefined) env.wasm.wasmPaths = { wasm }
  const about = { version: env.versions.common, threads, precisions: ["fp32"] }
  const handlers = Sessions.handlers({
    started: about,
    Tensor,
    create: InferenceSession.create,
    state: provider === "webgpu" ? "device" : "made"
  }, { executionProviders: [provider], enableMemPattern: false, graphOptimizationLevel: "all", logSeverityLevel: 4 })
  yield* Effect.tryPromise({ try: async () => handlers.start(undefined), catch: unavailable })
  // A build of ONNX Runtime takes one call at a time.
  const lock = yield* Semaphore.make(1)
  const call: CompiledEngine.Call = (program, name, ask) => {
    const answer = async (): Promise<Calls[typeof name]["answer"]> => (await handlers[name](ask))[0]
    const asked = Effect.tryPromise({
      try: answer,
      catch: (cause) => new EngineError({ program, reason: Check.reasonOf(cause) })
    })
    return Effect.uninterruptible(lock.withPermit(asked))
  }
  return CompiledEngine.make(call, {
    name: `onnx web ${provider}`,
    about: { ...about, engine: `onnx web ${provider}`, precision: "fp32" },
    trainStep: (step) => CompiledEngine.outOfPlace(OnnxProgram.compiling(step, { external: provider === "wasm" })),
    inference: OnnxProgram.compilingInference
  })
})
