/**
 * Writes the operations over all ranks of a traced step as sums, and the place of a rank as a constant. A rank is one of several workers
 * that train together, each on its share of the batch.
 *
 * The mean over ranks is their sum, divided by their number. A gradient is not divided itself, which would take a pass over memory. The
 * norm of all gradients and the factors of AdamW contain the division instead.
 */
import type * as AdamWSplit from "../graph/AdamWSplit.ts"
import type { Constant, Node, Output, Value } from "../graph/Graph.ts"
import { PMEAN, PSUM, RANK } from "../graph/Varying.ts"
import * as Elementwise from "../operations/Elementwise.ts"
import * as Reduction from "../operations/Reduction.ts"
import type { Traced } from "./Trace.ts"

/** The place of a rank among all. */
export interface Place {
  /** The number of the rank, from 0. */
  readonly rank: number
  readonly size: number
}

const number = (name: string, value: number): Constant => ({
  name,
  shape: [],
  dtype: "float32",
  data: Float32Array.of(value)
})

const call = (operation: string, inputs: ReadonlyArray<Value>, output: Value): Node => ({
  operation,
  inputs,
  outputs: [output],
  attributes: {},
  flops: 0
})

/** Returns the nodes that read each value. */
const readersOf = (nodes: ReadonlyArray<Node>): ReadonlyMap<string, ReadonlyArray<Node>> => {
  const readers = new Map<string, Array<Node>>()
  for (const node of nodes) {
    for (const name of new Set(node.inputs.map((input) => input.name))) {
      const known = readers.get(name)
      if (known === undefined) readers.set(name, [node])
      else known.push(node)
    }
  }
  return readers
}

/** Returns the numbers by which a product multiplies a gradient. */
const factorOf = (inputs: ReadonlyArray<Value>, gradient: string): ReadonlyArray<Value> =>
  inputs.filter(({ name, shape }) => name !== gradient && shape.length === 0)

/** Returns the gradients that need no division: only norms, products with a number, and AdamW read them. */
const undividedOf = ({ adamw, graph: { nodes, outputs } }: Traced): ReadonlySet<string> => {
  const readers = readersOf(nodes)
  const gradients = new Set(adamw.map(({ gradient }) => gradient))
  const isScaled = ({ inputs, operation }: Node, gradient: string) =>
    operation === Reduction.sumSquares.name ||
    (operation === Elementwise.mul.name && factorOf(inputs, gradient).length === 1)
  return new Set(
    nodes.filter(({ operation }) => operation === PMEAN).map(({ outputs: [mean] }) => mean!.name).filter((mean) => {
      const results = outputs.filter(({ value }) => value.name === mean)
      return results.length === 1 && results[0]!.name === mean && gradients.has(mean) &&
        (readers.get(mean) ?? []).every((node) => isScaled(node, mean))
    })
  )
}

/** Returns the traced step of one rank, in which the only operations over ranks are sums. */
export const of = (traced: Traced, place: Place): Traced => {
  const { rank, size } = place
  const { adamw, graph, result } = traced
  const undivided = undividedOf(traced)
  const share = number("ranks.share", 1 / size)
  const square = number("ranks.square", 1 / size ** 2)
  const constants: Array<Constant> = [...graph.constants, share, square]
  const divided = new Map<string, Value>()

  /** Returns the product of a number and a constant, and the node that computes it unless there is one. */
  const times = (value: Value, constant: Constant): readonly [product: Value, nodes: ReadonlyArray<Node>] => {
    const name = `${value.name}.${constant.name}`
    const known = divided.get(name)
    if (known !== undefined) return [known, []]
    const product = { ...value, name }
    divided.set(name, product)
    return [product, [call(Elementwise.mul.name, [value, constant], product)]]
  }

  const nodes = graph.nodes.flatMap((node): ReadonlyArray<Node> => {
    const { inputs, operation, outputs: [output] } = node
    if (operation === RANK) {
      constants.push({ ...output!, data: Int32Array.of(rank) })
      return []
    }
    const sum = { ...output!, name: `sum.${output!.name}` }
    if (operation === PMEAN) {
      return undivided.has(output!.name)
        ? [call(PSUM, inputs, output!)]
        : [call(PSUM, inputs, sum), call(Elementwise.mul.name, [sum, share], output!)]
    }
    const gradient = inputs.find(({ name }) => undivided.has(name))
    if (gradient === undefined) return [node]
    if (operation === Reduction.sumSquares.name) {
      return [call(operation, inputs, sum), call(Elementwise.mul.name, [sum, square], output!)]
    }
    const [factor] = factorOf(inputs, gradient.name)
    const [product, made] = times(factor!, share)
    return [...made, { ...node, inputs: inputs.map((input) => input === factor ? product : input) }]
  })

  const outputs = new Map(graph.outputs.map((output) => [output.name, output]))
  const dividedFactor = (name: string, constant: Constant): string => {
    const [value, made] = times(outputs.get(name)!.value, constant)
    nodes.push(...made)
    const output: Output = { name: `factor.${value.name}`, value }
    outputs.set(output.name, output)
    return output.name
  }
  const updates = adamw.map((update): AdamWSplit.AdamWUpdate => {
    const { factors, gradient, mean } = update
    if (!undivided.has(gradient)) return update
    const { takeFirst, takeMean, takeSecond } = factors
    const averaging = mean === undefined
      ? { takeFirst: dividedFactor(takeFirst, share), takeSecond: dividedFactor(takeSecond, square) }
      : { takeMean: dividedFactor(takeMean!, share) }
    return { ...update, factors: { ...factors, ...averaging } }
  })
  const read = new Set(updates.flatMap(({ factors }) => Object.values(factors)))
  const isRead = ({ name }: Output) => !name.startsWith("factor.") || read.has(name)
  return {
    result,
    adamw: updates,
    graph: { ...graph, nodes, constants, outputs: [...outputs.values()].filter(isRead) }
  }
}
