/** A program as one TensorFlow graph: plain data, which threads can send to each other. */
import type { DType } from "../../shapes/HostTensor.ts"
import type * as SavedModel from "./SavedModel.ts"

/** A value that a program is given or gives back. */
export interface Port extends SavedModel.Port {
  readonly dtype: DType
}

/** A program. Names of ports are those of the compiler, `port` is the name of a node's result. */
export interface TensorFlowGraph {
  /** The contents of `saved_model.pb`. Equal programs give equal bytes. */
  readonly bytes: Uint8Array
  /** The values that the graph holds: fed to load them, fetched to read them. */
  readonly state: ReadonlyArray<Port>
  /** The values that a step is fed. */
  readonly batch: ReadonlyArray<Port>
  /** The values that a step gives back. */
  readonly results: ReadonlyArray<Port>
  /** The result to fetch so that the state is loaded. */
  readonly loaded: string
  /** The result to fetch so that a step replaces the state. It is fetched together with `results`. */
  readonly done: string
  /**
   * A bool that is true from the first write of a step to its last. If a step fails and it is true, the state is half written.
   * Absent if the program never writes its state.
   */
  readonly writing?: string
}
