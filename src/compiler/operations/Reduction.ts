/** Sums, extremes and their places along axes. Axes are counted from the front and listed in order. */
import { type DType, size } from "../../shapes/HostTensor.ts"
import type { Type } from "../graph/Graph.ts"
import { reduced } from "../graph/Types.ts"
import type { OnnxWriter } from "../onnx/OnnxWriter.ts"
import { type Id, inside, type NodeWriter, typed } from "../tensorflow/NodeWriter.ts"
import type { Attributes } from "../tensorflow/SavedModel.ts"
import { INT32, reshape } from "../tensorflow/Tensors.ts"
import { type Operation, same } from "./Operation.ts"

interface Axes extends Readonly<Record<string, ReadonlyArray<number> | boolean>> {
  readonly axes: ReadonlyArray<number>
  readonly keepDims: boolean
}

const types = ([x]: ReadonlyArray<Type>, { axes, keepDims }: Axes): ReadonlyArray<Type> => [
  { ...x!, shape: reduced(x!.shape, axes, keepDims) }
]

const emitted = (w: OnnxWriter, operator: string, name: string, { axes, keepDims }: Axes): string =>
  // Of all reductions only this one takes its axes as an input, as long as the operator set is 17.
  operator === "ReduceSum"
    ? w.emit(operator, [name, w.integers(axes)], { keepdims: Number(keepDims) })
    : w.emit(operator, [name], { axes, keepdims: Number(keepDims) })

/** TensorFlow's reductions of bools have no element type. */
const reducing = (w: NodeWriter, operator: string, x: Id, { axes, keepDims }: Axes, type: Attributes): Id =>
  w.emit(operator, [x, w.integers(axes)], { ...type, Tidx: INT32, keep_dims: keepDims })

/** Reduces bools as integers. */
const ofBools = (w: OnnxWriter, operator: string, name: string, attributes: Axes): string =>
  w.cast(emitted(w, operator, w.cast(name, "int32"), attributes), "bool")

/** The number with which a reduction starts, for each element type. */
type Start = Readonly<Record<DType, number>>

const zeros: Start = { float32: 0, int32: 0, bool: 0 }
const ones: Start = { float32: 1, int32: 1, bool: 1 }

const reduction = (
  name: string,
  onnx: string,
  tensorflow: string,
  stablehlo: string,
  start: Start
): Operation<Axes> => ({
  name,
  types,
  onnx: (w, { attributes, inputs: [x] }) => emitted(w, onnx, w.name(x!), attributes),
  tensorflow: (w, [x], { attributes, inputs }) => reducing(w, tensorflow, x!, attributes, typed(inputs[0]!.dtype)),
  stablehlo: (w, [x], { attributes: { axes, keepDims }, outputs: [y] }) =>
    w.reduce(x!, stablehlo, start[y!.dtype], axes, keepDims)
})

const logical = (name: string, onnx: string, tensorflow: string, stablehlo: string, start: Start): Operation<Axes> => ({
  ...reduction(name, onnx, tensorflow, stablehlo, start),
  onnx: (w, { attributes, inputs: [x] }) => ofBools(w, onnx, w.name(x!), attributes),
  tensorflow: (w, [x], { attributes }) => reducing(w, tensorflow, x!, attributes, {})
})

/** The largest or smallest number of each row. It is NaN if any number of the row is. */
const extreme = (name: string, onnx: string, tensorflow: string, stablehlo: string, start: Start): Operation<Axes> => ({
  ...reduction(name, onnx, tensorflow, stablehlo, start),
  // ONNX Runtime skips NaN in some places, so a row with NaN is set to NaN.
  onnx: (w, { attributes, inputs: [x], outputs: [y] }) => {
    const found = emitted(w, onnx, w.name(x!), attributes)
    if (x!.dtype !== "float32" || size(y!.shape) === size(x!.shape)) return found
    const holds = ofBools(w, "ReduceMax", w.emit("IsNaN", [w.name(x!)]), attributes)
    return w.emit("Where", [holds, w.scalar(Number.NaN), found])
  }
})

