/** From steps to programs. Knows the typed operations and nothing of the method. */
export * as Graph from "./graph/Graph.ts"
export * as InPlace from "./graph/InPlace.ts"
export * as OnnxModel from "./graph/OnnxModel.ts"
export { NotTraceable } from "./graph/Tracer.ts"
export * as Print from "./trace/Print.ts"
export * as Program from "./trace/Program.ts"
export * as Tape from "./trace/Tape.ts"
export * as Trace from "./trace/Trace.ts"
