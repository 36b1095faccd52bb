import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as NodeOrder from "../../src/compiler/onnx/NodeOrder.ts"
import type { Node } from "../../src/compiler/onnx/OnnxGraph.ts"

const node = (output: string, ...inputs: ReadonlyArray<string>): Node => ({
  operation: "Sum",
  domain: "",
  inputs,
  outputs: [output],
  attributes: {}
})

const LAYERS = 12

const layers = Array.from({ length: LAYERS }, (_, i) => i)

const trainingBy = (squared: (name: string, of: string) => ReadonlyArray<Node>): ReadonlyArray<Node> => [
  ...layers.map((i) => node(`x${i + 1}`, `x${i}`)),
  node(`dx${LAYERS}`, `x${LAYERS}`),
  ...layers.toReversed().flatMap((i) => [node(`dx${i}`, `dx${i + 1}`), node(`dw${i}`, `dx${i + 1}`, `x${i}`)]),
  ...layers.flatMap((i) => squared(`squared${i}`, `dw${i}`)),
  ...layers.map((i) => node(`length${i}`, `squared${i}`)),
  node("norm", ...layers.map((i) => `length${i}`)),
  node("copied", "dx0")
]

const training = trainingBy((name, of) => [node(name, of)])

const multiplied = trainingBy((name, of) => [node(`rows.${of}`, of), node(name, `rows.${of}`, `rows.${of}`)])

const asRun = (nodes: ReadonlyArray<Node>): ReadonlyArray<Node> => {
  const makers = new Map(nodes.flatMap(({ outputs }, place) => outputs.map((output) => [output, place] as const)))
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  const order: Array<number> = []
  const visit = (place: number): void => {
    if (order.includes(place)) return
    nodes[place]!.inputs.flatMap((input) => makers.get(input) ?? []).toSorted((a, b) => b - a).forEach(visit)
    order.push(place)
  }
  const ends = Array.from(nodes.keys()).filter((place) => !nodes[place]!.outputs.some((output) => read.has(output)))
  ends.toReversed().forEach(visit)
  return order.map((place) => nodes[place]!)
}

const mostHeld = (order: ReadonlyArray<Node>): number => {
  const last = new Map(order.flatMap(({ inputs }, place) => inputs.map((input) => [input, place] as const)))
  const held = new Set<string>()
  return Math.max(...order.map(({ outputs }, place) => {
    for (const output of outputs) if (last.has(output)) held.add(output)
    const most = held.size
    for (const value of held) if (last.get(value)! <= place) held.delete(value)
    return most
  }))
}

const canRun = (nodes: ReadonlyArray<Node>): boolean => {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs))
  const known = new Set<string>()
  return nodes.every(({ inputs, outputs }) => {
    const ready = inputs.every((input) => !made.has(input) || known.has(input))
    for (const output of outputs) known.add(output)
    return ready
  })
}

const graphs = fc.array(fc.array(fc.nat(), { maxLength: 12 }), { minLength: 1, maxLength: 60 }).map((lists) =>
  lists.map((inputs, place) => node(`v${place}`, ...inputs.map((input) => place === 0 ? "in" : `v${input % place}`)))
)

describe("the order of nodes", () => {
  it("lets gradients of weights be taken as the backward pass goes", () => {
    assert.isAtLeast(mostHeld(asRun(training)), 2 * LAYERS)
    assert.isAtMost(mostHeld(asRun(NodeOrder.lean(training))), LAYERS + 4)
    assert.isAtMost(mostHeld(asRun(NodeOrder.lean(multiplied))), LAYERS + 4)
  })

  it("lists the operands of a long sum with the latest first", () => {
    const listed = NodeOrder.lean(training).flatMap(({ outputs }) => outputs).filter((name) => name.startsWith("dw"))
    assert.deepStrictEqual(listed, layers.map((i) => `dw${i}`))
  })

  it("holds the same nodes, and each behind what it reads", () => {
    fc.assert(fc.property(graphs, (nodes) => {
      const ordered = NodeOrder.lean(nodes)
      assert.sameMembers([...ordered], nodes)
      assert.isTrue(canRun(ordered))
    }))
  })
})
