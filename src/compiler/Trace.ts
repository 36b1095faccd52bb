/**
 * From a step to a program: one ONNX model that holds its forward pass, its gradients and its update.
 *
 * The step is run once under a backend that computes nothing (`Backend`), so tracing takes milliseconds and no memory
 * whatever the size of the network. What comes out is bytes: they can be kept, sent to a worker or another machine, and
 * run by whatever runs ONNX.
 */
import type { DType } from "../shapes/HostTensor.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import { type Any, untyped } from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import * as Backend from "./Backend.ts"
import type * as Graph from "./Graph.ts"
import * as InPlace from "./InPlace.ts"
import * as OnnxModel from "./OnnxModel.ts"
import type { Tracer } from "./Tracer.ts"

/** A state that a program replaces: the output that holds its next value, and the input that it is fed as. */
export interface Update {
  readonly input: string
  readonly output: string
  /** Whether both may be one buffer. Decided on the graph, see `InPlace`; two buffers change places otherwise. */
  readonly inPlace: boolean
}

/** A compiled step. */
export interface Program {
  readonly name: string
  /** The ONNX model. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** Inputs that the step really reads: `state.<path>` or `weights.<path>`, and `batch.<path>`. */
  readonly inputs: ReadonlyArray<Graph.Value>
  /** `metrics.<path>` and `next.<path>`, or `output.<path>`. */
  readonly outputs: ReadonlyArray<Graph.Value>
  readonly updates: ReadonlyArray<Update>
  /** Number of operators. */
  readonly nodes: number
}

const declare = (tracer: Tracer, tensorOf: Backend.TensorOf, group: string, spec: object): object =>
  Tree.map<object>(spec, (leaf, path) => tensorOf(tracer.input(`${group}.${path}`, leaf.shape, leaf.dtype as DType)))

// What a name stands for is renamed to the output where a node of its own computes it, so that it is written where it is
// wanted; inputs, constants and values that are wanted twice are copied.
const name = (tracer: Tracer, groups: Readonly<Record<string, object>>): Graph.Graph => {
  const produced = new Set(tracer.graph.nodes.flatMap((node) => node.outputs))
  const renamed = new Map<string, string>()
  const copies: Array<Graph.Node> = []
  const outputs = Object.entries(groups).flatMap(([group, tree]) =>
    Tree.leaves<Any>(tree).map(([path, leaf]): Graph.Value => {
      const wanted = `${group}.${path}`
      const source = tracer.name(untyped(leaf))
      if (produced.has(source) && !renamed.has(source)) renamed.set(source, wanted)
      else copies.push({ operation: "Identity", inputs: [source], outputs: [wanted], attributes: {} })
      return { name: wanted, shape: leaf.shape, dtype: leaf.dtype }
    })
  )
  const called = (value: string) => renamed.get(value) ?? value
  const nodes = [...tracer.graph.nodes, ...copies].map((node) => ({
    ...node,
    inputs: node.inputs.map(called),
    outputs: node.outputs.map(called)
  }))
  const needed = new Set(outputs.map((output) => output.name))
  const kept = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false
    for (const input of node.inputs) needed.add(input)
    return true
  }).reverse()
  return {
    name: "step",
    nodes: kept,
    constants: tracer.graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: tracer.inputs.filter((input) => needed.has(input.name)),
    outputs
  }
}

/**
 * Compiles a training step.
 *
 * @throws NotTraceable when the step reads values or uses an operation that has no translation; ShapeError when its
 * operands do not fit.
 */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>): Program =>
  Backend.record((tracer, tensorOf) => {
    const state = declare(tracer, tensorOf, "state", step.state as object) as S
    const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
    const result = step.run(state, batch)
    const graph = name(tracer, { metrics: result.metrics as object, next: result.state as object })
    const inputs = new Set(graph.inputs.map((input) => input.name))
    const updates = graph.outputs.filter((output) => output.name.startsWith("next.")).map(({ name: output }) => {
      const input = `state.${output.slice("next.".length)}`
      return { input, output, inPlace: inputs.has(input) && InPlace.safe(graph, input, output) }
    })
    return program(step.name, graph, updates)
  })

/** Compiles an inference; throws as `trainStep` does. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Program =>
  Backend.record((tracer, tensorOf) => {
    const weights = declare(tracer, tensorOf, "weights", step.weights as object) as W
    const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
    return program(step.name, name(tracer, { output: step.run(weights, batch) as object }), [])
  })

const program = (called: string, graph: Graph.Graph, updates: ReadonlyArray<Update>): Program => ({
  name: called,
  bytes: OnnxModel.encode(graph),
  inputs: graph.inputs,
  outputs: graph.outputs,
  updates,
  nodes: graph.nodes.length
})
