/** What an engine is: the service and its handles. */
import { Context, type Effect, type Scope } from "effect"
import type { ComputedOn } from "../../domain/values/ComputedOn.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import type { EngineError } from "./EngineError.ts"
import type * as Protocol from "./Protocol.ts"

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
   * not taken. After a failure of the runtime itself the state cannot be trusted, and everything fails with `StateCorrupted`.
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
  /** Computes the outputs of a batch. Fails with `EngineError`. */
  readonly run: (batch: HostOf<B>) => Effect.Effect<HostOf<O>, EngineError>
}

/** A file in which a model from elsewhere keeps numbers of its own. */
export type ModelFile = Protocol.ModelFile

/** A model from elsewhere, alive until its scope closes. */
export interface ModelHandle {
  readonly inputs: ReadonlyArray<Protocol.Port>
  readonly outputs: ReadonlyArray<Protocol.Port>
  /** Computes the outputs of named inputs. Fails with `EngineError`. */
  readonly run: (
    inputs: Readonly<Record<string, HostTensor.Any>>
  ) => Effect.Effect<Readonly<Record<string, HostTensor.Any>>, EngineError>
}

/** What an engine runs on, and how: what decides over the bytes of its results is `ComputedOn`. */
export type About = Protocol.About & ComputedOn

/** What an engine's handles hold at the moment. */
export type Memory = Protocol.Memory

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
   * (external data) are given with it, and none is looked for: fails with `ExternalDataMissing` when one is not there. Arrays
   * of 16 and of 64 bits are taken and given as float32.
   */
  readonly load: (
    name: string,
    model: Uint8Array,
    files?: ReadonlyArray<ModelFile>
  ) => Effect.Effect<ModelHandle, EngineError, Scope.Scope>
  readonly memory: Effect.Effect<Memory, EngineError>
}>()("patchword/layers/Engine") {}
