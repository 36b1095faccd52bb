/** Elementwise arithmetic, comparison and selection. */
import type * as tf from "@tensorflow/tfjs-core"
import type { DType } from "../../shapes/HostTensor.ts"
import { broadcast, sameShape } from "../graph/Types.ts"
import * as Elementwise from "../operations/Elementwise.ts"
import * as Normalization from "../operations/Normalization.ts"
import type { Operation } from "../operations/Operation.ts"
import type { Tracer } from "./Tracer.ts"
import { expanded, type Info, type Translation, type Translations } from "./Translation.ts"

/** The simplified result of an operation on a constant: one of the operands, or zeros. */
type Simplified = "a" | "b" | "zeros" | undefined

type Plain = Operation<Readonly<Record<never, never>>>

const binary = (
  operation: Plain,
  simplify: (a: number | undefined, b: number | undefined) => Simplified = () => undefined
): Translation =>
(t, { a, b }: { a: Info; b: Info }) => {
  const shape = broadcast(a.shape, b.shape)
  const [left, right] = [t.splat(a), t.splat(b)]
  const simple = simplify(left, right)
  if (simple === "zeros") return t.filled(0, shape, a.dtype)
  if (simple !== undefined) {
    const kept = simple === "a" ? a : b
    return sameShape(kept.shape, shape) ? t.alias(kept, shape) : expanded(t, kept, shape)
  }
  const operand = (x: Info, splat: number | undefined, other: Info) =>
    splat !== undefined && sameShape(other.shape, shape) ? t.scalar(splat, x.dtype) : x
  return t.emit(operation, [operand(a, left, b), operand(b, right, a)], {})
}

const unary = (operation: Plain): Translation => (t, { x }: { x: Info }) => t.emit(operation, [x], {})

const select = (t: Tracer, operands: ReadonlyArray<Info>): Info => t.emit(Elementwise.select, operands, {})

export const translations: Translations = {
  Add: binary(Elementwise.add, (a, b) => (b === 0 ? "a" : a === 0 ? "b" : undefined)),
  Sub: binary(Elementwise.sub, (_, b) => (b === 0 ? "a" : undefined)),
  // Zero times anything is taken for zero, even where that is not finite: gradients that cannot matter are not computed.
  Multiply: binary(
    Elementwise.mul,
    (a, b) => (b === 1 ? "a" : a === 1 ? "b" : a === 0 || b === 0 ? "zeros" : undefined)
  ),
  RealDiv: binary(Elementwise.div, (_, b) => (b === 1 ? "a" : undefined)),
  Maximum: binary(Elementwise.maximum),
  Minimum: binary(Elementwise.minimum),
  Pow: binary(Elementwise.pow),
  SquaredDifference: (t, inputs, attributes) =>
    t.emit(Elementwise.square, [binary(Elementwise.sub)(t, inputs, attributes) as Info], {}),
  Greater: binary(Elementwise.greater),
  GreaterEqual: binary(Elementwise.greaterOrEqual),
  Less: binary(Elementwise.less),
  LessEqual: binary(Elementwise.lessOrEqual),
  Equal: binary(Elementwise.equal),
  NotEqual: (t, inputs, attributes) =>
    t.emit(Elementwise.not, [binary(Elementwise.equal)(t, inputs, attributes) as Info], {}),
  LogicalAnd: binary(Elementwise.and),
  LogicalOr: binary(Elementwise.or),
  LogicalNot: unary(Elementwise.not),
  Abs: unary(Elementwise.abs),
  Ceil: unary(Elementwise.ceil),
  Cos: unary(Elementwise.cos),
  Elu: unary(Elementwise.elu),
  Erf: unary(Elementwise.erf),
  Exp: unary(Elementwise.exp),
  Floor: unary(Elementwise.floor),
  IsNan: unary(Elementwise.isNaN),
  IsFinite: unary(Elementwise.isFinite),
  Log: unary(Elementwise.log),
  Neg: unary(Elementwise.neg),
  Reciprocal: unary(Elementwise.reciprocal),
  Relu: unary(Elementwise.relu),
  Round: unary(Elementwise.round),
  Rsqrt: unary(Elementwise.rsqrt),
  Sigmoid: unary(Elementwise.sigmoid),
  Sign: unary(Elementwise.sign),
  Sin: unary(Elementwise.sin),
  Softplus: unary(Elementwise.softplus),
  Sqrt: unary(Elementwise.sqrt),
  Square: unary(Elementwise.square),
  Step: (t, { x }: { x: Info }, { alpha = 0 }: { alpha?: number }) => t.emit(Elementwise.step, [x], { alpha }),
  Tanh: unary(Elementwise.tanh),
  ClipByValue: (t, { x }: { x: Info }, { clipValueMax, clipValueMin }) =>
    t.emit(Elementwise.clip, [x], { least: clipValueMin, most: clipValueMax }),
  Softmax: (t, { logits }: { logits: Info }) => t.emit(Normalization.softmax, [logits], {}),
  Select: (t, { condition, e, t: then }: { condition: Info; e: Info; t: Info }) => select(t, [condition, then, e]),
  Cast: (t, { x }: { x: Info }, { dtype }: { dtype: tf.DataType }) => {
    if (dtype === x.dtype) return t.alias(x, x.shape)
    const splat = t.splat(x)
    if (splat === undefined) return t.emit(Elementwise.cast, [x], { to: dtype as DType })
    const filler = dtype === "int32" ? Math.trunc(splat) : dtype === "bool" ? Number(splat !== 0) : splat
    return t.filled(filler, x.shape, dtype)
  },
  PatchwordSelect: (t, { a, b, condition }: { a: Info; b: Info; condition: Info }) => select(t, [condition, a, b]),
  PatchwordGelu: unary(Elementwise.gelu),
  PatchwordGeluGradient: (t, { dy, x }: { dy: Info; x: Info }) => t.emit(Elementwise.geluGradient, [dy, x], {})
}
