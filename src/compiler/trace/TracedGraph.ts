/** Builds the graph of a trace. Outputs get their names, and nodes that no output needs are left out. */
import { type Any, untyped } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type { Graph, Node, Value } from "../graph/Graph.ts"
import * as NodeOrder from "../graph/NodeOrder.ts"
import * as Recompute from "../graph/Recompute.ts"
import type { Tracer } from "../graph/Tracer.ts"

/** An output of a program, and its name in the trace. */
export interface Result extends Value {
  readonly source: string
}

/** Returns the tensors of a record as results `group.<path>`. */
export const results = (tracer: Tracer, group: string, tree: object): ReadonlyArray<Result> =>
  Tree.leaves<Any>(tree).map(([path, leaf]) => ({
    name: `${group}.${path}`,
    shape: leaf.shape,
    dtype: leaf.dtype,
    source: tracer.name(untyped(leaf))
  }))

/**
 * Returns the final name of each value. A value that a node computes is renamed to the result, so that the node writes the
 * result directly. Inputs, constants and values with two result names are copied.
 */
const named = ({ graph }: Tracer, wanted: ReadonlyArray<Result>): (value: string) => string => {
  const produced = new Set(graph.nodes.flatMap(({ outputs }) => outputs))
  const renamed = new Map<string, string>()
  for (const { name, source } of wanted) {
    if (!produced.has(source) || renamed.has(source)) graph.copy(source, name)
    else renamed.set(source, name)
  }
  return (value) => renamed.get(value) ?? value
}

/** Returns the nodes that the needed values depend on, in order. Adds the operands of these nodes to `needed`. */
const live = (nodes: ReadonlyArray<Node>, needed: Set<string>): ReadonlyArray<Node> =>
  nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false
    for (const input of node.inputs) needed.add(input)
    return true
  }).toReversed()

/** Builds the graph that outputs the given results. `recompute` keeps only the values at boundaries from the forward pass. */
export const make = (
  name: string,
  tracer: Tracer,
  wanted: ReadonlyArray<Result>,
  { recompute = false }: { readonly recompute?: boolean } = {}
): Graph => {
  const final = named(tracer, wanted)
  const traced = recompute ? Recompute.apply(tracer.graph, tracer.boundaries) : tracer.graph.nodes
  const nodes = traced.map((node) => ({
    ...node,
    inputs: node.inputs.map(final),
    outputs: node.outputs.map(final)
  }))
  const needed = new Set(wanted.map((result) => result.name))
  return {
    name,
    nodes: NodeOrder.lean(live(nodes, needed)),
    constants: tracer.graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: tracer.inputs.filter((input) => needed.has(input.name)),
    outputs: wanted.map(({ dtype, name: output, shape }) => ({ name: output, shape, dtype }))
  }
}
