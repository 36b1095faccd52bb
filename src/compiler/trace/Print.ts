/**
 * Prints programs as text, for people and for tests: inputs, one line for each operator, outputs, and the updates that are left
 * to the engine. Equal programs give equal text. Names are those of the ONNX model.
 */
import type { Shape } from "../../shapes/Shape.ts"
import * as Graph from "../graph/Graph.ts"
import * as TypeInference from "../graph/TypeInference.ts"
import type { AdamWUpdate, Program, StateUpdate } from "./Program.ts"

/** The largest number of elements of a constant that is printed in place. Longer constants are listed by their shapes. */
const INLINE = 8

const REAL_DIGITS = 9

/** Returns the shortest decimal that reads back as the same 32-bit number. Whole numbers get a decimal point. */
const real = (value: number): string => {
  const digits = Array.from({ length: REAL_DIGITS }, (_, i) => Number(value.toPrecision(i + 1)))
  const shortest = `${digits.find((rounded) => Math.fround(rounded) === value) ?? value}`
  return /^-?\d+$/.test(shortest) ? `${shortest}.0` : shortest
}

const element = (dtype: Graph.Element, value: number | bigint): string =>
  dtype === "float32" ? real(Number(value)) : dtype === "bool" ? `${value !== 0}` : `${value}`

const nested = ([dim, ...rest]: Shape, elements: ReadonlyArray<string>): string => {
  if (dim === undefined) return elements[0]!
  const size = elements.length / dim
  return `[${Array.from({ length: dim }, (_, i) => nested(rest, elements.slice(i * size, (i + 1) * size))).join(", ")}]`
}

const inline = ({ data, dtype, shape }: Graph.Constant): string =>
  nested(shape, Array.from<number | bigint, string>(data, (value) => element(dtype, value)))

const typed = (name: string, type: TypeInference.Type | undefined): string =>
  type === undefined
    ? name
    : `${name}:${type.dtype}[${type.shape.map((dim) => (dim === Graph.FREE ? "?" : dim)).join()}]`

const attribute = (value: Graph.Attribute): string =>
  typeof value === "object" ? "float" in value ? real(value.float) : `[${value.join()}]` : `${value}`

const operator = ({ attributes, domain, operation }: Graph.Node): string => {
  const name = domain === "" ? operation : `${domain}.${operation}`
  const said = Object.entries(attributes).map(([key, value]) =>
    operation === "Cast" ? `${key}=${Graph.elementOf(Number(value))}` : `${key}=${attribute(value)}`
  )
  return said.length === 0 ? name : `${name}[${said.join(", ")}]`
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)]

const sections = (graph: Graph.Graph): ReadonlyArray<string> => {
  const types = TypeInference.infer(graph)
  const [short, long] = [true, false].map((isShort) =>
    graph.constants.filter(({ data }) => data.length <= INLINE === isShort)
  )
  const written = new Map(short!.map((constant) => [constant.name, inline(constant)]))
  const value = ({ name, ...type }: Graph.Value) => typed(name, type)
  return [
    graph.name,
    ...section("inputs", graph.inputs.map(value)),
    ...section("constants", long!.map(value)),
    ...section(
      "operators",
      graph.nodes.map((node) => {
        const results = node.outputs.map((output) => typed(output, types.get(output))).join(", ")
        return [results, "=", operator(node), ...node.inputs.map((input) => written.get(input) ?? input)].join(" ")
      })
    ),
    ...section("outputs", graph.outputs.map(value))
  ]
}

const update = ({ inPlace, input, output }: StateUpdate): string => `${input} = ${output}${inPlace ? ", in place" : ""}`

const factorsOf = ({ factors }: AdamWUpdate): string =>
  `AdamW[${Object.entries(factors).map(([key, name]) => `${key}=${name}`).join(", ")}]`

const adamw = ({ first, gradient, mean, parameter, second, transposed }: AdamWUpdate): string =>
  `${[parameter, first, second, ...(mean === undefined ? [] : [mean])].join(", ")} by ${gradient}${
    transposed ? ", transposed" : ""
  }`

const lines = (parts: ReadonlyArray<string>): string => parts.map((line) => `${line}\n`).join("")

/** Prints a graph as text. */
export const graph = (of: Graph.Graph): string => lines(sections(of))

/**
 * Prints a program as text: its graph, the states that the engine replaces after a run, those that it updates itself with
 * AdamW, and the number of operations in the matrix products.
 */
export const program = (of: Program): string =>
  lines([
    ...sections(of),
    ...section("updates", of.updates.map(update)),
    ...Array.from(Map.groupBy(of.adamw, factorsOf), ([title, all]) => section(title, all.map(adamw))).flat(),
    `${Graph.flops(of)} flops in matrix products`
  ])
