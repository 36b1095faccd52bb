/** A layer for each engine. */
import { Effect, Layer, type Scope } from "effect"
import type { EngineError } from "./EngineError.ts"
import { Engine } from "./EngineService.ts"
import type { OnnxOptions } from "./Onnx.ts"
import type { OnnxWebOptions } from "./OnnxWeb.ts"
import type { OpenVinoOptions } from "./OpenVino.ts"
import type { TensorFlowOptions } from "./TensorFlow.ts"

// Each engine is loaded by whoever builds its layer: a browser would not find what the others need.
const loaded = <O, E>(
  load: () => Promise<{ readonly make: (options: O) => Effect.Effect<Engine["Service"], E, Scope.Scope> }>,
  options: O
): Effect.Effect<Engine["Service"], E, Scope.Scope> => Effect.flatMap(Effect.promise(load), ({ make }) => make(options))

/**
 * Compiled programs on ONNX Runtime in a worker thread of their own, so that the thread which asks stays free.
 * Parameters and optimizer state live in the worker. Fails with `ProviderUnavailable`.
 */
export const layerOnnx = (options: OnnxOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./Onnx.ts"), options))

/**
 * The same compiled programs on onnxruntime-web, in a browser and in the thread that builds the layer: in a page, build
 * it in a worker. It needs the package `onnxruntime-web`, which patchword does not bring: fails with
 * `ProviderUnavailable`, which says how to install it, or why the browser cannot. A failed step leaves its state as it
 * was.
 */
export const layerOnnxWeb = (options: OnnxWebOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./OnnxWeb.ts"), options))

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
  Layer.effect(Engine, loaded(() => import("./TensorFlow.ts"), options))

/**
 * The same compiled programs on OpenVINO in a worker thread of their own. It needs OpenVINO's libraries, as they are in
 * its Python package, which patchword does not bring: fails with `ProviderUnavailable`, which says how to get them, or with
 * `PrecisionUnavailable`. Parameters and optimizer state live in the worker; a failed step leaves them as they were.
 */
export const layerOpenVino = (options: OpenVinoOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, loaded(() => import("./OpenVino.ts"), options))

/** The same steps, operation by operation, on TensorFlow.js's cpu backend: slow and simple, the oracle of tests. */
export const layerReference: Layer.Layer<Engine> = Layer.effect(
  Engine,
  loaded(() => import("./Reference.ts"), undefined)
)
