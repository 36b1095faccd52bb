/**
 * Cuts a graph where sums over ranks stand. Between two parts the ranks add up what the first has computed of their shares.
 *
 * A call belongs to the first part that has all its operands. It moves to a later part if only later parts read its results, and if fewer
 * bytes cross the cut then. Nothing is computed twice.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Cut, Sums, Trace } from "patchword/compiler"
 * import { Collective, Elementwise, Reduction, Tensor } from "patchword/shapes"
 *
 * const traced = Trace.trainStep({
 *   name: "total",
 *   state: { total: Tensor.spec([]) },
 *   batch: { x: { ...Tensor.spec([4]), split: "rows" } },
 *   run: ({ total }, { x }) => ({
 *     metrics: {},
 *     state: { total: Elementwise.add(total, Collective.psum(Reduction.sum(x))) }
 *   })
 * }, { devices: 2 })
 * const parts = Cut.of(Sums.of(traced, { rank: 0, size: 2 }))
 * assert.strictEqual(parts.length, 2)
 * ```
 */
import { size } from "../../shapes/HostTensor.ts"
import type { Graph, Node, Output, Value } from "../graph/Graph.ts"
import { PSUM } from "../graph/Varying.ts"
import type { Traced } from "./Trace.ts"

/** A part of a graph, which runs at one time. */
export interface Part {
  /** Its inputs are those of the whole graph, and outputs of parts before it. */
  readonly graph: Graph
  /** The outputs of parts before it that are summed over all ranks before it runs. */
  readonly sums: ReadonlyArray<string>
  /** Those of its outputs that are not outputs of the whole graph. Parts after it read them. */
  readonly handed: ReadonlyArray<string>
}

const bytes = ({ dtype, shape }: Value): number => (dtype === "bool" ? 1 : 4) * size(shape)

/** A call, and the part to which it belongs. */
interface Placed {
  readonly node: Node
  part: number
}

/** Places each call in the first part that has its operands. A sum stands in the part that makes its operand. */
const earliest = (nodes: ReadonlyArray<Node>): ReadonlyArray<Placed> => {
  const known = new Map<string, number>()
  return nodes.map((node) => {
    const part = Math.max(0, ...node.inputs.map(({ name }) => known.get(name) ?? 0))
    for (const { name } of node.outputs) known.set(name, node.operation === PSUM ? part + 1 : part)
    return { node, part }
  })
}

/** Moves calls to later parts, where fewer bytes have to cross a cut then. */
const delay = (placed: ReadonlyArray<Placed>, outputs: ReadonlyArray<Output>): void => {
  const published = new Set(outputs.map(({ value }) => value.name))
  const made = new Set(placed.flatMap(({ node }) => node.outputs.map(({ name }) => name)))
  const readers = new Map<string, Array<Placed>>()
  for (const one of placed) {
    for (const { name } of one.node.inputs) readers.set(name, [...(readers.get(name) ?? []), one])
  }
  for (const one of placed.toReversed()) {
    const { node, part } = one
    if (node.operation === PSUM || node.outputs.some(({ name }) => published.has(name))) continue
    const reading = node.outputs.flatMap(({ name }) => readers.get(name) ?? [])
    const later = Math.min(...reading.map((reader) => reader.part))
    if (later === part || !Number.isFinite(later)) continue
    const added = new Map(node.inputs.filter(({ name }) => made.has(name)).map((input) => [input.name, input]))
    for (const name of added.keys()) {
      if (readers.get(name)!.some((reader) => reader !== one && reader.part >= later)) added.delete(name)
    }
    const total = (values: Iterable<Value>) => Array.from(values).reduce((sum, value) => sum + bytes(value), 0)
    if (total(added.values()) < total(node.outputs)) one.part = later
  }
}

/**
 * Gives sums other names than results have, because a result may be the sum itself. A gradient keeps its name: it is summed where AdamW
 * takes it.
 */
