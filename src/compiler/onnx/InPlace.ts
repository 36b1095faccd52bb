/**
 * Decides if a state's next value may be written into the buffer of its current value.
 *
 * ONNX Runtime runs nodes in any order that the data dependencies allow. Overwriting a value that some node reads later would
 * give wrong numbers without an error. So sharing is allowed only if every reader is known to have run. A reader has run if it
 * is an ancestor of the writing node, or if it is that node itself and works element by element. An update that depends on the
 * norm of all gradients has this property, because the norm has read everything.
 *
 * ONNX Runtime also fuses nodes: a product may be read only when the sum that follows it is written. It may fuse nodes into the
 * writer if no other node reads their results. So readers among those have to work element by element as well.
 */
import type { Graph } from "./OnnxGraph.ts"

// These read an element before they write the element at the same place.
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Where", "Min", "Max", "Identity", "Reshape", "Sqrt", "Neg"])

// ONNX Runtime may hand their operand's buffer on as their result's.
const VIEWS = new Set(["Reshape", "Identity"])

/** Tests whether `output` may share the buffer of `input`. */
export type Safe = (input: string, output: string) => boolean

/** Returns the test for the states of one graph. The graph's nodes must be listed in an order in which they can run. */
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

  /** Returns the nodes that read a value, under this name or as a view of it. */
  const readersOf = (value: string): ReadonlyArray<number> => {
    const found = readers.get(value) ?? []
    const views = found.map((place) => nodes[place]!).filter((node) => VIEWS.has(node.operation))
    return found.concat(views.flatMap((node) => node.outputs.flatMap(readersOf)))
  }

  /** Returns the writer and the nodes that may be fused into it. */
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

  /** Tests whether all fused nodes from a reader to the writer work element by element. */
  const elementwise = (reader: number, group: ReadonlySet<number>): boolean =>
    ELEMENTWISE.has(nodes[reader]!.operation) &&
    children[reader]!.every((child) => !group.has(child) || elementwise(child, group))

  /** Tests whether the writer depends on the results of all these nodes. */
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
