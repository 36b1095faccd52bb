/**
 * From a step to a program: one ONNX model that holds its forward pass, its gradients and its update.
 *
 * The step is run once under a backend that computes nothing (`TraceBackend`), so tracing takes milliseconds and no memory
 * whatever the size of the network. What comes out is bytes: they can be kept, sent to a worker or another machine, and
 * run by whatever runs ONNX.
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

/** How a training step is compiled. */
export interface Options {
  /** Without the updates that it may leave to whoever runs it: all of those or, where the graph reads what one makes, none. */
  readonly external?: boolean
  /** Keeps of the forward pass only what is at boundaries, and computes the rest again. */
  readonly recompute?: boolean
}

const NEXT = "next."

/** The states that a graph replaces. */
const updatesOf = (graph: Graph): ReadonlyArray<StateUpdate> => {
  const isSafe = InPlace.of(graph)
  return graph.outputs.filter(({ name }) => name.startsWith(NEXT)).map(({ name: output }) => {
    const input = output.replace(NEXT, "state.")
    return { input, output, inPlace: isSafe(input, output) }
  })
}

/** A program, unless its graph reads what a kernel outside of it makes. */
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
 * @throws NotTraceable when the step reads values or uses an operation that has no translation; ShapeError when its
 * operands do not fit, or when it does not return a state like the one it takes.
 */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): Program =>
  (options.external === true ? compiled(step, "external", options) : undefined) ?? compiled(step, "graph", options)!

const traced = <W, B, O>(step: Inference<W, B, O>): { readonly graph: Graph; readonly result: object } =>
  TraceBackend.run("graph", (tracer, tensorOf) => {
    const output = TracedStep.infer(step, tracer, tensorOf)
    const results = TracedGraph.results(tracer, "output", output)
    return { graph: TracedGraph.make(step.name, tracer, results), result: TracedStep.specOf(output) }
  })

/** The graph of an inference; throws as `trainStep` does. */
export const graph = <W, B, O>(step: Inference<W, B, O>): Graph => traced(step).graph

/** Compiles an inference; throws as `trainStep` does. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Program => {
  const { graph, result } = traced(step)
  return { ...graph, bytes: OnnxModel.encode(graph), result, updates: [], adamw: [] }
}
