/** Sums and extremes. */
import type { Tracer } from "../graph/Tracer.ts"
import {
  axesOf,
  axisOf,
  cast,
  divisorFrom,
  type Info,
  reduced,
  size,
  type Translation,
  type Translations
} from "./Translation.ts"

interface Axes {
  readonly axis?: number | ReadonlyArray<number>
  readonly reductionIndices?: number | ReadonlyArray<number>
  readonly keepDims?: boolean
}

const emitted = (t: Tracer, operation: string, name: string, axes: ReadonlyArray<number>, keepdims: number): string =>
  // Of all reductions only this one takes its axes as an input, as long as the operator set is 17.
  operation === "ReduceSum"
    ? t.graph.emit(operation, [name, t.graph.integers(axes)], { keepdims })
    : t.graph.emit(operation, [name], { axes, keepdims })

const reduction = (operation: string, through?: "int32"): Translation => (t, { x }: { x: Info }, attributes: Axes) => {
  const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.shape.length)
  const keepDims = attributes.keepDims === true
  const shape = reduced(x.shape, axes, keepDims)
  if (axes.every((axis) => x.shape[axis] === 1)) return t.alias(x, shape)
  const name = through === undefined ? t.name(x) : cast(t, t.name(x), through)
  const result = emitted(t, operation, name, axes, Number(keepDims))
  return t.computed(through === undefined ? result : cast(t, result, x.dtype), shape, x.dtype)
}

const plainSum = reduction("ReduceSum")

const any = reduction("ReduceMax", "int32")

/** Reduces to an extreme. ONNX Runtime skips NaN in some places, so a row with NaN is set to NaN. */
const extremeValue = (operation: "ReduceMax" | "ReduceMin"): Translation => {
  const plain = reduction(operation)
  return (t, inputs: { x: Info }, attributes: Axes) => {
    const { x } = inputs
    const found = plain(t, inputs, attributes) as Info
    if (x.dtype !== "float32" || size(found.shape) === size(x.shape)) return found
    const holds = any(t, { x: t.computed(t.graph.emit("IsNaN", [t.name(x)]), x.shape, "bool") }, attributes) as Info
    const names = [t.name(holds), t.scalar(Number.NaN, "float32"), t.name(found)]
    return t.computed(t.graph.emit("Where", names), found.shape, "float32")
  }
}

/**
 * Sums over the first axes as a product with ones. ONNX Runtime's own sum takes two to five times as long, because it reads and
 * writes the result again for every row.
 */
const sum: Translation = (t, inputs: { x: Info }, attributes: Axes) => {
  const { x } = inputs
  const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.shape.length)
  const rows = size(axes.map((axis) => x.shape[axis]!))
  const first = axes.every((axis, i) => axis === i) && axes.length < x.shape.length
  if (!first || rows === 1 || x.dtype !== "float32") return plainSum(t, inputs, attributes)
  const shape = reduced(x.shape, axes, attributes.keepDims === true)
  const operands = [t.filled(1, [rows], "float32"), t.alias(x, [rows, size(shape)])]
  const sums = t.graph.emit("MatMul", operands.map((operand) => t.name(operand)))
  return t.alias(t.computed(sums, [size(shape)], "float32"), shape)
}

const WIDE = 256

/**
 * Finds the first place of an extreme. Engines look for places one number at a time, but for extremes in whole vectors. So in a
 * long row the extreme of each block is computed first. Then two short rows are searched: the extremes of the blocks, and the
 * numbers of one block.
 */
const extreme =
  (operation: "ArgMax" | "ArgMin", value: "ReduceMax" | "ReduceMin"): Translation =>
  (t, { x }: { x: Info }, { axis }: Axes) => {
    const only = axisOf(axis, x.shape.length)
    const shape = reduced(x.shape, [only], false)
    const length = x.shape[only]!
    const block = divisorFrom(length, Math.ceil(Math.sqrt(length)))
    const first = (name: string, along: number, keepdims: number) =>
      t.graph.emit(operation, [name], { axis: along, keepdims })
    if (only < x.shape.length - 1 || length < WIDE || block === length) {
      return t.computed(cast(t, first(t.name(x), only, 0), "int32"), shape, "int32")
    }
    const rows = size(shape)
    const blocks = t.name(t.alias(x, [rows, length / block, block]))
    const chosen = first(t.graph.emit(value, [blocks], { axes: [2], keepdims: 0 }), 1, 1)
    const within = first(t.graph.emit("GatherND", [blocks, chosen], { batch_dims: 1 }), 1, 1)
    const start = t.graph.emit("Mul", [cast(t, chosen, "int32"), t.scalar(block, "int32")])
    return t.alias(t.computed(t.graph.emit("Add", [start, cast(t, within, "int32")]), [rows, 1], "int32"), shape)
  }

export const translations: Translations = {
  Sum: sum,
  Mean: reduction("ReduceMean"),
  Max: extremeValue("ReduceMax"),
  Min: extremeValue("ReduceMin"),
  Prod: reduction("ReduceProd"),
  All: reduction("ReduceMin", "int32"),
  Any: any,
  ArgMax: extreme("ArgMax", "ReduceMax"),
  ArgMin: extreme("ArgMin", "ReduceMin"),
  Cumsum: (t, { x }: { x: Info }, { axis, exclusive, reverse }) => {
    const along = t.graph.constant(Int32Array.of(axisOf(axis, x.shape.length)), [], "int32")
    const options = { exclusive: Number(exclusive), reverse: Number(reverse) }
    return t.computed(t.graph.emit("CumSum", [t.name(x), along], options), x.shape, x.dtype)
  },
  AddN: (t, inputs) => {
    const all = Object.values<Info>(inputs)
    const [first, ...rest] = all.filter((x) => t.splat(x) !== 0)
    if (first === undefined) return t.alias(all[0]!, all[0]!.shape)
    if (rest.length === 0) return t.alias(first, first.shape)
    return t.computed(t.graph.emit("Sum", [first, ...rest].map((x) => t.name(x))), first.shape, first.dtype)
  }
}
