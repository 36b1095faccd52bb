/** The layers of the engines. */
import { Effect, Layer, type Scope } from "effect"
import type { CollectivesOrigin } from "../ranks/Collectives.ts"
import { Ranks } from "../ranks/RanksService.ts"
import { type EngineError, noRanks } from "./EngineError.ts"
import { Engine } from "./EngineService.ts"
import type { OnnxOptions } from "./Onnx.ts"
import type { OnnxWebOptions } from "./OnnxWeb.ts"
import type { OpenVinoOptions } from "./OpenVino.ts"
import type { TensorFlowOptions } from "./TensorFlow.ts"
import type { XlaOptions } from "./Xla.ts"

// Each engine is imported when its layer is built, because a browser would not find the imports of the others.
const loaded = <O, E>(
  load: () => Promise<{ readonly make: (options: O) => Effect.Effect<Engine["Service"], E, Scope.Scope> }>,
  options: O
): Effect.Effect<Engine["Service"], E, Scope.Scope> => Effect.flatMap(Effect.promise(load), ({ make }) => make(options))

/** Makes an engine that trains together with the present ranks. */
const together = <A, E, R>(make: (ranks: CollectivesOrigin | undefined) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Ranks, ({ collectives }) => make(collectives))

/** Makes an engine that trains alone. Fails with `RanksUnavailable` if there are other ranks. */
export const alone = <A, E, R>(engine: string, make: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Ranks, ({ size }): Effect.Effect<A, E | EngineError, R> => size === 1 ? make : noRanks(engine))

/**
 * Runs compiled programs on ONNX Runtime. It uses a worker thread, so the calling thread stays free. Parameters and
 * optimizer state live in the worker. It trains together with the present ranks (`Ranks`). Fails with `ProviderUnavailable`.
 */
export const layerOnnx = (options: OnnxOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, together((ranks) => loaded(() => import("./Onnx.ts"), { ranks, ...options })))

/**
 * Runs the same compiled programs on onnxruntime-web, in a browser. It uses the thread that builds the layer: build it in a
 * worker, not in the page. It needs the package `onnxruntime-web`, which patchword does not install. A failed step leaves
 * its state as it was. A step that runs out of memory keeps what it had taken, until the worker ends. Fails with `ProviderUnavailable`. The error says how to install the package, or why the browser
 * cannot run it.
 */
export const layerOnnxWeb = (options: OnnxWebOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, alone("onnx web", loaded(() => import("./OnnxWeb.ts"), options)))

/**
 * Runs each step as one TensorFlow graph, which holds the state. It uses a worker thread, and computes on a GPU with CUDA or on
 * the processor. It needs `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node`, which patchword does not install. A failed
 * step leaves its state as it was, unless TensorFlow fails while it writes the next state: then every later call fails. Fails
 * with `ProviderUnavailable`, which says how to install the package, or with `PrecisionUnavailable`.
 *
 * TensorFlow reads its settings from the environment: `TF_NUM_INTRAOP_THREADS`, `TF_CPP_MIN_LOG_LEVEL`,
 * `TF_FORCE_GPU_ALLOW_GROWTH`.
 */
export const layerTensorFlow = (options: TensorFlowOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, alone("tensorflow", loaded(() => import("./TensorFlow.ts"), options)))

/**
 * Runs the same compiled programs on OpenVINO in a worker thread. It needs OpenVINO's libraries, which patchword does not
 * install; its Python package contains them. Parameters and optimizer state live in the worker. A failed step leaves them
 * as they were. Fails with `ProviderUnavailable`, which says how to install the libraries, or with `PrecisionUnavailable`.
 */
export const layerOpenVino = (options: OpenVinoOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, alone("openvino", loaded(() => import("./OpenVino.ts"), options)))

/**
 * Runs each step as one program of XLA, through a plugin of PJRT for the kind of device. It uses a worker thread. The state lives on the
 * device, and each step writes the next state into its memory. It needs a plugin, which patchword does not install. A step that fails
 * after it has taken the state loses it: then every later call fails. It trains together with the present ranks (`Ranks`). Fails with `ProviderUnavailable`, which says how to install
 * the plugin, or with `PrecisionUnavailable`.
 */
export const layerXla = (options: XlaOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, together((ranks) => loaded(() => import("./Xla.ts"), { ranks, ...options })))

/**
 * Runs the same steps, operation by operation, on TensorFlow.js's cpu backend. It is slow and simple, and the reference of
 * the tests.
 */
export const layerReference: Layer.Layer<Engine, EngineError> = Layer.effect(
  Engine,
  alone("reference", loaded(() => import("./Reference.ts"), undefined))
)
