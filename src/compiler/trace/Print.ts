/**
 * Prints traced steps as text, for people and for tests: inputs, one line for each operation, outputs, and the updates that are
 * left to the engine. Equal steps give equal text.
 */
import type { Shape } from "../../shapes/Shape.ts"
import type { AdamWUpdate } from "../graph/AdamWSplit.ts"
import * as Graph from "../graph/Graph.ts"
import type { Traced } from "./Trace.ts"

/** The largest number of elements of a constant that is printed in place. Longer constants are listed by their shapes. */
const INLINE = 8

const REAL_DIGITS = 9

/** Returns the shortest decimal that reads back as the same 32-bit number. Whole numbers get a decimal point. */
const real = (value: number): string => {
  const digits = Array.from({ length: REAL_DIGITS }, (_, i) => Number(value.toPrecision(i + 1)))
  const shortest = `${digits.find((rounded) => Math.fround(rounded) === value) ?? value}`
  return /^-?\d+$/.test(shortest) ? `${shortest}.0` : shortest
}

const element = (dtype: Graph.Type["dtype"], value: number): string =>
  dtype === "float32" ? real(value) : dtype === "bool" ? `${value !== 0}` : `${value}`

const nested = ([dim, ...rest]: Shape, elements: ReadonlyArray<string>): string => {
  if (dim === undefined) return elements[0]!
  const size = elements.length / dim
  return `[${Array.from({ length: dim }, (_, i) => nested(rest, elements.slice(i * size, (i + 1) * size))).join(", ")}]`
}

const inline = ({ data, dtype, shape }: Graph.Constant): string =>
  nested(shape, Array.from(data, (value) => element(dtype, value)))

const typed = ({ dtype, name, shape }: Graph.Value<Graph.Element>): string => `${name}:${dtype}[${shape.join()}]`

const attribute = (key: string, value: Graph.Attribute): ReadonlyArray<string> =>
  typeof value === "boolean"
    ? value ? [key] : []
    : [`${key}=${Array.isArray(value) ? `[${value.join()}]` : value}`]

const operation = ({ attributes, operation: name }: Graph.Node<Graph.Element>): string => {
  const said = Object.entries(attributes).flatMap(([key, value]) => attribute(key, value))
  return said.length === 0 ? name : `${name}[${said.join(", ")}]`
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)]

const sections = (graph: Graph.Graph<Graph.Element>): ReadonlyArray<string> => {
  const [short, long] = [true, false].map((isShort) =>
    graph.constants.filter(({ data }) => data.length <= INLINE === isShort)
  )
  const written = new Map(short!.map((constant) => [constant.name, inline(constant)]))
  return [
    graph.precision === "fp32" ? graph.name : `${graph.name} in ${graph.precision}`,
    ...section("inputs", graph.inputs.map(typed)),
    ...section("constants", long!.map(typed)),
    ...section(
      "operations",
      graph.nodes.map((node) =>
        [
          node.outputs.map(typed).join(", "),
          "=",
          operation(node),
          ...node.inputs.map(({ name }) => written.get(name) ?? name)
        ].join(" ")
      )
    ),
    ...section(
      "outputs",
      graph.outputs.map(({ name, value }) => {
        const output = typed({ ...value, name })
        return name === value.name ? output : `${output} = ${written.get(value.name) ?? value.name}`
      })
    )
  ]
}

const factorsOf = ({ factors }: AdamWUpdate): string =>
  `AdamW[${Object.entries(factors).map(([key, name]) => `${key}=${name}`).join(", ")}]`

const adamw = ({ ema, first, gradient, mean, parameter, second }: AdamWUpdate): string =>
  `${[parameter, first, second, mean, ema].filter((name) => name !== undefined).join(", ")} by ${gradient}`

/**
 * Prints a traced step as text: its graph, the states that the engine updates itself with AdamW, and the number of operations
 * in the matrix products.
 */
export const traced = (of: Traced<Graph.Element>): string =>
  [
    ...sections(of.graph),
    ...Array.from(Map.groupBy(of.adamw, factorsOf), ([title, all]) => section(title, all.map(adamw))).flat(),
    `${Graph.flops(of.graph)} flops in matrix products`
  ].map((line) => `${line}\n`).join("")
