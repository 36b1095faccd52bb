/**
 * Compiles a step into a program: one ONNX model with its forward pass, gradients and update.
 *
 * The step runs once on a backend that computes nothing (`TraceBackend`). So tracing takes milliseconds and little memory for
 * any size of network. The result is bytes. They can be stored, sent to a worker or another machine, and run by any ONNX
 * runtime.
 */
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import type { Graph } from "../graph/Graph.ts"
import * as InPlace from "../graph/InPlace.ts"
import * as OnnxModel from "../graph/OnnxModel.ts"
import * as ExternalAdamW from "./ExternalAdamW.ts"
import type { Program, StateUpdate } from "./Program.ts"
import * as TraceBackend from "./TraceBackend.ts"
import * as TracedGraph from "./TracedGraph.ts"
import * as TracedStep from "./TracedStep.ts"

/** Options for compiling a training step. */
export interface Options {
  /**
   * Leaves AdamW updates out of the graph, for the engine to make. If the graph reads the result of such an update, none is
   * left out.
   */
  readonly external?: boolean
  /** Keeps only the values at boundaries from the forward pass, and computes the others again. */
  readonly recompute?: boolean
}

const NEXT = "next."

/** Returns the states that a graph replaces. */
const updatesOf = (graph: Graph): ReadonlyArray<StateUpdate> => {
  const isSafe = InPlace.of(graph)
  return graph.outputs.filter(({ name }) => name.startsWith(NEXT)).map(({ name: output }) => {
    const input = output.replace(NEXT, "state.")
    return { input, output, inPlace: isSafe(input, output) }
  })
}

/** Compiles a program. Returns undefined if its graph reads results of kernels outside of the graph. */
const compiled = <S, B, M>(
  step: TrainStep<S, B, M>,
  fusion: "external" | "graph",
  options: Options
): Program | undefined =>
  TraceBackend.run(fusion, (tracer, tensorOf) => {
    const { metrics, next } = TracedStep.train(step, tracer, tensorOf)
    const { adamw, results } = ExternalAdamW.split(tracer, TracedGraph.results(tracer, "next", next))
    const wanted = [...TracedGraph.results(tracer, "metrics", metrics), ...results]
    const graph = TracedGraph.make(step.name, tracer, wanted, options)
    const later = new Set(tracer.external.flatMap(({ outputs }) => outputs))
    if (graph.nodes.some(({ inputs }) => inputs.some((input) => later.has(input)))) return undefined
    const bytes = OnnxModel.encode(graph)
    return { ...graph, bytes, result: TracedStep.specOf(metrics), updates: updatesOf(graph), adamw }
  })

/**
 * Compiles a training step.
 *
 * @throws NotTraceable when the step reads values or uses an operation that has no translation; ShapeError when its operands do
 * not fit, or when it does not return a state like the one it takes.
 */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): Program =>
  (options.external === true ? compiled(step, "external", options) : undefined) ?? compiled(step, "graph", options)!

const traced = <W, B, O>(
  step: Inference<W, B, O>,
  fusion: "graph" | "standard"
): { readonly graph: Graph; readonly result: object } =>
  TraceBackend.run(fusion, (tracer, tensorOf) => {
    const output = TracedStep.infer(step, tracer, tensorOf)
    const results = TracedGraph.results(tracer, "output", output)
    return { graph: TracedGraph.make(step.name, tracer, results), result: TracedStep.specOf(output) }
  })

/** Returns the graph of an inference in operators of ONNX itself, which any runtime has. Throws the errors of `trainStep`. */
export const standard = <W, B, O>(step: Inference<W, B, O>): Graph => traced(step, "standard").graph

/** Compiles an inference. Throws the errors of `trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Program => {
  const { graph, result } = traced(step, "graph")
  return { ...graph, bytes: OnnxModel.encode(graph), result, updates: [], adamw: [] }
}
