/**
 * Runs training steps and inferences on a device.
 *
 * An engine owns the memory of the arrays that it is given. The state and the program of a handle live until the scope
 * closes in which the handle was opened. Each run frees its temporary memory at its end, also after a failure or an
 * interruption.
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
import { Effect, Layer } from "effect"
import type { AutoOptions } from "./Auto.ts"
import type { EngineError } from "./EngineError.ts"
import { alone } from "./EngineLayers.ts"
import { Engine } from "./EngineService.ts"

export type { AutoOptions } from "./Auto.ts"
export {
  BadInput,
  CollectivesUnavailable,
  Disposed,
  EngineError,
  ExternalDataMissing,
  Failed,
  IndexOutOfRange,
  NonFinite,
  NotTraceable,
  OutOfMemory,
  PrecisionUnavailable,
  ProviderUnavailable,
  RanksUnavailable,
  Reason,
  StateCorrupted,
  UnevenBatch,
  UnsupportedOperation,
  WorkerLost,
  WrongShape
} from "./EngineError.ts"
export { layerOnnx, layerOnnxWeb, layerOpenVino, layerReference, layerTensorFlow, layerXla } from "./EngineLayers.ts"
export {
  type About,
  Engine,
  type InferHandle,
  type Memory,
  type ModelFile,
  type ModelHandle,
  type Snapshot,
  type TrainHandle
} from "./EngineService.ts"
export type { OnnxOptions } from "./Onnx.ts"
export type { OnnxWebOptions } from "./OnnxWeb.ts"
export type { OpenVinoOptions } from "./OpenVino.ts"
export type { TensorFlowOptions } from "./TensorFlow.ts"
export type { XlaOptions } from "./Xla.ts"

/**
 * Chooses the fastest engine of this machine that is exact enough. `EngineSurvey` measures each engine for some seconds.
 * The choice, and the reason against each other engine, is logged and stands in `about.chosen`. Fails with
 * `ProviderUnavailable` if no engine is fit. The error gives the same reasons.
 */
export const layerAuto = (options: AutoOptions = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(
    Engine,
    alone("auto", Effect.flatMap(Effect.promise(() => import("./Auto.ts")), ({ make }) => make(options)))
  )
