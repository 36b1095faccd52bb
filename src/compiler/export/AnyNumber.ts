/**
 * Builds the graph of an inference for any number of images.
 *
 * Programs are traced with fixed shapes. So an inference is traced twice, with two numbers of images. The two graphs differ in
 * lists of lengths only, and each length is linear in the number of images. The model computes these lists from the length of
 * its input's first axis.
 */
import * as ShapeError from "../../shapes/ShapeError.ts"
import { NotTraceable } from "../kernels/Tracer.ts"
import * as OnnxGraph from "../onnx/OnnxGraph.ts"

/** Two numbers of images. No length of a network coincides with them. */
const FEW = 97
const MANY = 101

const refuse = (operation: string, problem: string): never => {
  throw new NotTraceable(`the number of images cannot be left open: ${problem} in ${operation}`)
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const integers = (data: OnnxGraph.Constant["data"]): ReadonlyArray<bigint> =>
  Array.from<number | bigint, bigint>(data, BigInt)

/** The lengths `slopes n + offsets` for `n` images. */
interface Line {
  readonly slopes: ReadonlyArray<bigint>
  readonly offsets: ReadonlyArray<bigint>
}

const line = (few: ReadonlyArray<bigint>, many: ReadonlyArray<bigint>): Line | undefined => {
  const slopes = few.map((value, i) => (many[i]! - value) / BigInt(MANY - FEW))
  const offsets = few.map((value, i) => value - BigInt(FEW) * slopes[i]!)
  const isLinear = many.every((value, i) => value === offsets[i]! + BigInt(MANY) * slopes[i]!)
  return isLinear ? { slopes, offsets } : undefined
}

/** Collects the nodes and constants that compute lists of lengths from an input. Each list is computed once. */
const lengths = (input: string) => {
  const nodes: Array<OnnxGraph.Node> = []
  const constants: Array<OnnxGraph.Constant> = []
  const known = new Set<string>()
  const node = (operation: string, output: string, ...inputs: ReadonlyArray<string>) => {
    nodes.push({ operation, domain: "", inputs, outputs: [output], attributes: {} })
    return output
  }
  const constant = (name: string, values: ReadonlyArray<bigint>) => {
    constants.push({ name, shape: [values.length], dtype: "int64", data: BigInt64Array.from(values) })
    return name
  }
  const once = (name: string, make: () => void) => {
    if (!known.has(name)) make()
    known.add(name)
    return name
  }
  const images = () =>
    once("images.count", () => {
      node("Gather", "images.count", node("Shape", "images.shape", input), constant("images.axis", [0n]))
    })
  const compute = (name: string, { offsets, slopes }: Line) =>
    once(name, () => {
      const varying = node("Mul", `${name}.varying`, images(), constant(`${name}.slopes`, slopes))
      node("Add", name, varying, constant(`${name}.offsets`, offsets))
    })
  return { nodes, constants, compute }
}

type Compute = ReturnType<typeof lengths>["compute"]

/** Returns the name of a constant if it is equal in both graphs, and otherwise the name of the list that is computed. */
const list = (few: OnnxGraph.Constant, many: OnnxGraph.Constant, operation: string, compute: Compute): string => {
  const differs = () => refuse(operation, `a constant ${ShapeError.show(few.shape)} depends on it`)
  if (!same([few.shape, few.dtype], [many.shape, many.dtype])) return differs()
  if (Array.from<number | bigint>(few.data).every((value, i) => value === many.data[i])) return few.name
  if (few.dtype !== "int64") return differs()
  const found = line(integers(few.data), integers(many.data))
  return compute(`${few.name}.${many.name}`, found ?? refuse(operation, "a length is not linear in it"))
}

const byName = ({ constants }: OnnxGraph.Graph) => new Map(constants.map((constant) => [constant.name, constant]))

/** Returns the nodes of the first graph. They read computed lists in place of constants that differ in the second graph. */
const rewritten = (few: OnnxGraph.Graph, many: OnnxGraph.Graph, compute: Compute): ReadonlyArray<OnnxGraph.Node> => {
  if (few.nodes.length !== many.nodes.length) refuse(few.name, "the operators depend on it")
  const [ofFew, ofMany] = [byName(few), byName(many)]
  return few.nodes.map((node, place) => {
    const { attributes, inputs, operation } = node
    const other = many.nodes[place]!
    if (operation !== other.operation || !same(attributes, other.attributes) || inputs.length !== other.inputs.length) {
      refuse(operation, "an operator depends on it")
    }
    const operand = (name: string, at: number) => {
      const [a, b] = [ofFew.get(name), ofMany.get(other.inputs[at]!)]
      if (a !== undefined && b !== undefined) return list(a, b, operation, compute)
      return a === undefined && b === undefined ? name : refuse(operation, "an operand depends on it")
    }
    return { ...node, inputs: inputs.map(operand) }
  })
}

/** Returns inputs or outputs. Their first axis is free if it is the number of images. */
const opened = (
  few: ReadonlyArray<OnnxGraph.Value>,
  many: ReadonlyArray<OnnxGraph.Value>
): ReadonlyArray<OnnxGraph.Value> =>
  few.map((value, i) => {
    const varying = value.shape.map((dim, axis) => dim !== many[i]!.shape[axis])
    if (varying.some((varies, axis) => varies && (axis > 0 || value.shape[axis] !== FEW))) {
      refuse(value.name, `its shape ${ShapeError.show(value.shape)} is not that many rows`)
    }
    return { ...value, shape: value.shape.map((dim, axis) => (varying[axis] ? OnnxGraph.FREE : dim)) }
  })

/**
 * Builds the graph whose input `input` has any number of rows, from graphs for fixed numbers of rows.
 *
 * @throws NotTraceable when the graphs for two numbers differ in more than lengths that are linear in the number.
 */
export const graph = (of: (images: number) => OnnxGraph.Graph, input: string): OnnxGraph.Graph => {
  const [few, many] = [of(FEW), of(MANY)]
  const { compute, constants, nodes } = lengths(input)
  const all = rewritten(few, many, compute)
  const read = new Set([...nodes, ...all].flatMap(({ inputs }) => inputs))
  return {
    ...few,
    nodes: [...nodes, ...all],
    constants: [...few.constants.filter(({ name }) => read.has(name)), ...constants],
    inputs: opened(few.inputs, many.inputs),
    outputs: opened(few.outputs, many.outputs)
  }
}
