/**
 * Infers the shapes and element types of a graph's values from its inputs and constants, by ONNX's operator definitions. Shapes
 * that are computed at run time, as in a model for any number of images, stay unknown. So do the values that depend on them.
 */
import type { Shape } from "../../shapes/Shape.ts"
import * as Graph from "./Graph.ts"

/** The shape and element type of a value. */
export type Type = Omit<Graph.Value, "name">

/** An operator: its attributes, the types of its operands, and the integers of constant operands. */
interface Read {
  readonly attributes: Graph.Node["attributes"]
  readonly types: ReadonlyArray<Type>
  /** Returns the elements of a constant operand. */
  readonly integers: (operand: number) => ReadonlyArray<number> | undefined
}

type Rule = (read: Read) => Type | ReadonlyArray<Type> | undefined

const broadcast = (...shapes: ReadonlyArray<Shape>): Shape => {
  const rank = Math.max(...shapes.map(({ length }) => length))
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce((dim, shape) => {
      const own = shape[shape.length - rank + axis] ?? 1
      return own === 1 ? dim : own
    }, 1))
}

/** A rule for elementwise operators: shapes broadcast. The element type is that of the given operand, or the given type. */
const elementwise = (dtype: number | Graph.Element = 0): Rule => ({ types }) => ({
  shape: broadcast(...types.map(({ shape }) => shape)),
  dtype: typeof dtype === "string" ? dtype : types[dtype]!.dtype
})

const number = (attribute: Graph.Attribute | undefined, otherwise = 0): number =>
  typeof attribute === "number" ? attribute : otherwise

const list = (attribute: Graph.Attribute | undefined): ReadonlyArray<number> | undefined =>
  Array.isArray(attribute) ? attribute : undefined

const product: Rule = ({ attributes, types: [a, b] }) => {
  const columns = b!.shape.at(attributes["transB"] === 1 ? -2 : -1)!
  // A list stands for one row, which the result then does not have.
  const rows = a!.shape.length === 1 ? [] : [a!.shape.at(attributes["transA"] === 1 ? -1 : -2)!]
  return { ...a!, shape: [...broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), ...rows, columns] }
}

const without = (shape: Shape, axes: ReadonlyArray<number>, keep: boolean): Shape => {
  const gone = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)))
  return keep ? shape.map((dim, axis) => (gone.has(axis) ? 1 : dim)) : shape.filter((_, axis) => !gone.has(axis))
}

const reduction: Rule = ({ attributes: { axes, keepdims }, integers, types: [x] }) => ({
  ...x!,
  shape: without(x!.shape, list(axes) ?? integers(1) ?? [...x!.shape.keys()], number(keepdims, 1) === 1)
})

const position: Rule = ({ attributes: { axis, keepdims }, types: [x] }) => ({
  shape: without(x!.shape, [number(axis)], number(keepdims, 1) === 1),
  dtype: "int64"
})

/** A rule for operators whose shape follows from the first operand's shape and the second operand's integers. */
const shaped = (shapeOf: (shape: Shape, given: ReadonlyArray<number>) => Shape): Rule => ({ integers, types: [x] }) => {
  const given = integers(1)
  return given && { ...x!, shape: shapeOf(x!.shape, given) }
}

const sliced = (dim: number, start: number, end: number, step: number): number => {
  const place = (bound: number, least: number, most: number) =>
    Math.min(Math.max(bound < 0 ? bound + dim : bound, least), most)
  const [from, to] = step > 0
    ? [place(start, 0, dim), place(end, 0, dim)]
    : [place(start, 0, dim - 1), place(end, -1, dim)]
  return Math.max(0, Math.ceil((to - from) / step))
}

const slice: Rule = ({ integers, types: [x] }) => {
  const [starts, ends, axes = [...x!.shape.keys()], steps] = [1, 2, 3, 4].map(integers)
  if (starts === undefined || ends === undefined) return undefined
  const lengths = axes.map((axis, i) => sliced(x!.shape[axis]!, starts[i]!, ends[i]!, steps?.[i] ?? 1))
  return { ...x!, shape: x!.shape.map((dim, axis) => lengths[axes.indexOf(axis)] ?? dim) }
}

