/** From steps to programs. Knows the typed operations and nothing of the method. */
export * as Graph from "./Graph.ts"
export * as InPlace from "./InPlace.ts"
export * as OnnxModel from "./OnnxModel.ts"
export * as Tape from "./Tape.ts"
export * as Trace from "./Trace.ts"
export { NotTraceable } from "./Tracer.ts"
