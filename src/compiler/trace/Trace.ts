/**
 * From a step to a program: one ONNX model that holds its forward pass, its gradients and its update.
 *
 * The step is run once under a backend that computes nothing (`TraceBackend`), so tracing takes milliseconds and no memory
 * whatever the size of the network. What comes out is bytes: they can be kept, sent to a worker or another machine, and
 * run by whatever runs ONNX.
 */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Inference, TrainStep } from "../../shapes/Step.ts"
import { type Any, untyped } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type * as Graph from "../graph/Graph.ts"
import * as InPlace from "../graph/InPlace.ts"
import * as NodeOrder from "../graph/NodeOrder.ts"
import * as OnnxModel from "../graph/OnnxModel.ts"
import * as Recompute from "../graph/Recompute.ts"
import type { Tracer } from "../graph/Tracer.ts"
import * as TraceBackend from "./TraceBackend.ts"

/** A state that a program replaces: the output that holds its next value, and the input that it is fed as. */
export interface Update {
  readonly input: string
  readonly output: string
  /** Whether both may be one buffer. Decided on the graph, see `InPlace`; two buffers change places otherwise. */
  readonly inPlace: boolean
}

/**
 * AdamW of one parameter (`FusedAdamW.update`), which is left to whoever runs the program: after the graph, in place, and with
 * every gradient at hand, it takes one pass over memory where operators take fourteen. All are names: of inputs that are
 * replaced, and of outputs.
 */
export interface Adamw {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The mean gradient, where several steps make one update. */
  readonly mean?: string
  readonly gradient: string
  /** Whether the gradient comes as its transpose, as the graph computes it. */
  readonly transposed: boolean
  readonly factors: Readonly<Record<keyof FusedAdamW.Factors, string | undefined>>
}

/** A compiled step. */
export interface Program extends Graph.Graph {
  /** The ONNX model. Equal steps give equal bytes. */
  readonly bytes: Uint8Array
  /** Inputs that the step really reads: `state.<path>` or `weights.<path>`, and `batch.<path>`. */
  readonly inputs: ReadonlyArray<Graph.Value>
  /** `metrics.<path>`, `next.<path>` and what `adamw` reads, or `output.<path>`. */
  readonly outputs: ReadonlyArray<Graph.Value>
  /** The record of metrics or of outputs, with a specification for every leaf. */
  readonly result: object
  readonly updates: ReadonlyArray<Update>
  readonly adamw: ReadonlyArray<Adamw>
}

const declare = (tracer: Tracer, tensorOf: TraceBackend.TensorOf, group: string, spec: object): object =>
  Tree.map<object>(spec, (leaf, path) => tensorOf(tracer.input(`${group}.${path}`, leaf.shape, leaf.dtype as DType)))

/** A training step called on traced inputs, `state.<path>` and `batch.<path>`: its metrics and next state. */
export const called = <S, B, M>(
  step: TrainStep<S, B, M>,
  tracer: Tracer,
  tensorOf: TraceBackend.TensorOf
): { readonly metrics: object; readonly next: object } => {
  const state = declare(tracer, tensorOf, "state", step.state as object) as S
  const batch = declare(tracer, tensorOf, "batch", step.batch as object) as B
  const { metrics, state: next } = step.run(state, batch) as { metrics: object; state: object }
  keepsShapes(step.state as object, next)
  return { metrics, next }
}

