/**
 * The graph of a traced step: calls of the method's operations, in the order in which the step makes them. Every value has its
 * shape and element type. A graph says nothing of the engine that runs it: each operation is written for an engine later.
 */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"

/**
 * The element types inside of a graph. In bfloat16, values only wait between operations (`Autocast`). Inputs, constants and results are of
 * the other types.
 */
export type Element = DType | "bfloat16"

/** The precision of the matrix products of a graph. */
export type Precision = "fp32" | "tf32" | "bf16"

/** The shape and element type of a value. */
export interface Type<D extends Element = DType> {
  readonly shape: Shape
  readonly dtype: D
}

/** A named value. */
export interface Value<D extends Element = DType> extends Type<D> {
  readonly name: string
}

/** The elements of a constant. */
export type Data = Float32Array | Int32Array | Uint8Array

/** A constant. */
export interface Constant extends Value {
  readonly data: Data
}

/** A property of a call: a number, a word, or a list of these. */
export type Attribute = number | boolean | string | ReadonlyArray<number> | ReadonlyArray<string>

/** The properties of a call. */
export type Attributes = Readonly<Record<string, Attribute>>

/** One call of an operation. */
export interface Node<D extends Element = DType> {
  /** The name of the operation. */
  readonly operation: string
  readonly inputs: ReadonlyArray<Value<D>>
  readonly outputs: ReadonlyArray<Value<D>>
  readonly attributes: Attributes
  /** Floating-point operations of a matrix product, 0 for all other operations and for products that are computed again. */
  readonly flops: number
}

/** A result of a graph. Its `value` is computed, or an input, or a constant. */
export interface Output<D extends Element = DType> {
  readonly name: string
  readonly value: Value<D>
}

/** A whole step. */
export interface Graph<D extends Element = DType> {
  readonly name: string
  /** The precision of matrix products. A traced step is in fp32; `Autocast` makes the others of it. */
  readonly precision: Precision
  readonly nodes: ReadonlyArray<Node<D>>
  readonly constants: ReadonlyArray<Constant>
  readonly inputs: ReadonlyArray<Value>
  readonly outputs: ReadonlyArray<Output<D>>
}

/** A point at which a network can be cut: a value, and its gradient. */
export interface Boundary {
  readonly value: Value
  readonly gradient: Value
}

/** Counts the floating-point operations of all matrix products. A multiplication and an addition count as two. */
export const flops = (graph: Graph<Element>): number => graph.nodes.reduce((sum, node) => sum + node.flops, 0)

const renamed = ({ nodes, outputs, ...rest }: Graph): Graph => {
  const computed = new Set(nodes.flatMap((node) => node.outputs.map(({ name }) => name)))
  const names = new Map<string, string>()
  for (const { name, value } of outputs) {
    if (computed.has(value.name) && !names.has(value.name)) names.set(value.name, name)
  }
  const named = (value: Value): Value => ({ ...value, name: names.get(value.name) ?? value.name })
  return {
    ...rest,
    nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) })),
    outputs: outputs.map(({ name, value }) => ({ name, value: named(value) }))
  }
}

/**
 * Returns the nodes on which the values in `needed` depend, in order, and adds the operands of these nodes to `needed`. `namesOf` gives
 * the names that a node reads and makes.
 */
export const needing = <N>(
  nodes: ReadonlyArray<N>,
  needed: Set<string>,
  namesOf: (node: N) => { readonly inputs: ReadonlyArray<string>; readonly outputs: ReadonlyArray<string> }
): ReadonlyArray<N> =>
  nodes.toReversed().filter((node) => {
    const { inputs, outputs } = namesOf(node)
    if (!outputs.some((output) => needed.has(output))) return false
    for (const input of inputs) needed.add(input)
    return true
  }).toReversed()

const nameOf = ({ name }: Value): string => name

/**
 * Removes all that no output needs: calls, constants and inputs. A computed value gets the name of its first output. The order
 * of the calls stays.
 */
export const live = (graph: Graph): Graph => {
  const needed = new Set(graph.outputs.map(({ value }) => value.name))
  const nodes = needing(graph.nodes, needed, ({ inputs, outputs }) => ({
    inputs: inputs.map(nameOf),
    outputs: outputs.map(nameOf)
  }))
  return renamed({
    ...graph,
    nodes,
    constants: graph.constants.filter(({ name }) => needed.has(name)),
    inputs: graph.inputs.filter(({ name }) => needed.has(name))
  })
}
