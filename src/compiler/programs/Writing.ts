/** Writing a traced step, which is alike for every engine that is given the calls of operations one by one. */
import type { DType } from "../../shapes/HostTensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import type * as Graph from "../graph/Graph.ts"
import * as InParts from "../graph/InParts.ts"
import type { Operation } from "../operations/Operation.ts"
import * as Operations from "../operations/Operations.ts"

/** The beginning of the names of the next states among the outputs. */
export const NEXT = "next."

/** Returns all values that a program holds, `group.<path>`, also those that the step does not read. */
export const held = (group: "state" | "weights", specifications: object): ReadonlyArray<Graph.Value> =>
  Tree.leaves(specifications).map(([path, { dtype, shape }]) => ({
    name: `${group}.${path}`,
    shape,
    dtype: dtype as DType
  }))

/** A graph needs what a kind of program does not have. */
export class NotWritable extends Error {
  override readonly name = "NotWritable"
}

/** Refuses a graph in another precision than fp32, because the writer of `programs` does not know it. */
export const onlyFp32 = ({ name, precision }: Graph.Graph, programs: string): void => {
  if (precision !== "fp32") throw new NotWritable(`${name} is in ${precision}, but ${programs} computes in fp32`)
}

/** The parts of a writer of which each value is a `V`, for graphs whose values have the element types `D`. */
export interface Writer<V, D extends Graph.Element> {
  readonly constant: (constant: Graph.Constant) => V
  readonly call: (operation: Operation, operands: ReadonlyArray<V>, node: Graph.Node<D>) => V | ReadonlyArray<V>
}

/** Writes the constants and calls of a graph, whose inputs are `given` by name. Returns the value of each output by its name. */
export function* write<V, D extends Graph.Element>(
  graph: Graph.Graph<D>,
  given: ReadonlyMap<string, V>,
  writer: Writer<V, D>
): InParts.InParts<(output: string) => V> {
  const values = new Map(given)
  for (const constant of graph.constants) values.set(constant.name, writer.constant(constant))
  for (const [place, node] of graph.nodes.entries()) {
    if (place % InParts.AT_ONCE === 0) yield
    const operands = node.inputs.map(({ name }) => values.get(name)!)
    const results = [writer.call(Operations.named(node.operation), operands, node)].flat() as ReadonlyArray<V>
    for (const [i, { name }] of node.outputs.entries()) values.set(name, results[i]!)
  }
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, value.name]))
  return (output) => values.get(outputs.get(output)!)!
}
