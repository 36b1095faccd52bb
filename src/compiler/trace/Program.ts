/** A compiled step: its graph, and the updates of the state that the engine makes. */
import type * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type * as Graph from "../graph/Graph.ts"

/** A state that a program replaces: the output with its next value, and the input that the value is fed to. */
export interface StateUpdate {
  readonly input: string
  readonly output: string
  /** True if both may share one buffer (see `InPlace`). Otherwise the engine swaps two buffers. */
  readonly inPlace: boolean
}

/**
 * The AdamW update of one parameter (`FusedAdamW.update`), which the engine makes after the graph and in place. All gradients
 * are known then, so it takes one pass over memory instead of the fourteen passes of operators. All members are names: of
 * inputs that are replaced, and of outputs.
 */
export interface AdamWUpdate {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The mean gradient, if several steps make one update. */
  readonly mean?: string
  readonly gradient: string
  /** True if the graph outputs the gradient as its transpose. */
  readonly transposed: boolean
  readonly factors: Readonly<Partial<Record<keyof FusedAdamW.Factors, string>>>
}

/** A compiled step. */
export interface Program extends Graph.Graph {
  /** The ONNX model. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** The inputs that the step really reads: `state.<path>` or `weights.<path>`, and `batch.<path>`. */
  readonly inputs: ReadonlyArray<Graph.Value>
  /** `metrics.<path>`, `next.<path>` and the values that `adamw` reads, or `output.<path>`. */
  readonly outputs: ReadonlyArray<Graph.Value>
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
  readonly updates: ReadonlyArray<StateUpdate>
  readonly adamw: ReadonlyArray<AdamWUpdate>
}
