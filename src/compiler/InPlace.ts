/**
 * Whether a state's next value may be written into the buffer that holds the present one.
 *
 * ONNX Runtime runs nodes in any order that the data allow. Writing over a value that some node reads later would be
 * silently wrong, so it is allowed only where every reader is known to have run: where each is an ancestor of the node that
 * writes, or is that node itself, working element by element. An update that depends on the norm of all gradients has
 * this property, because the norm has read everything.
 */
import type { Graph, Node } from "./Graph.ts"

// These read an element before they write the element at the same place.
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Where", "Identity", "Min", "Max"])

// ONNX Runtime may hand their operand's buffer on as their result's.
const VIEWS = new Set(["Reshape", "Identity"])

/** The nodes that read each value and the node that makes it. */
const index = (graph: Graph) => {
  const readers = new Map<string, Array<Node>>()
  const makers = new Map<string, Node>()
  for (const node of graph.nodes) {
    for (const output of node.outputs) makers.set(output, node)
    for (const input of node.inputs) {
      const list = readers.get(input)
      if (list === undefined) readers.set(input, [node])
      else list.push(node)
    }
  }
  return { readers, makers }
}

const cache = new WeakMap<Graph, ReturnType<typeof index>>()

/** Whether `output` may share the buffer of `input`. */
export const safe = (graph: Graph, input: string, output: string): boolean => {
  const known = cache.get(graph) ?? index(graph)
  cache.set(graph, known)
  const writer = known.makers.get(output)
  if (writer === undefined) return false

  const waiting = new Set<Node>()
  const collect = (value: string): void => {
    for (const node of known.readers.get(value) ?? []) {
      if (node !== writer) waiting.add(node)
      else if (!ELEMENTWISE.has(node.operation)) waiting.add(node)
      if (VIEWS.has(node.operation) && node !== writer) node.outputs.forEach(collect)
    }
  }
  collect(input)
  if (waiting.has(writer)) return false

  const seen = new Set<Node>([writer])
  const queue = [writer]
  while (waiting.size > 0) {
    const node = queue.pop()
    if (node === undefined) return false
    for (const value of node.inputs) {
      const maker = known.makers.get(value)
      if (maker === undefined || seen.has(maker)) continue
      seen.add(maker)
      waiting.delete(maker)
      queue.push(maker)
    }
  }
  return true
}