const at = (axis: number, { shape }: Type): number => (axis < 0 ? axis + shape.length : axis)

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    ("Abs Add And Ceil Clip Cos CumSum Div Elu Erf Exp Floor Gelu HardSigmoid Identity Log LogSoftmax Max Min Mul Neg Not Or " +
      "Pow Reciprocal Relu Round Sigmoid Sign Sin Softmax Softplus Sqrt Sub Sum Tanh").split(" ")
      .map((name) => [name, elementwise()])
  ),
  ...Object.fromEntries(
    "Equal Greater GreaterOrEqual IsNaN Less LessOrEqual".split(" ").map((name) => [name, elementwise("bool")])
  ),
  ...Object.fromEntries(
    "ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare".split(" ").map((name) => [name, reduction])
  ),
  ArgMax: position,
  ArgMin: position,
  Cast: ({ attributes, types: [x] }) => {
    const dtype = Graph.elementOf(number(attributes["to"]))
    return dtype && { ...x!, dtype }
  },
  Concat: ({ attributes, types }) => {
    const [first] = types
    const axis = at(number(attributes["axis"]), first!)
    return { ...first!, shape: first!.shape.with(axis, types.reduce((sum, { shape }) => sum + shape[axis]!, 0)) }
  },
  Expand: shaped((shape, target) => broadcast(shape, target)),
  FusedMatMul: product,
  Gather: ({ attributes, types: [x, indices] }) => {
    const axis = at(number(attributes["axis"]), x!)
    return { ...x!, shape: x!.shape.toSpliced(axis, 1, ...indices!.shape) }
  },
  GatherElements: ({ types: [x, indices] }) => ({ ...x!, shape: indices!.shape }),
  GatherND: ({ attributes, types: [x, indices] }) => {
    const depth = number(attributes["batch_dims"]) + indices!.shape.at(-1)!
    return { ...x!, shape: [...indices!.shape.slice(0, -1), ...x!.shape.slice(depth)] }
  },
  LayerNormalization: ({ types: [x] }) => {
    const rows = { ...x!, shape: [...x!.shape.slice(0, -1), 1] }
    return [x!, rows, rows]
  },
  MatMul: product,
  OneHot: ({ integers, types: [indices, , values] }) => {
    const depth = integers(1)
    return depth && { ...values!, shape: [...indices!.shape, ...depth] }
  },
  Pad: shaped((shape, pads) => shape.map((dim, axis) => dim + pads[axis]! + pads[axis + shape.length]!)),
  Reshape: shaped((_, shape) => shape),
  ScatterElements: ({ types: [x] }) => x,
  Shape: ({ types: [x] }) => ({ shape: [x!.shape.length], dtype: "int64" }),
  Slice: slice,
  Split: ({ attributes, integers, types: [x] }) =>
    integers(1)?.map((part) => ({ ...x!, shape: x!.shape.with(at(number(attributes["axis"]), x!), part) })),
  Tile: shaped((shape, times) => shape.map((dim, axis) => dim * times[axis]!)),
  TopK: ({ integers, types: [x] }) => {
    const [length] = integers(1) ?? []
    const shape = length === undefined ? undefined : [...x!.shape.slice(0, -1), length]
    return shape && [{ ...x!, shape }, { shape, dtype: "int64" }]
  },
  Transpose: ({ attributes, types: [x] }) => {
    const axes = list(attributes["perm"]) ?? [...x!.shape.keys()].toReversed()
    return { ...x!, shape: axes.map((axis) => x!.shape[axis]!) }
  },
  Where: elementwise(1)
}

/** Infers the type of every value that is known before the graph runs, by name. */
export const infer = ({ constants, inputs, nodes }: Graph.Graph): ReadonlyMap<string, Type> => {
  const found = new Map<string, Type>(
    [...inputs, ...constants].map(({ dtype, name, shape }) => [name, { dtype, shape }])
  )
  const data = new Map(constants.map((constant) => [constant.name, constant.data]))
  for (const { attributes, inputs: operands, operation, outputs } of nodes) {
    const types = operands.flatMap((operand) => found.get(operand) ?? [])
    if (types.length < operands.length) continue
    const integers = (operand: number) => {
      const values = data.get(operands[operand] ?? "")
      return values && Array.from<number | bigint, number>(values, Number)
    }
    const made = [RULES[operation]?.({ attributes, types, integers }) ?? []].flat()
    for (const [i, type] of made.entries()) found.set(outputs[i]!, type)
  }
  return found
}
