/** What each TensorFlow.js kernel is in ONNX. */
import * as tf from "@tensorflow/tfjs"
import type { Shape } from "../shapes/Shape.ts"
import * as ShapeError from "../shapes/ShapeError.ts"
import type { Attribute } from "./OnnxModel.ts"
import { NotTraceable, sameShape, type Tracer } from "./Tracer.ts"

type Info = tf.TensorInfo

/** A kernel over named inputs. Attributes are as TensorFlow.js passes them. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Kernel = (t: Tracer, inputs: any, attributes: any) => Info | Array<Info>

const MICROSOFT = "com.microsoft"

const size = (shape: Shape): number => shape.reduce((product, dim) => product * dim, 1)

const broadcast = (a: Shape, b: Shape): Array<number> =>
  tf.backend_util.assertAndGetBroadcastShape([...a], [...b])

const axesOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): Array<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i)
    : [axis].flat().map((one) => (one < 0 ? one + rank : one)).toSorted((a, b) => a - b)

/** What an operation on constants comes to: one of its operands, or zeros. */
type Simplified = "a" | "b" | "zeros" | undefined

const binary = (
  operation: string,
  simplify: (a: number | undefined, b: number | undefined) => Simplified = () => undefined,
  dtype?: tf.DataType
): Kernel =>
(t, { a, b }: { a: Info; b: Info }) => {
  const shape = broadcast(a.shape, b.shape)
  const [left, right] = [t.splat(a), t.splat(b)]
  const simple = simplify(left, right)
  if (simple === "zeros") return t.filled(0, shape, dtype ?? a.dtype)
  if (simple !== undefined) {
    const kept = simple === "a" ? a : b
    return sameShape(kept.shape, shape)
      ? t.alias(kept, shape)
      : t.computed(t.graph.emit("Expand", [t.name(kept), t.graph.integers(shape)]), shape, a.dtype)
  }
  const name = (x: Info, splat: number | undefined, other: Info) =>
    splat !== undefined && sameShape(other.shape, shape) ? t.scalar(splat, x.dtype) : t.name(x)
  return t.computed(t.graph.emit(operation, [name(a, left, b), name(b, right, a)]), shape, dtype ?? a.dtype)
}

const unary = (operation: string, dtype?: tf.DataType): Kernel => (t, { x }: { x: Info }) =>
  t.computed(t.graph.emit(operation, [t.name(x)]), x.shape, dtype ?? x.dtype)

const reduced = (shape: Shape, axes: ReadonlyArray<number>, keepDims: boolean): Array<number> =>
  keepDims ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.includes(axis))

const reduction = (operation: string, axesAre: "input" | "attribute"): Kernel =>
(t, { x }: { x: Info }, attributes: { axis?: number; reductionIndices?: number; keepDims?: boolean }) => {
  const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.shape.length)
  const keepdims = attributes.keepDims === true ? 1 : 0
  const shape = reduced(x.shape, axes, keepdims === 1)
  if (axes.every((axis) => x.shape[axis] === 1)) return t.alias(x, shape)
  const name = axesAre === "input"
    ? t.graph.emit(operation, [t.name(x), t.graph.integers(axes)], { keepdims })
    : t.graph.emit(operation, [t.name(x)], { axes, keepdims })
  return t.computed(name, shape, x.dtype)
}

const cast = (t: Tracer, name: string, dtype: "int64" | tf.DataType): string =>
  t.graph.emit("Cast", [name], { to: { float32: 1, int32: 6, int64: 7, bool: 9 }[dtype as "float32"] })

const matMul: Kernel = (t, { a, b }: { a: Info; b: Info }, attributes) => {
  const { alpha = 1, transposeA = false, transposeB = false } = attributes as {
    alpha?: number
    transposeA?: boolean
    transposeB?: boolean
  }
  const rows = a.shape.at(transposeA ? -1 : -2)!
  const columns = b.shape.at(transposeB ? -2 : -1)!
  const shape = [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns]
  const names = [t.name(a), t.name(b)]
  const plain = !transposeA && !transposeB && alpha === 1
  return t.computed(
    plain ? t.graph.emit("MatMul", names) : t.graph.emit(
      "FusedMatMul",
      names,
      { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: alpha } },
      MICROSOFT
    ),
    shape,
    "float32"
  )
}

