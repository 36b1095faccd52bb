/** A compiled step: its graph, and what whoever runs it does with the state. */
import type * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type * as Graph from "../graph/Graph.ts"

/** A state that a program replaces: the output that holds its next value, and the input that it is fed as. */
export interface StateUpdate {
  readonly input: string
  readonly output: string
  /** Whether both may be one buffer. Decided on the graph, see `InPlace`; two buffers change places otherwise. */
  readonly inPlace: boolean
}

/**
 * AdamW of one parameter (`FusedAdamW.update`), which is left to whoever runs the program: after the graph, in place, and with
 * every gradient at hand, it takes one pass over memory where operators take fourteen. All are names: of inputs that are
 * replaced, and of outputs.
 */
export interface AdamWUpdate {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The mean gradient, where several steps make one update. */
  readonly mean?: string
  readonly gradient: string
  /** Whether the gradient comes as its transpose, as the graph computes it. */
  readonly transposed: boolean
  readonly factors: Readonly<Partial<Record<keyof FusedAdamW.Factors, string>>>
}

/** A compiled step. */
export interface Program extends Graph.Graph {
  /** The ONNX model. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** Inputs that the step really reads: `state.<path>` or `weights.<path>`, and `batch.<path>`. */
  readonly inputs: ReadonlyArray<Graph.Value>
  /** `metrics.<path>`, `next.<path>` and what `adamw` reads, or `output.<path>`. */
  readonly outputs: ReadonlyArray<Graph.Value>
  /** The record of metrics or of outputs, with a specification for every leaf. */
  readonly result: object
  readonly updates: ReadonlyArray<StateUpdate>
  readonly adamw: ReadonlyArray<AdamWUpdate>
}
