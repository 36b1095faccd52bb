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

/** A compiled step. */
export interface Program {
  /** The model, in the format of the engine. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  readonly updates: ReadonlyArray<StateUpdate>
  readonly adamw: ReadonlyArray<AdamWUpdate>
}
