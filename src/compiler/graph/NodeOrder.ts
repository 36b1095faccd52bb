/**
 * The order in which a program's nodes are listed, and with it the order in which ONNX Runtime runs them: of all nodes that
 * nobody reads it takes the last listed first, and of a node's operands the last listed first.
 *
 * Listed as a step calls them, the norm of all gradients would have the whole backward pass run before the first gradient
 * of a weight, and everything that these need would be held until the end. So operands of a long list are listed with
 * those last that can be had first, and what nobody reads as early as it can be.
 */
import type { Node } from "./Graph.ts"

const LONG = 8

/** The same nodes in an order in which they hold little at a time. */
export const lean = (nodes: ReadonlyArray<Node>): ReadonlyArray<Node> => {
  const makers = new Map(nodes.flatMap(({ outputs }, place) => outputs.map((output) => [output, place] as const)))
  const readers = new Map<string, number>()
  for (const { inputs } of nodes) for (const input of new Set(inputs)) readers.set(input, (readers.get(input) ?? 0) + 1)
  const read = (place: number) => nodes[place]!.outputs.reduce((sum, output) => sum + (readers.get(output) ?? 0), 0)
  const made = (place: number) => [...new Set(nodes[place]!.inputs)].flatMap((input) => makers.get(input) ?? [])

  const before = new Map<number, ReadonlyArray<number>>()
  const behind = new Map<number, ReadonlyArray<number>>()

  /** The nodes from an operand back to the first that others read, or that needs more than one. */
  const chain = (place: number): ReadonlyArray<number> => {
    const [only, ...more] = made(place)
    return only === undefined || more.length > 0 || read(only) > 1 ? [place] : [...chain(only), place]
  }
  const earliest = (place: number) => Math.max(-1, ...made(place))

  for (const place of nodes.keys()) {
    const operands = [...new Set(made(place))].filter((operand) => read(operand) === 1)
    if (operands.length > LONG) {
      const chains = operands.map(chain).toSorted((a, b) => earliest(b[0]!) - earliest(a[0]!))
      before.set(place, chains.flat())
    } else if (read(place) === 0) {
      const after = earliest(place)
      behind.set(after, [...(behind.get(after) ?? []), place])
    }
  }
  const moved = new Set([...before.values(), ...behind.values()].flat())
  const listed = (place: number): ReadonlyArray<number> => [
    ...(before.get(place) ?? []),
    place,
    ...(behind.get(place) ?? []).flatMap(listed)
  ]
  return [...(behind.get(-1) ?? []), ...Array.from(nodes.keys()).filter((place) => !moved.has(place)).flatMap(listed)]
    .map((place) => nodes[place]!)
}
