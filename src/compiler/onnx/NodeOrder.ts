/**
 * Orders a program's nodes so that ONNX Runtime needs little memory. ONNX Runtime derives its execution order from the order of
 * the list. Of all nodes without readers it starts with the one listed last, and of a node's operands also with the one listed
 * last.
 *
 * The order in which a step calls its operations would be costly. The norm of all gradients would force the whole backward pass
 * before the first gradient of a weight, and all operands of these gradients would stay in memory until the end. So the
 * operands of a node with many operands are listed in reverse order of availability. Nodes without readers are listed as early
 * as possible.
 */
import type { Node } from "./OnnxGraph.ts"

const LONG = 8

/** Returns the same nodes in an order that keeps few values in memory at a time. */
export const lean = (nodes: ReadonlyArray<Node>): ReadonlyArray<Node> => {
  const makers = new Map(nodes.flatMap(({ outputs }, place) => outputs.map((output) => [output, place] as const)))
  const readers = new Map<string, number>()
  for (const { inputs } of nodes) for (const input of new Set(inputs)) readers.set(input, (readers.get(input) ?? 0) + 1)
  const read = (place: number) => nodes[place]!.outputs.reduce((sum, output) => sum + (readers.get(output) ?? 0), 0)
  const made = (place: number) => [...new Set(nodes[place]!.inputs)].flatMap((input) => makers.get(input) ?? [])

  const before = new Map<number, ReadonlyArray<number>>()
  const behind = new Map<number, ReadonlyArray<number>>()

  /** Returns the chain of nodes that leads to an operand. It starts behind a shared node or at one with several operands. */
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
