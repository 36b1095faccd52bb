/**
 * Compiles a step into one TensorFlow graph with its forward pass, gradients and update. The graph holds the state in variables.
 * The addon of the tfjs-node packages runs it.
 */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Operations from "../operations/Operations.ts"
import type { Id } from "../tensorflow/NodeWriter.ts"
import type { TensorFlowGraph } from "../tensorflow/TensorFlowGraph.ts"
import * as TensorFlowWriter from "../tensorflow/TensorFlowWriter.ts"
import type { Factors } from "../tensorflow/Variables.ts"
import * as Trace from "../trace/Trace.ts"

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

const NEXT = "next."

/** Writes a traced step. The graph holds all values of the group `group`, also those that the step does not read. */
const written = (
  { adamw, graph, result }: Trace.Traced,
  group: string,
  held: object,
  options: Options
): TensorFlowProgram => {
  const w = TensorFlowWriter.writer()
  const ids = new Map<string, Id>()
  const states = Tree.leaves(held).map(([path, { dtype, shape }]) => ({
    name: `${group}.${path}`,
    shape,
    dtype: dtype as DType
  }))
  for (const state of states) ids.set(state.name, w.held(state))
  for (const input of graph.inputs) if (!ids.has(input.name)) ids.set(input.name, w.batch(input))
  for (const { data, dtype, name, shape } of graph.constants) ids.set(name, w.constant(data, shape, dtype))
  for (const node of graph.nodes) {
    const operands = node.inputs.map(({ name }) => ids.get(name)!)
    const results = [Operations.named(node.operation).tensorflow!(w, operands, node)].flat()
    for (const [i, { name }] of node.outputs.entries()) ids.set(name, results[i]!)
  }
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, value]))
  const read = new Set(adamw.flatMap(({ factors, gradient }) => [gradient, ...Object.values(factors)]))
  const id = (output: string): Id => ids.get(outputs.get(output)!.name)!
  for (const { factors, gradient, ...names } of adamw) {
    const numbers = Object.fromEntries(Object.entries(factors).map(([key, name]) => [key, id(name)])) as Factors
    w.adamW({ ...names, gradient: id(gradient), factors: numbers })
  }
  for (const { name, value } of graph.outputs) {
    const state = name.startsWith(NEXT) ? `state.${name.slice(NEXT.length)}` : undefined
    if (state === undefined && !read.has(name)) w.result({ ...value, name }, id(name))
    // A state that stays as it is needs no write.
    if (state !== undefined && value.name !== state) w.assign(state, id(name))
  }
  return { graph: w.program(options), result }
}

/** Compiles a training step. Throws the errors of `Trace.trainStep`. */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>, options: Options = {}): TensorFlowProgram =>
  written(Trace.trainStep(step, { external: true }), "state", step.state as object, options)

/** Compiles an inference. Throws the errors of `Trace.trainStep`. */
export const inference = <W, B, O>(step: Inference<W, B, O>, options: Options = {}): TensorFlowProgram =>
  written(Trace.inference(step), "weights", step.weights as object, options)
