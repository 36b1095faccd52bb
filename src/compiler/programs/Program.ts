/** A compiled step, as an engine takes it. */
import type * as AdamWSplit from "../graph/AdamWSplit.ts"

/** A state that a program replaces: the output with its next value, and the input that the value is fed to. */
export interface StateUpdate {
  readonly input: string
  readonly output: string
  /** True if both may share one buffer (see `InPlace`). Otherwise the engine swaps two buffers. */
  readonly inPlace: boolean
}

/** An update that the engine makes after the graph and in place. */
export interface AdamWUpdate extends AdamWSplit.AdamWUpdate {
  /** True if the graph outputs the gradient as its transpose. */
  readonly transposed: boolean
}

/** A model that runs after sums over all ranks. */
export interface Part {
  /** The outputs of the models before it that are summed over all ranks first. */
  readonly sums: ReadonlyArray<string>
  /** The model. Absent if nothing is to be computed from the sums. */
  readonly bytes: Uint8Array | undefined
}

/** The rest of a step that several ranks run together. It is cut where values are summed over all ranks. */
export interface Cut {
  readonly parts: ReadonlyArray<Part>
  /** The outputs of models that only models after them read. */
  readonly handed: ReadonlyArray<string>
}

/** A compiled step. */
export interface Program {
  /** The model, in the format of the engine. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  readonly updates: ReadonlyArray<StateUpdate>
  readonly adamw: ReadonlyArray<AdamWUpdate>
  /** What follows the model, if several ranks run the step together. */
  readonly cut?: Cut
}
