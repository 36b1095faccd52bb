/**
 * From a step to a program: one ONNX model that holds its forward pass, its gradients and its update.
 *
 * The step is run once under a backend that computes nothing (`Backend`), so tracing takes milliseconds and no memory
 * whatever the size of the network. What comes out is bytes: they can be kept, sent to a worker or another machine, and
 * run by whatever runs ONNX.
 */
import type { DType } from "../shapes/HostTensor.ts"
import * as ShapeError from "../shapes/ShapeError.ts"
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
  /** The record of metrics or of outputs, with a specification for every leaf. */
  readonly result: object
  readonly updates: ReadonlyArray<Update>
  /** Number of operators. */
  readonly nodes: number
  /** Multiplications and additions of its matrix products, counted as two: what is usually quoted of a network. */
  readonly flops: number
}

const declare = (tracer: Tracer, tensorOf: Backend.TensorOf, group: string, spec: object): object =>
  Tree.map<object>(spec, (leaf, path) => tensorOf(tracer.input(`${group}.${path}`, leaf.shape, leaf.dtype as DType)))

/** A training step called on traced inputs, `state.<path>` and `batch.<path>`: its metrics and next state. */
export const called = <S, B, M>(
  step: TrainStep<S, B, M>,
  tracer: Tracer,
  tensorOf: Backend.TensorOf
): { readonly metrics: object; readonly next: object } => {
  const state = declare(tracer, tensorOf, "state", step.state as object) as S
  const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
  const { metrics, state: next } = step.run(state, batch) as { metrics: object; state: object }
  keepsShapes(step.state as object, next)
  return { metrics, next }
}

/** The record of an inference called on traced inputs, `weights.<path>` and `batch.<path>`. */
export const inferred = <W, B, O>(step: Inference<W, B, O>, tracer: Tracer, tensorOf: Backend.TensorOf): object => {
  const weights = declare(tracer, tensorOf, "weights", step.weights as object) as W
  const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
  return step.run(weights, batch) as object
}

/** What the leaves of a record of tensors are. */
export const specOf = (tree: object): object =>
  Tree.map<object>(tree, ({ dtype, shape }) => ({ dtype, shape: [...shape] }))

/** The nodes that some output needs, in order. */
const live = (nodes: ReadonlyArray<Graph.Node>, needed: Set<string>): ReadonlyArray<Graph.Node> =>
  nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false
    for (const input of node.inputs) needed.add(input)
    return true
  }).toReversed()

// What a name stands for is renamed to the output where a node of its own computes it, so that it is written where it is
// wanted; inputs, constants and values that are wanted twice are copied.
const finish = (called: string, tracer: Tracer, groups: Readonly<Record<string, object>>): Graph.Graph => {
  const results = Object.entries(groups).flatMap(([group, tree]) =>
    Tree.leaves<Any>(tree).map(([path, leaf]) => ({
      leaf,
      wanted: `${group}.${path}`,
      source: tracer.name(untyped(leaf))
    }))
  )
  const produced = new Set(tracer.graph.nodes.flatMap((node) => node.outputs))
  const renamed = new Map<string, string>()
  for (const { source, wanted } of results) {
    if (!produced.has(source) || renamed.has(source)) tracer.graph.copy(source, wanted)
    else renamed.set(source, wanted)
  }
  const final = (value: string) => renamed.get(value) ?? value
  const nodes = tracer.graph.nodes.map(({ inputs, outputs, ...node }) => ({
    ...node,
    inputs: inputs.map(final),
    outputs: outputs.map(final)
  }))
  const needed = new Set(results.map(({ wanted }) => wanted))
  return {
    name: called,
    nodes: live(nodes, needed),
    constants: tracer.graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: tracer.inputs.filter((input) => needed.has(input.name)),
    outputs: results.map(({ leaf: { dtype, shape }, wanted }) => ({ name: wanted, shape, dtype }))
  }
}

const program = (graph: Graph.Graph, result: object, updates: ReadonlyArray<Update>): Program => ({
  name: graph.name,
  bytes: OnnxModel.encode(graph),
  inputs: graph.inputs,
  outputs: graph.outputs,
  result: specOf(result),
  updates,
  nodes: graph.nodes.length,
  flops: graph.nodes.reduce((sum, { flops }) => sum + flops, 0)
})

const show = (leaf: Tree.Leaf | undefined): string =>
  leaf === undefined ? "missing" : `${leaf.dtype} ${ShapeError.show(leaf.shape)}`

/**
 * Refuses a step that does not return a state like the one it takes: it is fed back.
 *
 * @throws ShapeError
 */
export const keepsShapes = (state: object, next: object): void => {
  const before = new Map(Tree.leaves(state))
  const after = new Map(Tree.leaves(next))
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const [old, young] = [before, after].map((leaves) => leaves.get(path))
    if (show(old) === show(young)) continue
    throw new ShapeError.ShapeError(`step: state.${path} is ${show(old)} but the step makes it ${show(young)}`)
  }
}

/**
 * Compiles a training step.
 *
 * @throws NotTraceable when the step reads values or uses an operation that has no translation; ShapeError when its
 * operands do not fit, or when it does not return a state like the one it takes.
 */
export const trainStep = <S, B, M>(step: TrainStep<S, B, M>): Program =>
  Backend.record((tracer, tensorOf) => {
    const { metrics, next } = called(step, tracer, tensorOf)
    const graph = finish(step.name, tracer, { metrics, next })
    const safe = InPlace.of(graph)
    const updates = Tree.leaves(next).map(([path]) => {
      const [input, output] = [`state.${path}`, `next.${path}`] as const
      return { input, output, inPlace: safe(input, output) }
    })
    return program(graph, metrics, updates)
  })

/** Compiles an inference; throws as `trainStep` does. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Program =>
  Backend.record((tracer, tensorOf) => {
    const output = inferred(step, tracer, tensorOf)
    return program(finish(step.name, tracer, { output }), output, [])
  })
