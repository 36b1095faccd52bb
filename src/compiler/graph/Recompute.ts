/**
 * Trades time for memory (gradient checkpointing). The values between two boundaries (`Gradient.boundary`) are computed again
 * when gradients need them. So only the boundaries are kept from the forward pass to the backward pass.
 *
 * Every block of a transformer begins with a boundary. A step then keeps one value for each block and, for a moment, all values
 * of one block.
 */
import * as Graph from "./Graph.ts"
import type { Boundary } from "./Tracer.ts"

const PLAIN = { domain: "", attributes: {}, flops: 0 }

/** Returns the name of a recomputed value. */
const again = (name: string): string => `again.${name}`

/**
 * Returns the nodes that read the first value of a segment again. ONNX Runtime would merge equal nodes and run the copies
 * early. So a zero is subtracted that depends on the gradient behind the segment. It is the result of a comparison, since no
 * magnitude is below zero. It does not change the sign of zeros.
 */
const reread = (graph: Graph.Builder, start: Boundary, { gradient, rank }: Boundary): ReadonlyArray<Graph.Node> => {
  const held = again(start.value)
  const [element, magnitude, below, zero] = ["element", "magnitude", "below", "zero"].map((part) => `${held}.${part}`)
  const all = (value: number) => graph.integers(Array.from({ length: rank }, () => value))
  const node = (operation: string, output: string, inputs: ReadonlyArray<string>, attributes = {}): Graph.Node => ({
    ...PLAIN,
    operation,
    inputs,
    outputs: [output],
    attributes
  })
  return [
    node("Slice", element!, [gradient, all(0), all(1)]),
    node("Abs", magnitude!, [element!]),
    node("Less", below!, [magnitude!, graph.constant(Float32Array.of(0), [], "float32")]),
    node("Cast", zero!, [below!], { to: Graph.numberOf("float32") }),
    node("Sub", held, [start.value, zero!])
  ]
}

/**
 * Adds the nodes that compute the values between boundaries again. All nodes after the gradient of a segment's end read these
 * values.
 */
export const apply = (graph: Graph.Builder, boundaries: ReadonlyArray<Boundary>): ReadonlyArray<Graph.Node> => {
  const makers = new Map(graph.nodes.flatMap(({ outputs }, place) => outputs.map((output) => [output, place] as const)))
  const placeOf = (value: string) => makers.get(value) ?? -1
  const sorted = boundaries.toSorted((a, b) => placeOf(a.value) - placeOf(b.value))

  /** The recomputed nodes, by the place of the node that they follow. */
  const inserted = new Map<number, Array<Graph.Node>>()
  const replaced = new Map<string, number>()

  for (const [i, start] of sorted.slice(0, -1).entries()) {
    const end = sorted[i + 1]!
    const trigger = placeOf(end.gradient)
    const [first, last] = [placeOf(start.value), placeOf(end.value)]
    if (trigger <= last || first === last) continue

    // What depends on the stretch's first value.
    const inside = new Set([start.value])
    const stretch = graph.nodes.slice(first + 1, last).filter((node) => {
      if (!node.inputs.some((input) => inside.has(input))) return false
      for (const output of node.outputs) inside.add(output)
      return true
    })
    inside.delete(start.value)
    inside.delete(end.value)

    const wanted = new Set(
      graph.nodes.slice(trigger + 1).flatMap(({ inputs }) => inputs.filter((input) => inside.has(input)))
    )
    const needed = new Set(wanted)
    const copied = stretch.toReversed().filter(({ inputs, outputs }) => {
      if (!outputs.some((output) => needed.has(output))) return false
      for (const input of inputs) if (inside.has(input)) needed.add(input)
      return true
    }).toReversed()
    if (copied.length === 0) continue

    const name = (input: string) => (input === start.value || inside.has(input) ? again(input) : input)
    const copies = copied.map((node) => ({
      ...node,
      inputs: node.inputs.map(name),
      outputs: node.outputs.map(again),
      flops: 0
    }))
    inserted.set(trigger, [
      ...(inserted.get(trigger) ?? []),
      ...reread(graph, start, end),
      ...copies
    ])
    for (const value of wanted) replaced.set(value, trigger)
  }

  return graph.nodes.flatMap((node, place) => {
    const inputs = node.inputs.map((input) => {
      const from = replaced.get(input)
      return from !== undefined && place > from ? again(input) : input
    })
    return [{ ...node, inputs }, ...(inserted.get(place) ?? [])]
  })
}
