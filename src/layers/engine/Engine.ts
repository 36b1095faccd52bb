/**
 * Where steps run. An engine owns the memory of what it was given: a handle's state and programs live as long as the scope
 * in which it was opened, and what one run needs dies with the run, on success, failure and interruption alike.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Engine } from "patchword/layers"
 * import { Elementwise, HostTensor, type Step, type Tensor } from "patchword/shapes"
 *
 * type Row = Tensor.Tensor<[3]>
 * const row = { shape: [3] as [3], dtype: "float32" } as const
 * const sum: Step.Inference<{ readonly w: Row }, { readonly x: Row }, { readonly y: Row }> = {
 *   name: "sum",
 *   weights: { w: row },
 *   batch: { x: row },
 *   run: ({ w }, { x }) => ({ y: Elementwise.add(w, x) })
 * }
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const engine = yield* Engine.Engine
 *   const handle = yield* engine.infer(sum, { w: HostTensor.make([3], "float32", Float32Array.of(1, 2, 3)) })
 *   const { y } = yield* handle.run({ x: HostTensor.make([3], "float32", Float32Array.of(1, 1, 1)) })
 *   assert.deepStrictEqual(y.data, Float32Array.of(2, 3, 4))
 * }))
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerReference)))
 * ```
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { ComputedOn } from "../../domain/values/ComputedOn.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import type { EngineError } from "./EngineError.ts"
import type * as Protocol from "./protocol.ts"

export {
  BadInput,
  DataElsewhere,
  Disposed,
  EngineError,
  Failed,
  NonFinite,
  NotTraceable,
  OutOfMemory,
  PrecisionUnavailable,
  ProviderUnavailable,
  type Reason,
  Torn,
  UnsupportedOperation,
  WorkerLost,
  WrongShape
} from "./EngineError.ts"

/** A state with the number of the steps that made it. */
export interface Snapshot<S> {
  readonly steps: number
  readonly state: HostOf<S>
}

/** A training step with its state, alive until its scope closes. */
export interface TrainHandle<S, B, M> {
  /**
   * Takes one step. A step that was handed over is finished even if its caller is interrupted, so the state is always that
   * of a whole number of steps. Fails with `NonFinite` when the metric `loss` or `gradientNorm` is not finite; such a step is
   * not taken. After a failure of the runtime itself the state cannot be trusted, and everything fails with `Torn`.
   */
  readonly run: (batch: HostOf<B>) => Effect.Effect<HostOf<M>, EngineError>
  /**
   * A copy of the present state with its number of steps, read together: an interrupted caller of `run` cannot know whether
   * its step was taken, and this says it.
   */
  readonly snapshot: Effect.Effect<Snapshot<S>, EngineError>
}

/** An inference with its weights, alive until its scope closes. */
export interface InferHandle<B, O> {
  readonly run: (batch: HostOf<B>) => Effect.Effect<HostOf<O>, EngineError>
}

/** A file in which a model from elsewhere keeps numbers of its own. */
export type ModelFile = Protocol.ModelFile

/** A model from elsewhere, alive until its scope closes. */
export interface ModelHandle {
  readonly inputs: ReadonlyArray<Protocol.Port>
  readonly outputs: ReadonlyArray<Protocol.Port>
  readonly run: (
    inputs: Readonly<Record<string, HostTensor.Any>>
  ) => Effect.Effect<Readonly<Record<string, HostTensor.Any>>, EngineError>
}

/** What an engine runs on, and how: what decides over the bytes of its results is `ComputedOn`. */
export type About = Protocol.About & ComputedOn

/** What an engine's handles hold at the moment. */
export type Memory = Protocol.Memory

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

/** How `layerOnnxWeb` runs programs. */
export interface OnnxWebOptions {
  /** On WebAssembly or on the browser's WebGPU, where the state stays on the device from step to step; default `wasm`. */
  readonly provider?: "wasm" | "webgpu"
  /** Threads of one operator; default 1. More need a page that is isolated from other origins. */
  readonly threads?: number
  /**
   * The address of onnxruntime-web's `ort-wasm-simd-threaded.wasm`, for WebGPU that of its
   * `ort-wasm-simd-threaded.asyncify.wasm`; default where a bundler has put it, or beside the package's script.
   */
  readonly wasm?: string
}

/** How `layerTensorFlow` runs steps. */
export interface TensorFlowOptions {
  /** The package with TensorFlow's library; default `tfjs-node-gpu` where it is installed, else `tfjs-node`. */
  readonly package?: "tfjs-node-gpu" | "tfjs-node"
  /**
   * What oneDNN, the library of TensorFlow's kernels on a processor, may round the factors of a matrix product to; all
   * else is fp32 always. Default `fp32`. `bf16` needs Linux and a processor with tiles for it (AMX), or Arm's instructions;
   * AVX-512 BF16 alone is not enough. TensorFlow takes one precision for all engines of a process.
   */
  readonly precision?: "fp32" | "bf16"
}

