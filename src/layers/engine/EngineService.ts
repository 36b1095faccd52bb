/** The service of an engine and its handles. */
import { Context, type Effect, type Scope } from "effect"
import type { ComputedOn } from "../../domain/values/ComputedOn.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import type { EngineError } from "./EngineError.ts"
import type * as Protocol from "./Protocol.ts"

/** A state and the number of steps that led to it. */
export interface Snapshot<S> {
  readonly steps: number
  readonly state: HostOf<S>
}

/** A training step with its state. It lives until its scope closes. */
export interface TrainHandle<S, B, M> {
  /**
   * Takes one step. An interruption of the caller does not stop a step that has begun, so the state is always that of a
   * whole number of steps. Fails with `NonFinite` if the metric `loss` or `gradientNorm` is not finite; the state is then
   * as before the step. After a failure of the runtime itself, every call fails with `StateCorrupted`.
   *
   * A step with a number is taken only as that one, counted from 1. Where another one is next, because a step before it failed, the
   * call fails with `NotTaken` and changes nothing.
   */
  readonly run: (batch: HostOf<B>, number?: number) => Effect.Effect<HostOf<M>, EngineError>
  /**
   * The number of steps to begin while one runs; 0 if that gains nothing. The engine brings their batches to its device meanwhile.
   */
  readonly ahead: number
  /**
   * A copy of the present state, with the number of its steps. After an interrupted `run`, this number tells whether the
   * step was taken.
   */
  readonly snapshot: Effect.Effect<Snapshot<S>, EngineError>
}

/** An inference with its weights. It lives until its scope closes. */
export interface InferHandle<B, O> {
  /** Computes the outputs of a batch. Fails with `EngineError`. */
  readonly run: (batch: HostOf<B>) => Effect.Effect<HostOf<O>, EngineError>
}

/** A file that holds weights of an ONNX model (external data). */
export type ModelFile = Protocol.ModelFile

/** An ONNX model made by any tool. It lives until its scope closes. */
export interface ModelHandle {
  readonly inputs: ReadonlyArray<Protocol.Port>
  readonly outputs: ReadonlyArray<Protocol.Port>
  /** Computes the outputs of named inputs. Fails with `EngineError`. */
  readonly run: (
    inputs: Readonly<Record<string, HostTensor.Any>>
  ) => Effect.Effect<Readonly<Record<string, HostTensor.Any>>, EngineError>
}

/** The library of an engine, its version and its threads. `ComputedOn` holds all that the bytes of results depend on. */
export type About = Protocol.About & ComputedOn

/** The memory that an engine's handles hold at present. */
export type Memory = Protocol.Memory

/** Runs training steps, inferences and ONNX models. */
export class Engine extends Context.Service<Engine, {
  /** The engine in one line, for reports: `onnx cpu, 2 threads`. */
  readonly name: string
  readonly about: About
  /** Opens a training step with a state. `steps` is the number of steps that led to this state; default 0. */
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
   * Opens an ONNX model made by any tool. Errors contain `name`. If the model keeps weights in other files (external data),
   * give them in `files`: the engine does not search for them, and fails with `ExternalDataMissing` if one is missing.
   * Inputs and outputs of 16 and 64 bits are float32 (integers: int32) on this side.
   */
  readonly load: (
    name: string,
    model: Uint8Array,
    files?: ReadonlyArray<ModelFile>
  ) => Effect.Effect<ModelHandle, EngineError, Scope.Scope>
  readonly memory: Effect.Effect<Memory, EngineError>
}>()("patchword/layers/Engine") {}