const withNamedSums = ({ adamw, graph }: Traced): Pick<Graph, "nodes" | "outputs"> => {
  const gradients = new Set(adamw.map(({ gradient }) => gradient))
  const sums = graph.nodes.filter(({ operation }) => operation === PSUM).flatMap(({ outputs }) => outputs)
  const names = new Map(
    sums.filter(({ name }) => !gradients.has(name)).map(({ name }) => [name, `over.${name}`])
  )
  const named = (value: Value): Value => ({ ...value, name: names.get(value.name) ?? value.name })
  return {
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(named),
      outputs: node.outputs.map(named)
    })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: named(value) }))
  }
}

/** The calls and outputs of a part. */
interface Content {
  readonly calls: ReadonlyArray<Node>
  readonly published: ReadonlyArray<Output>
  /** The outputs that are summed after the part. */
  readonly sums: ReadonlyArray<Output>
}

const readBy = ({ calls, published, sums }: Content): ReadonlyMap<string, Value> =>
  new Map(
    [...calls.flatMap(({ inputs }) => inputs), ...[...published, ...sums].map(({ value }) => value)]
      .map((value) => [value.name, value])
  )

/** Options of a cut. */
export interface Options {
  /** Leaves all outputs to the last part, which returns also those that former parts have computed. */
  readonly late?: boolean
}

/** Cuts the graph of one rank (`Sums.of`). A graph without sums is one part. */
export const of = (traced: Traced, options: Options = {}): ReadonlyArray<Part> => {
  const { late = false } = options
  const { constants, inputs, ...whole } = traced.graph
  const { nodes, outputs } = withNamedSums(traced)
  const placed = earliest(nodes)
  delay(placed, outputs)
  const places = new Map(
    placed.flatMap(({ node, part }) =>
      node.outputs.map(({ name }) => [name, node.operation === PSUM ? part + 1 : part])
    )
  )
  const summed = new Set(
    nodes.filter(({ operation }) => operation === PSUM).flatMap((node) => node.outputs.map(({ name }) => name))
  )
  const last = Math.max(0, ...places.values())

  const contents = Array.from({ length: last + 1 }, (_, part): Content => {
    const own = placed.filter((one) => one.part === part).map(({ node }) => node)
    return {
      calls: own.filter(({ operation }) => operation !== PSUM),
      // What no call makes is written in the last part.
      published: outputs.filter(({ name, value }) =>
        (late ? last : places.get(value.name) ?? last) === part && !(summed.has(name) && name === value.name)
      ),
      sums: own.filter(({ operation }) => operation === PSUM)
        .map((node) => ({ name: node.outputs[0]!.name, value: node.inputs[0]! }))
    }
  })
  const reads = contents.map(readBy)
  const given = new Set([...constants, ...inputs].map(({ name }) => name))
  const isGiven = ({ name }: Value) => given.has(name)
  const known = new Set([...summed, ...outputs.map(({ name }) => name)])
  // A writer gives names such as v1 itself.
  const crossed = (value: Value): Value => known.has(value.name) ? value : { ...value, name: `over.${value.name}` }
  return contents.map((content, part) => {
    const { calls, published, sums } = content
    const made = new Map(calls.flatMap((node) => node.outputs).map((value) => [value.name, value]))
    const results = new Set(published.map(({ name }) => name))
    const crossing = Array.from(made.values()).filter(({ name }) =>
      !results.has(name) && reads.slice(part + 1).some((values) => values.has(name))
    )
    const handed = [...sums, ...crossing.map((value) => ({ name: crossed(value).name, value }))]
    const here = (value: Value) => isGiven(value) || made.has(value.name) ? value : crossed(value)
    const read = reads[part]!
    return {
      graph: {
        ...whole,
        nodes: calls.map((node) => ({ ...node, inputs: node.inputs.map(here) })),
        constants: constants.filter(({ name }) => read.has(name)),
        inputs: [
          ...inputs.filter(({ name }) => read.has(name)),
          ...Array.from(read.values()).filter((value) => !made.has(value.name) && !isGiven(value)).map(crossed)
        ],
        outputs: [...published, ...handed]
      },
      sums: part === 0 ? [] : contents[part - 1]!.sums.map(({ name }) => name),
      handed: handed.map(({ name }) => name)
    }
  })
}
