/** Elementwise arithmetic, comparison and selection. */
import type * as tf from "@tensorflow/tfjs-core"
import { sameShape, type Tracer } from "../graph/Tracer.ts"
import { broadcast, cast, expanded, type Info, operator, type Translation, type Translations } from "./Translation.ts"

/** The simplified result of an operation on a constant: one of the operands, or zeros. */
type Simplified = "a" | "b" | "zeros" | undefined

const binary = (
  operation: string,
  simplify: (a: number | undefined, b: number | undefined) => Simplified = () => undefined,
  dtype?: tf.DataType
): Translation =>
(t, { a, b }: { a: Info; b: Info }) => {
  const shape = broadcast(a.shape, b.shape)
  const [left, right] = [t.splat(a), t.splat(b)]
  const simple = simplify(left, right)
  if (simple === "zeros") return t.filled(0, shape, dtype ?? a.dtype)
  if (simple !== undefined) {
    const kept = simple === "a" ? a : b
    return sameShape(kept.shape, shape) ? t.alias(kept, shape) : t.computed(expanded(t, kept, shape), shape, a.dtype)
  }
  const name = (x: Info, splat: number | undefined, other: Info) =>
    splat !== undefined && sameShape(other.shape, shape) ? t.scalar(splat, x.dtype) : t.name(x)
  return t.computed(t.graph.emit(operation, [name(a, left, b), name(b, right, a)]), shape, dtype ?? a.dtype)
}

const add = binary("Add", (a, b) => (b === 0 ? "a" : a === 0 ? "b" : undefined))

// The sum of transposes is the transpose of the sum, and that may never be needed (`AdamWUpdate`).
const addTransposed: Translation = (t, inputs: { a: Info; b: Info }, attributes) => {
  const { a, b } = inputs
  const [left, right] = [t.transposedBack(a), t.transposedBack(b)]
  if (left === undefined || right === undefined || !sameShape(left.shape, right.shape)) {
    return add(t, inputs, attributes)
  }
  const sum = t.graph.emit("Add", [t.name(left), t.name(right)])
  return t.alias(t.computed(t.transpose(sum), left.shape.toReversed(), a.dtype), a.shape)
}

const comparison = (operation: string): Translation => binary(operation, undefined, "bool")

const unary = (operation: string, dtype?: tf.DataType): Translation => (t, { x }: { x: Info }) =>
  t.computed(t.graph.emit(operation, [t.name(x)]), x.shape, dtype ?? x.dtype)

/** Emits an operator whose two operands are the same tensor. */
const twice = (t: Tracer, operation: string, x: Info): string => t.graph.emit(operation, [t.name(x), t.name(x)])

const where = (t: Tracer, condition: Info, a: Info, b: Info, dtype: tf.DataType): Info =>
  t.computed(
    t.graph.emit("Where", [condition, a, b].map((x) => t.name(x))),
    broadcast(condition.shape, broadcast(a.shape, b.shape)),
    dtype
  )

export const translations: Translations = {
  Add: addTransposed,
  Sub: binary("Sub", (_, b) => (b === 0 ? "a" : undefined)),
  // Zero times anything is taken for zero, even where that is not finite: gradients that cannot matter are not computed.
  Multiply: binary("Mul", (a, b) => (b === 1 ? "a" : a === 1 ? "b" : a === 0 || b === 0 ? "zeros" : undefined)),
  RealDiv: binary("Div", (_, b) => (b === 1 ? "a" : undefined), "float32"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Pow: binary("Pow"),
  SquaredDifference: (t, inputs, attributes) => {
    const difference = binary("Sub")(t, inputs, attributes) as Info
    return t.computed(twice(t, "Mul", difference), difference.shape, difference.dtype)
  },
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  Equal: comparison("Equal"),
  NotEqual: (t, inputs, attributes) => {
    const equal = comparison("Equal")(t, inputs, attributes) as Info
    return t.computed(t.graph.emit("Not", [t.name(equal)]), equal.shape, "bool")
  },
  LogicalAnd: comparison("And"),
  LogicalOr: comparison("Or"),
  LogicalNot: unary("Not", "bool"),
  Abs: unary("Abs"),
  Ceil: unary("Ceil"),
  Cos: unary("Cos"),
  Elu: unary("Elu"),
  Erf: unary("Erf"),
  Exp: unary("Exp"),
  Floor: unary("Floor"),
  IsNan: unary("IsNaN", "bool"),
  // x - x is 0 where x is finite and NaN elsewhere.
  IsFinite: (t, { x }) =>
    t.computed(t.graph.emit("Equal", [twice(t, "Sub", x), t.scalar(0, "float32")]), x.shape, "bool"),
  Log: unary("Log"),
  Neg: unary("Neg"),
  Reciprocal: unary("Reciprocal"),
  Relu: unary("Relu"),
  Round: unary("Round"),
  Rsqrt: (t, { x }) => t.computed(t.graph.emit("Reciprocal", [t.graph.emit("Sqrt", [t.name(x)])]), x.shape, x.dtype),
  Sigmoid: unary("Sigmoid"),
  // TensorFlow.js and PyTorch give NaN the sign 0.
  Sign: (t, { x }: { x: Info }) => {
    const none = t.graph.emit("IsNaN", [t.name(x)])
    const names = [none, t.scalar(0, x.dtype), t.graph.emit("Sign", [t.name(x)])]
    return t.computed(t.graph.emit("Where", names), x.shape, x.dtype)
  },
  Sin: unary("Sin"),
  Softplus: unary("Softplus"),
  Sqrt: unary("Sqrt"),
  Square: (t, { x }) => t.computed(twice(t, "Mul", x), x.shape, x.dtype),
  Step: (t, { x }: { x: Info }, { alpha = 0 }: { alpha?: number }) => {
    const flat = t.graph.emit("LessOrEqual", [t.name(x), t.scalar(0, x.dtype)])
    const chosen = t.graph.emit("Where", [flat, t.scalar(alpha, x.dtype), t.scalar(1, x.dtype)])
    return t.computed(chosen, x.shape, x.dtype)
  },
  Tanh: unary("Tanh"),
  ClipByValue: (t, { x }: { x: Info }, { clipValueMax, clipValueMin }) =>
    t.computed(
      t.graph.emit("Clip", [t.name(x), t.scalar(clipValueMin, x.dtype), t.scalar(clipValueMax, x.dtype)]),
      x.shape,
      x.dtype
    ),
  Softmax: operator("Softmax", ["logits"], "logits", ({ dim }) => ({ axis: dim ?? -1 })),
  Select: (t, { condition, e, t: then }: { condition: Info; e: Info; t: Info }) =>
    where(t, condition, then, e, then.dtype),
  Cast: (t, { x }: { x: Info }, { dtype }: { dtype: tf.DataType }) => {
    if (dtype === x.dtype) return t.alias(x, x.shape)
    const splat = t.splat(x)
    if (splat === undefined) return t.computed(cast(t, t.name(x), dtype), x.shape, dtype)
    const filler = dtype === "int32" ? Math.trunc(splat) : dtype === "bool" ? Number(splat !== 0) : splat
    return t.filled(filler, x.shape, dtype)
  },
  PatchwordSelect: (t, { a, b, condition }: { a: Info; b: Info; condition: Info }) => where(t, condition, a, b, a.dtype)
}