const operator = (
  operation: string,
  inputNames: ReadonlyArray<string>,
  like: string,
  attributesOf: (attributes: Record<string, number>) => Record<string, Attribute> = () => ({}),
  domain?: string
): Kernel =>
(t, inputs: Record<string, Info>, attributes: Record<string, number>) => {
  const names = inputNames.map((name) => t.name(inputs[name]!))
  const { dtype } = inputs[inputNames[0]!]!
  return t.computed(t.graph.emit(operation, names, attributesOf(attributes), domain), inputs[like]!.shape, dtype)
}

const reshape = (shapeOf: (shape: Shape, attributes: never) => Shape, input = "x"): Kernel => (t, inputs, attributes) =>
  t.alias(inputs[input], shapeOf(inputs[input].shape, attributes as never))

const inserted = (shape: Shape, axis: number, dim: number): Array<number> => shape.toSpliced(axis < 0 ? axis + shape.length + 1 : axis, 0, dim)

const concat = (t: Tracer, parts: ReadonlyArray<Info>, axis: number): Info => {
  const full = parts.filter(({ shape }) => size(shape) > 0)
  const [first] = full as [Info]
  const shape = first.shape.with(axis, full.reduce((sum, part) => sum + part.shape[axis]!, 0))
  return full.length === 1
    ? t.alias(first, shape)
    : t.computed(t.graph.emit("Concat", full.map((part) => t.name(part)), { axis }), shape, first.dtype)
}

const split = (t: Tracer, x: Info, sizes: ReadonlyArray<number>, axis: number, shapeOf: (part: number) => Shape): Array<Info> => {
  const names = t.graph.emitMany("Split", [t.name(x), t.graph.integers(sizes)], sizes.length, { axis })
  return sizes.map((part, i) => t.alias(t.computed(names[i]!, x.shape.with(axis, part), x.dtype), shapeOf(part)))
}

const equalTo = (value: number | undefined, constant: number) => value === constant

