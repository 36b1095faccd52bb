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
import type { Graph } from "./Graph.ts"

// These read an element before they write the element at the same place.
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Where", "Min", "Max", "Identity", "Reshape", "Sqrt", "Neg"])

// ONNX Runtime may hand their operand's buffer on as their result's.
const VIEWS = new Set(["Reshape", "Identity"])

/** Whether `output` may share the buffer of `input`. */
export type Safe = (input: string, output: string) => boolean

/** Answers for the states of one graph, whose nodes stand in an order in which they can run. */
export const of = (graph: Graph): Safe => {
  const { nodes, outputs } = graph
  // Nodes go by their place in the graph.
  const readers = new Map<string, Array<number>>()
  const makers = new Map<string, number>()
  for (const [place, node] of nodes.entries()) {
    for (const output of node.outputs) makers.set(output, place)
    for (const input of new Set(node.inputs)) {
      const known = readers.get(input)
      if (known === undefined) readers.set(input, [place])
      else known.push(place)
    }
  }
  const parents = nodes.map((node) => node.inputs.flatMap((value) => makers.get(value) ?? []))
  const children = nodes.map((node) => node.outputs.flatMap((value) => readers.get(value) ?? []))
  const published = new Set(outputs.map(({ name }) => makers.get(name)))

  /** Who reads a value, under this name or as a view of it. */
  const readersOf = (value: string): ReadonlyArray<number> => {
    const found = readers.get(value) ?? []
    const views = found.map((place) => nodes[place]!).filter((node) => VIEWS.has(node.operation))
    return found.concat(views.flatMap((node) => node.outputs.flatMap(readersOf)))
  }

  /** The writer and what may be fused into it. */
  const fusible = (writer: number): ReadonlySet<number> => {
    const found = new Set([writer])
    // A node may be refused before all its readers are found, so each reader that is found asks again.
    for (const place of found) {
      for (const parent of parents[place]!) {
        if (!published.has(parent) && children[parent]!.every((child) => found.has(child))) found.add(parent)
      }
    }
    return found
  }

  /** Whether everything between a reader and the writer, inside what may be fused, works element by element. */
  const elementwise = (reader: number, group: ReadonlySet<number>): boolean =>
    ELEMENTWISE.has(nodes[reader]!.operation) &&
    children[reader]!.every((child) => !group.has(child) || elementwise(child, group))

  /** Whether the writer needs the results of all these nodes. */
  const needs = (writer: number, wanted: ReadonlyArray<number>): boolean => {
    const reached = new Uint8Array(nodes.length)
    reached[writer] = 1
    const last = Math.min(writer, ...wanted)
    for (let place = writer; place > last; place--) {
      if (reached[place] === 1) { for (const parent of parents[place]!) reached[parent] = 1 }
    }
    return wanted.every((place) => reached[place] === 1)
  }

  return (input, output) => {
    const writer = makers.get(output)
    if (writer === undefined) return false
    const { inputs, operation } = nodes[writer]!
    // What stays as it is may be read at any time.
    if (operation === "Identity" && inputs[0] === input) return true
    const reading = readersOf(input)
    const group = fusible(writer)
    return reading.every((place) => !group.has(place) || elementwise(place, group)) && needs(writer, reading)
  }
}
