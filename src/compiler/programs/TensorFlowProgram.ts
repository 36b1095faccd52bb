/**
 * Compiles a step into one TensorFlow graph with its forward pass, gradients and update. The graph holds the state in variables.
 * The addon of the tfjs-node packages runs it.
 */
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import type * as Graph from "../graph/Graph.ts"
import * as InParts from "../graph/InParts.ts"
import type { TensorFlowGraph } from "../tensorflow/TensorFlowGraph.ts"
import * as TensorFlowWriter from "../tensorflow/TensorFlowWriter.ts"
import type { Factors } from "../tensorflow/Variables.ts"
import * as Trace from "../trace/Trace.ts"
import * as Writing from "./Writing.ts"

/** Options for writing a step. */
export interface Options {
  /** Has XLA compile the whole step as one function. By default TensorFlow runs the operators one by one. */
  readonly xla?: boolean
}

/** A step as one TensorFlow graph. */
export interface TensorFlowProgram {
  readonly graph: TensorFlowGraph
  /** The record of metrics or of outputs, with a specification in place of every tensor. */
  readonly result: object
}

function* writing(
  { adamw, graph, result }: Trace.Traced,
  states: ReadonlyArray<Graph.Value>,
  options: Options
): InParts.InParts<TensorFlowProgram> {
  Writing.onlyFp32(graph, "TensorFlowProgram")
  const w = TensorFlowWriter.writer()
  const ids = new Map(states.map((state) => [state.name, w.held(state)]))
  for (const input of graph.inputs) if (!ids.has(input.name)) ids.set(input.name, w.batch(input))
  const id = yield* Writing.write(graph, ids, {
    constant: ({ data, dtype, shape }) => w.constant(data, shape, dtype),
    call: (operation, operands, node) => operation.tensorflow!(w, operands, node)
  })
  const read = new Set(adamw.flatMap(({ factors, gradient }) => [gradient, ...Object.values(factors)]))
  for (const { factors, gradient, ...names } of adamw) {
    // Each factor keeps its name.
    const numbers = Object.fromEntries(Object.entries(factors).map(([key, name]) => [key, id(name)])) as Factors
    w.adamW({ ...names, gradient: id(gradient), factors: numbers })
  }
  for (const { name, value } of graph.outputs) {
    const state = name.startsWith(Writing.NEXT) ? `state.${name.slice(Writing.NEXT.length)}` : undefined
    if (state === undefined && !read.has(name)) w.result({ ...value, name }, id(name))
    // A state that stays as it is needs no write.
    if (state !== undefined && value.name !== state) w.assign(state, id(name))
  }
  yield
  return { graph: w.program(options), result }
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): TensorFlowProgram =>
  InParts.whole(compiling(step, options))

/** Computes {@link trainStep} in parts. */
export function* compiling<S, B, M>(
  step: TrainStep<S, B, M>,
  options: Options = {}
): InParts.InParts<TensorFlowProgram> {
  const traced = yield* Trace.tracing(step, { external: true })
  return yield* writing(traced, Writing.held("state", step.state as object), options)
}

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>, options: Options = {}): TensorFlowProgram =>
  InParts.whole(compilingInference(step, options))

/** Computes {@link inference} in parts. */
export function* compilingInference<W, B, O>(
  step: Inference<W, B, O>,
  options: Options = {}
): InParts.InParts<TensorFlowProgram> {
  return yield* writing(yield* Trace.tracingInference(step), Writing.held("weights", step.weights as object), options)
}
