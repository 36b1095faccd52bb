/**
 * Computes the matrix products of a traced step in another precision, by the rules of PyTorch's autocast.
 *
 * In `tf32` the device rounds the factors of products to 10 bits of the fraction, and the graph stays as it is. In `bf16` products take
 * factors of bfloat16, and what lies between products waits in bfloat16. Each operation says what becomes of it (`Operation.precision`).
 * Besides,
 *
 * - a value from which no product follows is float32. So gradients of weights come to the optimizer as float32, and the optimizer, moving
 *   averages, metrics and the results of an inference are float32;
 * - a weight stays float32, and is rounded once in a step for all products that read it;
 * - a number that is a constant changes no element type. Neither does what is added to a product and repeated for it: the bias of a layer,
 *   or that of attention scores. PyTorch rounds them with the factors. Other parameters, such as the factors of layer scale, widen what
 *   they are joined with;
 * - a product that is `exact` is computed in float32: those of a lookup of codes, and of the gradient of layer norm.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Autocast, Print, Trace } from "patchword/compiler"
 * import { Linear, Tensor } from "patchword/shapes"
 *
 * const traced = Trace.inference({
 *   name: "projection",
 *   weights: { weight: Tensor.spec([4, 3]) },
 *   batch: { x: Tensor.spec([2, 3]) },
 *   run: ({ weight }, { x }) => ({ y: Linear.project(x, weight) })
 * })
 * const { nodes } = Autocast.apply(traced.graph, "bf16")
 * assert.deepStrictEqual(nodes.map(({ operation }) => operation), ["cast", "cast", "matMul"])
 * ```
 */
import { size } from "../../shapes/HostTensor.ts"
import type { Element, Graph, Node, Precision, Value } from "../graph/Graph.ts"
import * as Elementwise from "../operations/Elementwise.ts"
import * as Operations from "../operations/Operations.ts"

const ruleOf = ({ attributes, operation }: Node) => {
  const { precision } = Operations.named(operation)
  return precision === "product" && attributes.exact === true ? undefined : precision
}

/** Returns the nodes from whose results a product follows. */
const beforeProducts = (nodes: ReadonlyArray<Node>): ReadonlySet<Node> => {
  const read = new Set<string>()
  return new Set(
    nodes.toReversed().filter((node) => {
      const isBefore = node.outputs.some(({ name }) => read.has(name))
      if (isBefore || ruleOf(node) === "product") { for (const { name } of node.inputs) read.add(name) }
      return isBefore
    })
  )
}

const rounded = (graph: Graph): Graph<Element> => {
  const before = beforeProducts(graph.nodes)
  /** The values of the new graph that differ from those of the old. */
  const kept = new Map<string, Value<Element>>()
  const copies = new Map<string, Value<Element>>()
  const products = new Set<string>()
  const plain = new Set(graph.constants.filter(({ data }) => data.length === 1).map(({ name }) => name))
  const nodes: Array<Node<Element>> = []

  const valueOf = (value: Value): Value<Element> => kept.get(value.name) ?? value
  const copyAs = (value: Value<Element>, to: Element): Value<Element> => {
    if (value.dtype === to) return value
    const known = copies.get(value.name)
    if (known !== undefined) return known
    const copy = { ...value, name: `${value.name}.${to}`, dtype: to }
    nodes.push({ operation: Elementwise.cast.name, inputs: [value], outputs: [copy], attributes: { to }, flops: 0 })
    copies.set(value.name, copy)
    return copy
  }

  for (const node of graph.nodes) {
    const rule = ruleOf(node)
    const { inputs, operation, outputs } = node
    const isProduct = rule === "product" || (rule === "moved" && products.has(inputs[0]?.name ?? ""))
    const isBiased = operation === Elementwise.add.name && inputs.some(({ name }) => products.has(name))
    const isPlain = ({ name, shape }: Value) => plain.has(name) || (isBiased && size(shape) < size(outputs[0]!.shape))
    const given = inputs.map((value) => rule === "product" ? copyAs(valueOf(value), "bfloat16") : valueOf(value))
    const wide = given.filter(({ dtype }, i) => dtype === "bfloat16" || (dtype === "float32" && !isPlain(inputs[i]!)))
    const isShort = rule !== undefined && before.has(node) && wide.length > 0 &&
      wide.every(({ dtype }) => dtype === "bfloat16")
    const made = outputs.map((value): Value<Element> =>
      isShort && value.dtype === "float32" ? { ...value, dtype: "bfloat16" } : value
    )
    for (const { name } of outputs) {
      if (isProduct) products.add(name)
      // An array that is filled with one number.
      if (inputs.length === 0) plain.add(name)
    }
    for (const value of made) if (value.dtype === "bfloat16") kept.set(value.name, value)
    nodes.push({ ...node, inputs: given, outputs: made })
  }
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: copyAs(valueOf(value), value.dtype) }))
  return { ...graph, precision: "bf16", nodes, outputs }
}

/** Returns the graph with its products in a precision. In `fp32` it is the same graph. */
export const apply = (graph: Graph, precision: Precision): Graph<Element> =>
  precision === graph.precision ? graph : precision === "bf16" ? rounded(graph) : { ...graph, precision }
