/**
 * Trades time for memory (gradient checkpointing). The values between two boundaries (`Gradient.boundary`) are computed again
 * when gradients need them. So only the boundaries are kept from the forward pass to the backward pass.
 *
 * Every block of a transformer begins with a boundary. A step then keeps one value for each block and, for a moment, all values
 * of one block.
 */
import type { Boundary, Graph, Node, Value } from "./Graph.ts"

/** The name of the operation that returns a value, but not before another is computed. */
export const AFTER = "after"

/** Returns a recomputed value. */
const again = (value: Value): Value => ({ ...value, name: `again.${value.name}` })

/** Returns the call that reads the first value of a segment again, once the gradient behind the segment is known. */
const reread = (start: Boundary, { gradient }: Boundary): Node => ({
  operation: AFTER,
  inputs: [start.value, gradient],
  outputs: [again(start.value)],
  attributes: {},
  flops: 0
})

/**
 * Adds the nodes that compute the values between boundaries again. All nodes after the gradient of a segment's end read these
 * values.
 */
export const apply = (graph: Graph, boundaries: ReadonlyArray<Boundary>): Graph => {
  const makers = new Map(graph.nodes.flatMap(({ outputs }, place) => outputs.map(({ name }) => [name, place] as const)))
  const placeOf = ({ name }: Value) => makers.get(name) ?? -1
  const sorted = boundaries.toSorted((a, b) => placeOf(a.value) - placeOf(b.value))

  /** The recomputed nodes, by the place of the node that they follow. */
  const inserted = new Map<number, Array<Node>>()
  const replaced = new Map<string, number>()

  for (const [i, start] of sorted.slice(0, -1).entries()) {
    const end = sorted[i + 1]!
    const trigger = placeOf(end.gradient)
    const [first, last] = [placeOf(start.value), placeOf(end.value)]
    if (trigger <= last || first === last) continue

    // All that depends on the segment's first value.
    const inside = new Set([start.value.name])
    const segment = graph.nodes.slice(first + 1, last).filter((node) => {
      if (!node.inputs.some(({ name }) => inside.has(name))) return false
      for (const { name } of node.outputs) inside.add(name)
      return true
    })
    inside.delete(start.value.name)
    inside.delete(end.value.name)

    const wanted = new Set(
      graph.nodes.slice(trigger + 1).flatMap(({ inputs }) =>
        inputs.flatMap(({ name }) => (inside.has(name) ? [name] : []))
      )
    )
    const needed = new Set(wanted)
    const copied = segment.toReversed().filter(({ inputs, outputs }) => {
      if (!outputs.some(({ name }) => needed.has(name))) return false
      for (const { name } of inputs) if (inside.has(name)) needed.add(name)
      return true
    }).toReversed()
    if (copied.length === 0) continue

    const copies = copied.map((node) => ({
      ...node,
      inputs: node.inputs.map((input) =>
        input.name === start.value.name || inside.has(input.name) ? again(input) : input
      ),
      outputs: node.outputs.map(again),
      flops: 0
    }))
    inserted.set(trigger, [...(inserted.get(trigger) ?? []), reread(start, end), ...copies])
    for (const name of wanted) replaced.set(name, trigger)
  }

  const nodes = graph.nodes.flatMap((node, place) => {
    const inputs = node.inputs.map((input) => {
      const from = replaced.get(input.name)
      return from !== undefined && place > from ? again(input) : input
    })
    return [{ ...node, inputs }, ...(inserted.get(place) ?? [])]
  })
  return { ...graph, nodes }
}