export const max = extreme("max", "ReduceMax", "Max", "maximum", { float32: -Infinity, int32: -(2 ** 31), bool: 0 })
export const min = extreme("min", "ReduceMin", "Min", "minimum", { float32: Infinity, int32: 2 ** 31 - 1, bool: 1 })
export const mean: Operation<Axes> = {
  ...reduction("mean", "ReduceMean", "Mean", "add", zeros),
  stablehlo: (w, [x], { attributes: { axes, keepDims } }) => {
    const count = size(axes.map((axis) => x!.shape[axis]!))
    return w.each("divide", w.reduce(x!, "add", 0, axes, keepDims), w.splat(count))
  }
}
export const prod = reduction("prod", "ReduceProd", "Prod", "multiply", ones)
/** Tests whether all bools are true. */
export const all = logical("all", "ReduceMin", "All", "and", ones)
/** Tests whether any bool is true. */
export const any = logical("any", "ReduceMax", "Any", "or", zeros)

/** Tests whether a sum of numbers goes over all of the first axes, and leaves others. */
const isColumnwise = ({ dtype, shape }: Type, { axes }: Axes): boolean =>
  dtype === "float32" && axes.length < shape.length && axes.every((axis, i) => axis === i) &&
  axes.some((axis) => shape[axis] !== 1) && !shape.includes(0)

export const sum: Operation<Axes> = {
  ...reduction("sum", "ReduceSum", "Sum", "add", zeros),
  // Over the first axes: a product with ones. ONNX Runtime's own sum takes two to five times as long, because it reads and
  // writes the result again for every row.
  onnx: (w, { attributes, inputs: [x], outputs: [y] }) => {
    if (!isColumnwise(x!, attributes)) return emitted(w, "ReduceSum", w.name(x!), attributes)
    const columns = size(y!.shape)
    const rows = size(x!.shape) / columns
    const ones = w.filled(1, [rows], "float32")
    return { name: w.emit("MatMul", [ones, w.name(x!, [rows, columns])]), shape: [columns] }
  },
  // Over the first axes: the gradient of a bias, which is the faster operator.
  tensorflow: (w, [x], { attributes, inputs: [input], outputs: [y] }) => {
    if (!isColumnwise(input!, attributes)) return reducing(w, "Sum", x!, attributes, typed(input!.dtype))
    const columns = size(y!.shape)
    const rows = reshape(w, x!, "float32", [size(input!.shape) / columns, columns])
    const sums = w.emit("BiasAddGrad", [rows], { ...typed("float32"), data_format: "NHWC" })
    return reshape(w, sums, "float32", y!.shape)
  }
}

const DOT = { least: 2048, most: 8192 } as const

/** Returns the least divisor of a length that is not below a number. */
const divisorFrom = (length: number, least: number): number => {
  for (let divisor = least;; divisor++) if (length % divisor === 0) return divisor
}

/** Sums the squares of all elements. */
export const sumSquares: Operation<Readonly<Record<never, never>>> = {
  name: "sumSquares",
  types: ([x]) => [{ ...x!, shape: [] }],
  // A transposed matrix is read as it was before, since the sum is the same. A long array is cut into rows and each row is
  // multiplied by itself. Several threads share this work, so it is faster than an engine's own operator. The sum also stays
  // accurate: millions of small numbers do not vanish in a large partial sum. The result is a list of one number: to make a
  // longer list of it needs no reshape.
  onnx: (w, { inputs: [x] }) => {
    const length = size(x!.shape)
    const flat = (shape: ReadonlyArray<number>) => w.reshape(w.beforeTransposing(x!) ?? w.stored(x!), shape)
    const row = length < DOT.least ? length : divisorFrom(length, DOT.least)
    if (w.standard || row === length || row > DOT.most) {
      return { name: w.emit("ReduceSumSquare", [flat([length])], { keepdims: 1 }), shape: [1] }
    }
    const rows = flat([length / row, 1, row])
    const squares = w.emitMicrosoft("FusedMatMul", [rows, rows], { transA: 0, transB: 1, alpha: { float: 1 } })
    const listed = w.reshape({ name: squares, shape: [length / row, 1, 1] }, [length / row])
    return { name: w.emit("ReduceSum", [listed], { keepdims: 1 }), shape: [1] }
  },
  // `L2Loss` is half of the sum.
  tensorflow: (w, [x]) => {
    const half = w.emit("L2Loss", [x!], typed("float32"))
    return w.emit("AddV2", [half, half], typed("float32"))
  },
  stablehlo: (w, [x]) => w.reduce(w.each("multiply", x!, x!), "add", 0, [...x!.shape.keys()])
}

