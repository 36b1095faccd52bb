/**
 * Compiles a step into an ONNX model with its forward pass, gradients and update. The result is bytes. They can be stored, sent
 * to a worker or another machine, and run by any ONNX runtime.
 */
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import * as Graph from "../graph/Graph.ts"
import * as InParts from "../graph/InParts.ts"
import { sameShape } from "../graph/Types.ts"
import * as InPlace from "../onnx/InPlace.ts"
import * as NodeOrder from "../onnx/NodeOrder.ts"
import type * as OnnxGraph from "../onnx/OnnxGraph.ts"
import * as OnnxModel from "../onnx/OnnxModel.ts"
import { OnnxWriter } from "../onnx/OnnxWriter.ts"
import * as TransposedGradient from "../onnx/TransposedGradient.ts"
import * as Operations from "../operations/Operations.ts"
import * as Reduction from "../operations/Reduction.ts"
import * as Cut from "../trace/Cut.ts"
import * as Sums from "../trace/Sums.ts"
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

function* write(graph: Graph.Graph, standard: boolean): InParts.InParts<OnnxWriter> {
  Writing.onlyFp32(graph, "OnnxProgram")
  const { constants, inputs, nodes } = graph
  const w = new OnnxWriter(constants, standard)
  for (const input of inputs) w.store(input, input.name)
  for (const [place, node] of nodes.entries()) {
    if (place % InParts.AT_ONCE === 0) yield
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

function* finished(
  w: OnnxWriter,
  { inputs, name }: Graph.Graph,
  wanted: ReadonlyArray<Result>
): InParts.InParts<OnnxGraph.Graph> {
  const final = named(w, wanted)
  const needed = new Set(wanted.map((result) => result.name))
  const nodes = w.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(final),
    outputs: node.outputs.map(final)
  }))
  yield
  const live = Graph.needing(nodes, needed, (node) => node)
  yield
  return {
    name,
    nodes: NodeOrder.lean(live),
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

/** Writes a graph. Returns it, and the names of the `gradients` that it outputs as their transposes. */
function* compiled(graph: Graph.Graph, gradients: ReadonlySet<string>) {
  const w = yield* write(graph, false)
  const results = resultsOf(w, graph.outputs, gradients)
  const transposed = new Set(results.filter((result) => result.transposed).map(({ name }) => name))
  return { graph: yield* finished(w, graph, results), transposed }
}

const updated = (adamw: Trace.Traced["adamw"], transposed: ReadonlySet<string>): Program["adamw"] =>
  adamw.map((update) => ({ ...update, transposed: transposed.has(update.gradient) }))

// The norm of a mean needs the gradient as it is.
const alone = (adamw: Trace.Traced["adamw"]): ReadonlyArray<string> =>
  adamw.flatMap(({ gradient, mean }) => (mean === undefined ? [gradient] : []))

/** Writes a traced step in operators of ONNX Runtime. */
export const of = (traced: Trace.Traced): OnnxProgram => InParts.whole(writing(traced))

function* writing(traced: Trace.Traced): InParts.InParts<OnnxProgram> {
  const { graph, transposed } = yield* compiled(traced.graph, new Set(alone(traced.adamw)))
  yield
  const updates = updatesOf(graph)
  yield
  return {
    graph,
    bytes: yield* OnnxModel.encoding(graph),
    result: traced.result,
    updates,
    adamw: updated(traced.adamw, transposed)
  }
}

/** Gives values that other parts have transposed the shapes in which they come. */
const turned = (graph: Graph.Graph, transposed: ReadonlySet<string>): Graph.Graph => {
  const given = (value: Graph.Value) =>
    transposed.has(value.name) ? { ...value, shape: value.shape.toReversed() } : value
  return {
    ...graph,
    inputs: graph.inputs.map(given),
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(given) }))
  }
}

/** Writes the traced step of one rank, cut where values are summed over all ranks. */
function* writingOfRank(traced: Trace.Traced): InParts.InParts<OnnxProgram> {
  const { adamw } = traced
  const parts = Cut.of(traced)
  // The squares of a transpose have the same sum.
  const isSquared = (gradient: string) =>
    parts.flatMap(({ graph }) => graph.nodes).every(({ inputs, operation }) =>
      operation === Reduction.sumSquares.name || inputs.every(({ name }) => name !== gradient)
    )
  const gradients = new Set(alone(adamw).filter(isSquared))
  const transposed = new Set<string>()
  const graphs: Array<OnnxGraph.Graph> = []
  const models: Array<Uint8Array | undefined> = []
  for (const part of parts) {
    yield
    const { graph, transposed: own } = yield* compiled(turned(part.graph, transposed), gradients)
    for (const gradient of own) transposed.add(gradient)
    yield
    graphs.push(graph)
    models.push(graph.outputs.length === 0 ? undefined : yield* OnnxModel.encoding(graph))
  }
  const isReadAfter = (state: string, part: number) =>
    graphs.slice(part + 1).some(({ inputs }) => inputs.some(({ name }) => name === state))
  return {
    graph: graphs[0]!,
    bytes: models[0]!,
    result: traced.result,
    updates: graphs.flatMap((graph, part) =>
      updatesOf(graph).map((update) => isReadAfter(update.input, part) ? { ...update, inPlace: false } : update)
    ),
    adamw: updated(adamw, transposed),
    cut: {
      parts: parts.slice(1).map(({ sums }, i) => ({ sums, bytes: models[i + 1] })),
      handed: parts.flatMap(({ handed }) => handed)
    }
  }
}

/** Options for compiling a training step. */
export interface Options extends Omit<Trace.Options, "devices"> {
  /** The place of the rank that will run the program. Absent for one rank. */
  readonly place?: Sums.Place | undefined
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): OnnxProgram =>
  InParts.whole(compiling(step, options))

/** Computes {@link trainStep} in parts. */
export function* compiling<S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): InParts.InParts<OnnxProgram> {
  const { place, ...rest } = options
  if (place === undefined || place.size === 1) return yield* writing(yield* Trace.tracing(step, rest))
  const traced = yield* Trace.tracing(step, { ...rest, devices: place.size })
  yield
  return yield* writingOfRank(Sums.of(traced, place))
}

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>): OnnxProgram => InParts.whole(compilingInference(step))

/** Computes {@link inference} in parts. */
export function* compilingInference<W, B, O>(step: Inference<W, B, O>): InParts.InParts<OnnxProgram> {
  return yield* writing(yield* Trace.tracingInference(step))
}

/** Returns the graph of an inference in operators of ONNX itself, which any runtime has. Throws the errors of `trainStep`. */
export const standard = <W, B, O>(step: Inference<W, B, O>): OnnxGraph.Graph => {
  const { graph } = Trace.inference(step)
  const w = InParts.whole(write(graph, true))
  return InParts.whole(finished(w, graph, resultsOf(w, graph.outputs, new Set())))
}