/** The record of an inference called on traced inputs, `weights.<path>` and `batch.<path>`. */
export const inferred = <W, B, O>(
  step: Inference<W, B, O>,
  tracer: Tracer,
  tensorOf: TraceBackend.TensorOf
): object => {
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

/** A value that a program hands out, and what the trace calls it. */
interface Result extends Graph.Value {
  readonly source: string
}

const resultsOf = (tracer: Tracer, group: string, tree: object): ReadonlyArray<Result> =>
  Tree.leaves<Any>(tree).map(([path, leaf]) => ({
    name: `${group}.${path}`,
    shape: leaf.shape,
    dtype: leaf.dtype,
    source: tracer.name(untyped(leaf))
  }))

// What a name stands for is renamed to the output where a node of its own computes it, so that it is written where it is
// wanted; inputs, constants and values that are wanted twice are copied.
const finish = (
  called: string,
  tracer: Tracer,
  results: ReadonlyArray<Result>,
  recompute = false
): Graph.Graph => {
  const produced = new Set(tracer.graph.nodes.flatMap((node) => node.outputs))
  const renamed = new Map<string, string>()
  for (const { name, source } of results) {
    if (!produced.has(source) || renamed.has(source)) tracer.graph.copy(source, name)
    else renamed.set(source, name)
  }
  const final = (value: string) => renamed.get(value) ?? value
  const made = recompute ? Recompute.apply(tracer.graph, tracer.boundaries) : tracer.graph.nodes
  const nodes = made.map(({ inputs, outputs, ...node }) => ({
    ...node,
    inputs: inputs.map(final),
    outputs: outputs.map(final)
  }))
  const needed = new Set(results.map(({ name }) => name))
  return {
    name: called,
    nodes: NodeOrder.lean(live(nodes, needed)),
    constants: tracer.graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: tracer.inputs.filter((input) => needed.has(input.name)),
    outputs: results.map(({ dtype, name, shape }) => ({ name, shape, dtype }))
  }
}

interface Split {
  readonly adamw: ReadonlyArray<Adamw>
  /** What the graph has to hand out instead of the next states that `adamw` makes. */
  readonly results: ReadonlyArray<Result>
}

/** Whoever runs a program transposes gradients in blocks of so many rows and columns; other matrices the graph transposes. */
export const TRANSPOSED_BLOCK = { rows: 32, columns: 4 } as const

const isTransposable = ([rows, columns]: Shape): boolean =>
  rows! % TRANSPOSED_BLOCK.rows === 0 && columns! % TRANSPOSED_BLOCK.columns === 0

/** The updates that the graph leaves out: those of a parameter and what the optimizer holds of it by themselves. */
const split = (tracer: Tracer, next: ReadonlyArray<Result>): Split => {
  const bySource = new Map(next.map((result) => [result.source, result]))
  const adamw: Array<Adamw> = []
  const results = new Map(next.map((result) => [result.name, result]))
  for (const { inputs, outputs } of tracer.external) {
    const replaced = outputs.map((output) => bySource.get(output)?.name ?? "")
    const own = FusedAdamW.REPLACED.flatMap((key) => inputs[key]?.name.replace(/^state\./, "next.") ?? [])
    if (own.some((name, i) => name !== replaced[i])) continue
    for (const name of own) results.delete(name)
    const { first, gradient, mean, parameter, second, ...factors } = inputs
    const before = tracer.beforeTransposing(gradient!.name)
    // The norm of a mean needs the gradient as it is.
    const transposed = before !== undefined && mean === undefined && isTransposable(gradient!.shape)
    const handOut = (value: Graph.Value, name: string) => {
      results.set(name, { ...value, name, source: value.name })
      return name
    }
    const named = Object.entries(factors).map(([key, value]) => [key, handOut(value, `factor.${value.name}`)])
    adamw.push({
      parameter: parameter!.name,
      first: first!.name,
      second: second!.name,
      ...(mean === undefined ? {} : { mean: mean.name }),
      gradient: handOut(
        transposed ? { ...gradient!, name: before, shape: gradient!.shape.toReversed() } : gradient!,
        parameter!.name.replace("state.", "gradient.")
      ),
      transposed,
      factors: Object.fromEntries(named)
    })
  }
  return { adamw, results: Array.from(results.values()) }
}

const program = (
  graph: Graph.Graph,
  result: object,
  updates: ReadonlyArray<Update>,
  adamw: ReadonlyArray<Adamw>
): Program => ({
  ...graph,
  bytes: OnnxModel.encode(graph),
  result: specOf(result),
  updates,
  adamw
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

const compiled = <S, B, M>(
  step: TrainStep<S, B, M>,
  fusion: "external" | "graph",
  recompute: boolean
): Program | undefined =>
  TraceBackend.run(fusion, (tracer, tensorOf) => {
    const { metrics, next } = called(step, tracer, tensorOf)
    const { adamw, results } = split(tracer, resultsOf(tracer, "next", next))
    const graph = finish(step.name, tracer, [...resultsOf(tracer, "metrics", metrics), ...results], recompute)
    const later = new Set(tracer.external.flatMap(({ outputs }) => outputs))
    if (graph.nodes.some(({ inputs }) => inputs.some((input) => later.has(input)))) return undefined
    const safe = InPlace.of(graph)
    const updates = results.filter(({ name }) => name.startsWith("next.")).map(({ name: output }) => {
      const input = output.replace("next.", "state.")
      return { input, output, inPlace: safe(input, output) }
    })
    return program(graph, metrics, updates, adamw)
  })

/**
 * Compiles a training step, `external` without the updates that it may leave to whoever runs it: all of those or, where the
 * graph itself reads what one makes, none. `recompute` keeps of the forward pass only what is at boundaries.
 *
 * @throws NotTraceable when the step reads values or uses an operation that has no translation; ShapeError when its
 * operands do not fit, or when it does not return a state like the one it takes.
 */
export const trainStep = <S, B, M>(
  step: TrainStep<S, B, M>,
  { external = false, recompute = false }: { readonly external?: boolean; readonly recompute?: boolean } = {}
): Program => (external ? compiled(step, "external", recompute) : undefined) ?? compiled(step, "graph", recompute)!

const inferenceOf = <W, B, O>(step: Inference<W, B, O>): { readonly graph: Graph.Graph; readonly output: object } =>
  TraceBackend.run("graph", (tracer, tensorOf) => {
    const output = inferred(step, tracer, tensorOf)
    return { graph: finish(step.name, tracer, resultsOf(tracer, "output", output)), output: specOf(output) }
  })

/** The graph of an inference; throws as `trainStep` does. */
export const graph = <W, B, O>(step: Inference<W, B, O>): Graph.Graph => inferenceOf(step).graph

/** Compiles an inference; throws as `trainStep` does. */
export const inference = <W, B, O>(step: Inference<W, B, O>): Program => {
  const { graph, output } = inferenceOf(step)
  return program(graph, output, [], [])
}