const WIDE = 256

interface Place extends Readonly<Record<string, number>> {
  readonly axis: number
}

/** Finds the first place of an extreme along an axis. */
const place = (name: string, onnx: string, value: string, direction: "GT" | "LT"): Operation<Place> => ({
  name,
  types: ([x], { axis }) => [{ shape: reduced(x!.shape, [axis], false), dtype: "int32" }],
  // Engines look for places one number at a time, but for extremes in whole vectors. So in a long row the extreme of each block
  // is computed first. Then two short rows are searched: the extremes of the blocks, and the numbers of one block.
  onnx: (w, { attributes: { axis }, inputs: [x], outputs: [y] }) => {
    const length = x!.shape[axis]!
    const block = divisorFrom(length, Math.ceil(Math.sqrt(length)))
    const first = (values: string, along: number, keepdims: number) => w.emit(onnx, [values], { axis: along, keepdims })
    if (axis < x!.shape.length - 1 || length < WIDE || block === length) {
      return w.cast(first(w.name(x!), axis, 0), "int32")
    }
    const rows = size(y!.shape)
    const blocks = w.name(x!, [rows, length / block, block])
    const chosen = first(w.emit(value, [blocks], { axes: [2], keepdims: 0 }), 1, 1)
    const within = first(w.emit("GatherND", [blocks, chosen], { batch_dims: 1 }), 1, 1)
    const start = w.emit("Mul", [w.cast(chosen, "int32"), w.scalar(block, "int32")])
    return { name: w.emit("Add", [start, w.cast(within, "int32")]), shape: [rows, 1] }
  },
  tensorflow: (w, [x], { attributes: { axis }, inputs: [input] }) => {
    const type = typed(input!.dtype)
    // TensorFlow would search what a monotonic function was made of, where numbers may differ that it makes equal. A check of the
    // shape between them prevents it.
    const kept = w.emit("EnsureShape", [x!], { ...type, shape: { shape: input!.shape } })
    return w.emit(onnx, [kept, w.integer(axis)], { ...type, Tidx: INT32, output_type: { type: inside("int32") } })
  },
  stablehlo: (w, [x], { attributes: { axis } }) => w.place(x!, axis, direction)
})

export const argMax = place("argMax", "ArgMax", "ReduceMax", "GT")
export const argMin = place("argMin", "ArgMin", "ReduceMin", "LT")

/** Sums all elements up to each one along an axis, without itself if `exclusive`, and from the end if `reverse`. */
export const cumSum: Operation<{ readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean }> = {
  name: "cumSum",
  types: same,
  onnx: (w, { attributes: { axis, exclusive, reverse }, inputs: [x] }) => {
    const options = { exclusive: Number(exclusive), reverse: Number(reverse) }
    return w.emit("CumSum", [w.name(x!), w.scalar(axis, "int32")], options)
  },
  tensorflow: (w, [x], { attributes: { axis, exclusive, reverse }, inputs }) =>
    w.emit("Cumsum", [x!, w.integer(axis)], { ...typed(inputs[0]!.dtype), Tidx: INT32, exclusive, reverse }),
  stablehlo: (w, [x], { attributes: { axis, exclusive, reverse } }) => {
    const shift = (by: number) => x!.shape.map((_, own) => (own === axis ? by : 0))
    // The elements one place further, behind a zero.
    const before = exclusive ? w.pad(x!, shift(reverse ? -1 : 1), shift(reverse ? 1 : -1), 0) : x!
    return w.windowSum(before, axis, reverse)
  }
}