/** How `layerOpenVino` runs programs. */
export interface OpenVinoOptions {
  /**
   * The folder with OpenVINO's libraries (`libopenvino_c`); default the first of the one that `npm run setup:openvino` makes,
   * those in `INTEL_OPENVINO_DIR` and in the Python environment `VIRTUAL_ENV`, and where the system looks.
   */
  readonly library?: string
  /** Threads of one operator; default all physical cores. */
  readonly threads?: number
  /**
   * What matrix products, and operators between them, compute in; the state, its update and everything between engine and
   * caller are fp32 always. Default `fp32`. `bf16` needs a processor that multiplies it (AMX, AVX-512 BF16).
   */
  readonly precision?: "fp32" | "bf16"
}

/** How `layerAuto` chooses. */
export interface AutoOptions {
  /** The engines to consider, by their names in `EngineCatalogue.candidates`; default all. */
  readonly names?: ReadonlyArray<string>
  /** For how many seconds each multiplies; default 2. */
  readonly seconds?: number
  /** The greatest deviation from the reference that counts as exact enough; default 1e-4, which bf16 exceeds. */
  readonly exact?: number
}

// Each engine is loaded by whoever builds its layer: a browser would not find what the others need.
const loaded = <O, E>(
  load: () => Promise<{ readonly make: (options: O) => Effect.Effect<Engine["Service"], E, Scope.Scope> }>,
  options: O
): Effect.Effect<Engine["Service"], E, Scope.Scope> => Effect.flatMap(Effect.promise(load), ({ make }) => make(options))

/** Something that runs steps. */
export class Engine extends Context.Service<Engine, {
  /** What runs the steps, for reports: `onnx cpu, 2 threads`. */
  readonly name: string
  readonly about: About
  /** Opens a training step with a state, and the number of steps that made it; default 0. */
  readonly train: <S, B, M>(
    step: TrainStep<S, B, M>,
    initial: HostOf<S>,
    steps?: number
  ) => Effect.Effect<TrainHandle<S, B, M>, EngineError, Scope.Scope>
  readonly infer: <W, B, O>(
    inference: Inference<W, B, O>,
    weights: HostOf<W>
  ) => Effect.Effect<InferHandle<B, O>, EngineError, Scope.Scope>
  /**
   * Opens an ONNX model made by any tool. `name` stands in errors. The files in which it keeps numbers outside of itself
   * (external data) are given with it, and none is looked for: fails with `DataElsewhere` when one is not there. Arrays
   * of 16 and of 64 bits are taken and given as float32.
   */
  readonly load: (
    name: string,
    model: Uint8Array,
    files?: ReadonlyArray<ModelFile>
  ) => Effect.Effect<ModelHandle, EngineError, Scope.Scope>
  readonly memory: Effect.Effect<Memory, EngineError>
}>()("patchword/layers/Engine") {}

/**
 * Compiled programs on ONNX Runtime in a worker thread of their own, so that the thread which asks stays free.
 * Parameters and optimizer state live in the worker. Fails with `ProviderUnavailable`.
 */
export const layerOnnx = (options: OnnxOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./onnx.ts"), options))

/**
 * The same compiled programs on onnxruntime-web, in a browser and in the thread that builds the layer: in a page, build
 * it in a worker. It needs the package `onnxruntime-web`, which patchword does not bring: fails with
 * `ProviderUnavailable`, which says how to install it, or why the browser cannot. A failed step leaves its state as it
 * was.
 */
export const layerOnnxWeb = (options: OnnxWebOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./web.ts"), options))

/**
 * The same steps, operation by operation, on TensorFlow's own library in a worker thread of their own: on a GPU with
 * CUDA, or on the processor. It needs `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node`, which patchword does not
 * bring, and fails with `ProviderUnavailable`, which says how to install it, or with `PrecisionUnavailable`. Every tensor
 * that a step makes is freed with the step, and `memory` is TensorFlow.js's own count. A failed step leaves its state as
 * it was.
 *
 * TensorFlow reads its settings from the environment: `TF_NUM_INTRAOP_THREADS`, `TF_CPP_MIN_LOG_LEVEL`,
 * `TF_FORCE_GPU_ALLOW_GROWTH`.
 */
export const layerTensorFlow = (options: TensorFlowOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./tensorflow.ts"), options))

/**
 * The same compiled programs on OpenVINO in a worker thread of their own. It needs OpenVINO's libraries, as they are in
 * its Python package, which patchword does not bring: fails with `ProviderUnavailable`, which says how to get them, or with
 * `PrecisionUnavailable`. Parameters and optimizer state live in the worker; a failed step leaves them as they were.
 */
export const layerOpenVino = (options: OpenVinoOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./openvino.ts"), options))

/**
 * The fastest of the engines that run here and are exact enough, by a survey of `EngineCatalogue` that takes some seconds
 * for each. What was chosen, and why not each of the others, is logged and stands in `about.chosen`. Fails with
 * `ProviderUnavailable`, which says the same, when none is fit.
 */
export const layerAuto = (options: AutoOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./auto.ts"), options))

/** The same steps, operation by operation, on TensorFlow.js's cpu backend: slow and simple, the oracle of tests. */
export const layerReference: Layer.Layer<Engine> = Layer.effect(
  Engine,
  loaded(() => import("./reference.ts"), undefined)
)