/** Kernel by name. Those that start with `Patchword` are the fused kernels that typed operations ask for. */
export const kernels: Readonly<Record<string, Kernel>> = {
  Identity: reshape((shape) => shape),
  Reshape: reshape((shape, { shape: to }: { shape: Array<number> }) => tf.util.inferFromImplicitShape(to, size(shape))),
  ExpandDims: reshape((shape, { dim }: { dim: number }) => inserted(shape, dim, 1), "input"),
  Squeeze: reshape((shape, { axis }: { axis?: Array<number> }) => tf.util.squeezeShape([...shape], axis).newShape as Array<number>),
  Fill: (t, _, { dtype, shape, value }) => t.filled(value, shape, dtype ?? "float32"),
  ZerosLike: (t, { x }) => t.filled(0, x.shape, x.dtype),
  OnesLike: (t, { x }) => t.filled(1, x.shape, x.dtype),
  Add: binary("Add", (a, b) => (equalTo(b, 0) ? "a" : equalTo(a, 0) ? "b" : undefined)),
  Sub: binary("Sub", (_, b) => (equalTo(b, 0) ? "a" : undefined)),
  Multiply: binary(
    "Mul",
    (a, b) => (equalTo(b, 1) ? "a" : equalTo(a, 1) ? "b" : equalTo(a, 0) || equalTo(b, 0) ? "zeros" : undefined)
  ),
  RealDiv: binary("Div", (_, b) => (equalTo(b, 1) ? "a" : undefined), "float32"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Pow: binary("Pow"),
  Greater: binary("Greater", undefined, "bool"),
  GreaterEqual: binary("GreaterOrEqual", undefined, "bool"),
  Less: binary("Less", undefined, "bool"),
  LessEqual: binary("LessOrEqual", undefined, "bool"),
  Equal: binary("Equal", undefined, "bool"),
  LogicalAnd: binary("And", undefined, "bool"),
  LogicalOr: binary("Or", undefined, "bool"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Sqrt: unary("Sqrt"),
  Neg: unary("Neg"),
  Erf: unary("Erf"),
  Tanh: unary("Tanh"),
  Sigmoid: unary("Sigmoid"),
  Abs: unary("Abs"),
  Reciprocal: unary("Reciprocal"),
  LogicalNot: unary("Not", "bool"),
  Relu: unary("Relu"),
  Floor: unary("Floor"),
  Sin: unary("Sin"),
  Cos: unary("Cos"),
  Sign: unary("Sign"),
  // x - x is 0 where x is finite and NaN elsewhere.
  IsFinite: (t, { x }) => {
    const name = t.name(x)
    const difference = t.graph.emit("Sub", [name, name])
    return t.computed(t.graph.emit("Equal", [difference, t.scalar(0, "float32")]), x.shape, "bool")
  },
  Square: (t, { x }) => t.computed(t.graph.emit("Mul", [t.name(x), t.name(x)]), x.shape, x.dtype),
  Rsqrt: (t, { x }) => t.computed(t.graph.emit("Reciprocal", [t.graph.emit("Sqrt", [t.name(x)])]), x.shape, x.dtype),
  Sum: reduction("ReduceSum", "input"),
  Mean: reduction("ReduceMean", "attribute"),
  Max: reduction("ReduceMax", "attribute"),
  Min: reduction("ReduceMin", "attribute"),
  ArgMax: (t, { x }, { axis }) => {
    const [only] = axesOf(axis, x.shape.length) as [number]
    const index = t.graph.emit("ArgMax", [t.name(x)], { axis: only, keepdims: 0 })
    return t.computed(cast(t, index, "int32"), reduced(x.shape, [only], false), "int32")
  },
  BatchMatMul: matMul,
  Transpose: (t, { x }, { perm }: { perm: Array<number> }) => {
    const shape = perm.map((axis) => x.shape[axis])
    const moved = perm.filter((axis) => x.shape[axis] !== 1)
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) return t.alias(x, shape)
    return t.computed(t.graph.emit("Transpose", [t.name(x)], { perm }), shape, x.dtype)
  },
  Softmax: (t, { logits }, { dim }: { dim?: number }) =>
    t.computed(t.graph.emit("Softmax", [t.name(logits)], { axis: dim ?? -1 }), logits.shape, logits.dtype),
  GatherV2: (t, { indices, x }, { axis = 0, batchDims = 0 }: { axis?: number; batchDims?: number }) => {
    if (batchDims !== 0) throw new NotTraceable("GatherV2 with batch axes has no translation")
    const [only] = axesOf(axis, x.shape.length) as [number]
    const shape = [...x.shape.slice(0, only), ...indices.shape, ...x.shape.slice(only + 1)]
    return t.computed(t.graph.emit("Gather", [t.name(x), t.name(indices)], { axis: only }), shape, x.dtype)
  },
  Concat: (t, inputs, { axis }: { axis: number }) => {
    const parts = Object.values<Info>(inputs)
    return concat(t, parts, axesOf(axis, parts[0]!.shape.length)[0]!)
  },
  Pack: (t, inputs, { axis }: { axis: number }) => {
    const parts = Object.values<Info>(inputs)
    const at = axis < 0 ? axis + parts[0]!.shape.length + 1 : axis
    return concat(t, parts.map((part) => t.alias(part, inserted(part.shape, at, 1))), at)
  },
  AddN: (t, inputs) => {
    const all = Object.values<Info>(inputs)
    const [first, ...rest] = all.filter((x) => t.splat(x) !== 0)
    if (first === undefined) return t.alias(all[0]!, all[0]!.shape)
    if (rest.length === 0) return t.alias(first, first.shape)
    return t.computed(t.graph.emit("Sum", [first, ...rest].map((x) => t.name(x))), first.shape, first.dtype)
  },
  Tile: (t, { x }, { reps }: { reps: Array<number> }) => {
    const shape = x.shape.map((dim: number, axis: number) => dim * reps[axis]!)
    if (sameShape(shape, x.shape)) return t.alias(x, shape)
    const repeats = reps.every((times, axis) => times === 1 || x.shape[axis] === 1)
    const operation = repeats ? "Expand" : "Tile"
    return t.computed(t.graph.emit(operation, [t.name(x), t.graph.integers(repeats ? shape : reps)]), shape, x.dtype)
  },
  Slice: (t, { x }, attributes) => {
    const [begin, sizes] = tf.slice_util.parseSliceParams(x, attributes.begin, attributes.size) as [Array<number>, Array<number>]
    if (sameShape(sizes, x.shape)) return t.alias(x, sizes)
    const axes = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== x.shape[axis])
    const [from, to] = [axes.map((axis) => begin[axis]!), axes.map((axis) => begin[axis]! + sizes[axis]!)]
    const bounds = [from, to, axes].map((list) => t.graph.integers(list))
    return t.computed(t.graph.emit("Slice", [t.name(x), ...bounds]), sizes, x.dtype)
  },
  Unpack: (t, { value }, { axis = 0 }: { axis?: number }) => {
    const [only] = axesOf(axis, value.shape.length) as [number]
    const ones = Array.from({ length: value.shape[only] }, () => 1)
    return split(t, value, ones, only, () => reduced(value.shape, [only], false))
  },
  SplitV: (t, { x }, { axis, numOrSizeSplits }: { axis: number; numOrSizeSplits: number | Array<number> }) => {
    const [only] = axesOf(axis, x.shape.length) as [number]
    const sizes = tf.backend_util.prepareSplitSize(x, numOrSizeSplits, only)
    return split(t, x, sizes, only, (part) => x.shape.with(only, part))
  },
  PadV2: (t, { x }, { constantValue, paddings }: { constantValue: number; paddings: Array<[number, number]> }) => {
    const shape = x.shape.map((dim: number, axis: number) => dim + paddings[axis]![0] + paddings[axis]![1])
    const pads = t.graph.integers([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)])
    return t.computed(t.graph.emit("Pad", [t.name(x), pads, t.scalar(constantValue, x.dtype)]), shape, x.dtype)
  },
  OneHot: (t, { indices }, { depth, dtype = "int32", offValue, onValue }) => {
    const values = t.graph.constant(Float32Array.of(offValue, onValue), [2], "float32")
    const count = t.graph.constant(BigInt64Array.of(BigInt(depth)), [], "int64")
    const hot = t.graph.emit("OneHot", [cast(t, t.name(indices), "int64"), count, values], { axis: -1 })
    return t.computed(dtype === "float32" ? hot : cast(t, hot, dtype), [...indices.shape, depth], dtype)
  },
  Select: (t, { condition, e, t: then }) => {
    const rank = then.shape.length
    const spread = condition.shape.length === 0 || condition.shape.length === rank
      ? condition
      : t.alias(condition, [...condition.shape, ...Array.from({ length: rank - condition.shape.length }, () => 1)])
    return t.computed(t.graph.emit("Where", [spread, then, e].map((x) => t.name(x))), then.shape, then.dtype)
  },
  Cast: (t, { x }, { dtype }: { dtype: tf.DataType }) => {
    if (dtype === x.dtype) return t.alias(x, x.shape)
    const splat = t.splat(x)
    if (splat !== undefined) return t.filled(dtype === "int32" ? Math.trunc(splat) : splat, x.shape, dtype)
    return t.computed(cast(t, t.name(x), dtype), x.shape, dtype)
  },
  UnsortedSegmentSum: (t, { segmentIds, x }, { numSegments }: { numSegments: number }) => {
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)]
    const zeros = t.graph.emit("Expand", [t.scalar(0, "float32"), t.graph.integers(shape)])
    const count = size(segmentIds.shape)
    const places = t.name(t.alias(segmentIds, [count, 1]))
    const updates = t.name(t.alias(x, [count, ...x.shape.slice(segmentIds.shape.length)]))
    const sum = t.graph.emit("ScatterND", [zeros, cast(t, places, "int64"), updates], { reduction: "add" })
    return t.computed(sum, shape, x.dtype)
  },
  PatchwordMatMul: matMul,
  PatchwordLayerNorm: (t, { bias, weight, x }, { epsilon }: { epsilon: number }) => {
    const rows = x.shape.with(-1, 1)
    const [y, mean, inverse] = t.graph.emitMany(
      "LayerNormalization",
      [x, weight, bias].map((input) => t.name(input)),
      3,
      { axis: -1, epsilon: { float: epsilon } }
    ) as [string, string, string]
    return [t.computed(y, x.shape, "float32"), t.computed(mean, rows, "float32"), t.computed(inverse, rows, "float32")]
  },
  PatchwordGelu: operator("Gelu", ["x"], "x", undefined, MICROSOFT),
  PatchwordLogSoftmax: operator("LogSoftmax", ["x"], "x", () => ({ axis: -1 })),
  PatchwordGatherElements: operator("GatherElements", ["x", "indices"], "indices", ({ axis }) => ({ axis: axis! })),
  PatchwordScatterElementsAdd: operator(
    "ScatterElements",
    ["x", "indices", "updates"],
    "x",
    ({ axis }) => ({ axis: axis!, reduction: "add" })
  ),
  PatchwordSelect: (t, { a, b, condition }) =>
    t.computed(t.graph.emit("Where", [condition, a, b].map((x) => t.name(x))), broadcast(a.shape, b.shape), a.dtype),
  PatchwordSumSquares: (t, { x }) =>
    t.computed(t.graph.emit("ReduceSumSquare", [t.name(t.alias(x, [size(x.shape)]))], { keepdims: 0 }), [], "float32")
}

/** The sentence for a kernel without a translation. */
export const untranslated = (name: string, inputs: ReadonlyArray<Info>): NotTraceable =>
  new NotTraceable(
    `${name} of ${inputs.map(({ shape }) => ShapeError.show(shape)).join(" and ")} has no translation into a program`
  )
