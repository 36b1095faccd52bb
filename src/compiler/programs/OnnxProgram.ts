/**
 * Compiles a step into an ONNX model with its forward pass, gradients and update. The result is bytes. They can be stored, sent
 * to a worker or another machine, and run by any ONNX runtime.
 */
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import * as Graph from "../graph/Graph.ts"
import { sameShape } from "../graph/Types.ts"
import * as InPlace from "../onnx/InPlace.ts"
import * as NodeOrder from "../onnx/NodeOrder.ts"
import type * as OnnxGraph from "../onnx/OnnxGraph.ts"
import * as OnnxModel from "../onnx/OnnxModel.ts"
import { OnnxWriter } from "../onnx/OnnxWriter.ts"
import * as TransposedGradient from "../onnx/TransposedGradient.ts"
import * as Operations from "../operations/Operations.ts"
import * as Trace from "../trace/Trace.ts"
import type { Program, StateUpdate } from "./Program.ts"
import * as Writing from "./Writing.ts"

/** A step as an ONNX model. */
export interface OnnxProgram extends Program {
  /** The graph of operators. */
  readonly graph: OnnxGraph.Graph
}

/** An output of a graph, and the value that it is in the writer's graph. */
interface Result extends OnnxGraph.Value {
  readonly source: string
}

const write = (graph: Graph.Graph, standard: boolean): OnnxWriter => {
  Writing.onlyFp32(graph, "OnnxProgram")
  const { constants, inputs, nodes } = graph
  const w = new OnnxWriter(constants, standard)
  for (const input of inputs) w.store(input, input.name)
  for (const node of nodes) {
    const written = [Operations.named(node.operation).onnx!(w, node)].flat()
    for (const [i, output] of node.outputs.entries()) w.store(output, written[i]!)
  }
  return w
}

/**
 * Returns the final name of each value. A value that a node computes is renamed to the result, so that the node writes the
 * result directly. Inputs, constants and values with two result names are copied.
 */
const named = ({ graph }: OnnxWriter, wanted: ReadonlyArray<Result>): (value: string) => string => {
  const produced = new Set(graph.nodes.flatMap(({ outputs }) => outputs))
  const renamed = new Map<string, string>()
  for (const { name, source } of wanted) {
    if (!produced.has(source) || renamed.has(source)) graph.copy(source, name)
    else renamed.set(source, name)
  }
  return (value) => renamed.get(value) ?? value
}

const finished = (w: OnnxWriter, { inputs, name }: Graph.Graph, wanted: ReadonlyArray<Result>): OnnxGraph.Graph => {
  const final = named(w, wanted)
  const needed = new Set(wanted.map((result) => result.name))
  const nodes = w.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(final),
    outputs: node.outputs.map(final)
  }))
  return {
    name,
    nodes: NodeOrder.lean(Graph.needing(nodes, needed, (node) => node)),
    constants: w.graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: inputs.filter((input) => needed.has(input.name)),
    outputs: wanted.map(({ dtype, name: output, shape }) => ({ name: output, shape, dtype }))
  }
}

/** Returns the outputs of a graph. Gradients are taken as they were before their transpose, if the engine can read that. */
const resultsOf = (
  w: OnnxWriter,
  outputs: ReadonlyArray<Graph.Output>,
  gradients: ReadonlySet<string>
): ReadonlyArray<Result & { readonly transposed: boolean }> =>
  outputs.map(({ name, value }) => {
    const { dtype, shape } = value
    const before = gradients.has(name) && TransposedGradient.fits(shape) ? w.beforeTransposing(value) : undefined
    const turned = shape.toReversed()
    return before !== undefined && sameShape(before.shape, turned)
      ? { name, dtype, shape: turned, source: before.name, transposed: true }
      : { name, dtype, shape, source: w.name(value), transposed: false }
  })

/** Returns the states that a graph replaces. */
const updatesOf = (graph: OnnxGraph.Graph): ReadonlyArray<StateUpdate> => {
  const isSafe = InPlace.of(graph)
  return graph.outputs.filter(({ name }) => name.startsWith(Writing.NEXT)).map(({ name: output }) => {
    const input = output.replace(Writing.NEXT, "state.")
    return { input, output, inPlace: isSafe(input, output) }
  })
}

/** Writes a traced step in operators of ONNX Runtime. */
export const of = (traced: Trace.Traced): OnnxProgram => {
  const w = write(traced.graph, false)
  // The norm of a mean needs the gradient as it is.
  const gradients = new Set(traced.adamw.flatMap(({ gradient, mean }) => (mean === undefined ? [gradient] : [])))
  const results = resultsOf(w, traced.graph.outputs, gradients)
  const transposed = new Set(results.filter((result) => result.transposed).map(({ name }) => name))
  const graph = finished(w, traced.graph, results)
  return {
    graph,
    bytes: OnnxModel.encode(graph),
    result: traced.result,
    updates: updatesOf(graph),
    adamw: traced.adamw.map((update) => ({ ...update, transposed: transposed.has(update.gradient) }))
  }
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(
  step: TrainStep<S, B, M>,
  options: Omit<Trace.Options, "devices"> = {}
): OnnxProgram => of(Trace.trainStep(step, options))

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>): OnnxProgram => of(Trace.inference(step))

/** Returns the graph of an inference in operators of ONNX itself, which any runtime has. Throws the errors of `trainStep`. */
export const standard = <W, B, O>(step: Inference<W, B, O>): OnnxGraph.Graph => {
  const { graph } = Trace.inference(step)
  const w = write(graph, true)
  return finished(w, graph, resultsOf(w, graph.outputs, new Set()))
}
