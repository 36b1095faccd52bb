/**
 * Whether a state's next value may be written into the buffer that holds the present one.
 *
 * ONNX Runtime runs nodes in any order that the data allow, and writing over a value that some node reads later would be
 * silently wrong. So it is allowed only where every reader is known to have run: where each is an ancestor of the node
 * that writes, or is that node itself, working element by element. An update that depends on the norm of all gradients has
 * this property, because the norm has read everything.
 *
 * ONNX Runtime also fuses nodes: a product may only be read when the sum behind it is written. What it may fuse into the
 * writer are nodes whose results nobody else wants, so readers among those have to work element by element as well.
 */
import type { Graph, Node } from "./Graph.ts"

// These read an element before they write the element at the same place.
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Where", "Min", "Max", "Identity", "Reshape", "Sqrt", "Neg"])

// ONNX Runtime may hand their operand's buffer on as their result's.
const VIEWS = new Set(["Reshape", "Identity"])

/** Whether `output` may share the buffer of `input`. */
export type Safe = (input: string, output: string) => boolean

/** Answers for the states of one graph. */
export const of = (graph: Graph): Safe => {
  const readers = new Map<string, Array<Node>>()
  const makers = new Map<string, Node>()
  for (const node of graph.nodes) {
    for (const output of node.outputs) makers.set(output, node)
    for (const input of new Set(node.inputs)) {
      const known = readers.get(input)
      if (known === undefined) readers.set(input, [node])
      else known.push(node)
    }
  }
  const published = new Set(graph.outputs.map((output) => output.name))
  const makersOf = (node: Node): Array<Node> => node.inputs.flatMap((value) => makers.get(value) ?? [])

  /** Who reads a value, under this name or as a view of it. */
  const readersOf = (value: string): ReadonlyArray<Node> => {
    const found = readers.get(value) ?? []
    const views = found.filter((node) => VIEWS.has(node.operation))
    return found.concat(views.flatMap((node) => node.outputs.flatMap(readersOf)))
  }

  /** The writer and what may be fused into it. */
  const fusible = (writer: Node): Set<Node> => {
    const found = new Set([writer])
    const wanted = (node: Node) =>
      node.outputs.some((output) => published.has(output) || readers.get(output)?.some((reader) => !found.has(reader)))
    // A node may be refused before all its readers are found, so each reader that is found asks again.
    const queue = [writer]
    for (const node of queue) {
      for (const maker of makersOf(node)) {
        if (found.has(maker) || wanted(maker)) continue
        found.add(maker)
        queue.push(maker)
      }
    }
    return found
  }

  /** Whether everything between a reader and the writer, inside what may be fused, works element by element. */
  const elementwise = (reader: Node, group: ReadonlySet<Node>): boolean =>
    ELEMENTWISE.has(reader.operation) &&
    reader.outputs.every((output) =>
      (readers.get(output) ?? []).every((next) => !group.has(next) || elementwise(next, group))
    )

  const ancestors = (writer: Node, nodes: ReadonlyArray<Node>): boolean => {
    const missing = new Set(nodes)
    missing.delete(writer)
    const seen = new Set([writer])
    for (const node of seen) {
      if (missing.size === 0) break
      for (const maker of makersOf(node)) {
        seen.add(maker)
        missing.delete(maker)
      }
    }
    return missing.size === 0
  }

  return (input, output) => {
    const writer = makers.get(output)
    if (writer === undefined) return false
    const reading = readersOf(input)
    const group = fusible(writer)
    return reading.every((reader) => !group.has(reader) || elementwise(reader, group)) && ancestors(writer, reading)
  }
}
