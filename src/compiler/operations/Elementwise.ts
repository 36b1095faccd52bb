/** Arithmetic, comparison and selection, element by element. Shapes of operands broadcast. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Type } from "../graph/Graph.ts"
import { broadcast, sameShape } from "../graph/Types.ts"
import type { OnnxWriter } from "../onnx/OnnxWriter.ts"
import { type Call, type Operation, same } from "./Operation.ts"

type None = Readonly<Record<never, never>>

const all = (w: OnnxWriter, { inputs }: Call): ReadonlyArray<string> => inputs.map((input) => w.name(input))

const unary = (name: string, onnx: string, dtype?: DType): Operation<None> => ({
  name,
  types: ([x]) => [{ ...x!, dtype: dtype ?? x!.dtype }],
  onnx: (w, call) => w.emit(onnx, all(w, call))
})

const binary = (name: string, onnx: string, dtype?: DType): Operation<None> => ({
  name,
  types: ([a, b]) => [{ shape: broadcast(a!.shape, b!.shape), dtype: dtype ?? a!.dtype }],
  onnx: (w, call) => w.emit(onnx, all(w, call))
})

export const abs = unary("abs", "Abs")
export const ceil = unary("ceil", "Ceil")
export const cos = unary("cos", "Cos")
export const elu = unary("elu", "Elu")
export const erf = unary("erf", "Erf")
export const exp = unary("exp", "Exp")
export const floor = unary("floor", "Floor")
export const isNaN = unary("isNaN", "IsNaN", "bool")
export const log = unary("log", "Log")
export const neg = unary("neg", "Neg")
export const not = unary("not", "Not")
export const reciprocal = unary("reciprocal", "Reciprocal")
export const relu = unary("relu", "Relu")
/** Rounds to the nearest whole number, halves to the even one. */
export const round = unary("round", "Round")
export const sigmoid = unary("sigmoid", "Sigmoid")
export const sin = unary("sin", "Sin")
export const softplus = unary("softplus", "Softplus")
export const sqrt = unary("sqrt", "Sqrt")
export const tanh = unary("tanh", "Tanh")

/** Tests whether numbers are neither infinite nor NaN. */
export const isFinite: Operation<None> = {
  ...unary("isFinite", "", "bool"),
  // x - x is 0 where x is finite and NaN elsewhere.
  onnx: (w, call) => {
    const [x] = all(w, call)
    return w.emit("Equal", [w.emit("Sub", [x!, x!]), w.scalar(0)])
  }
}

/** Computes `1 / √x`. */
export const rsqrt: Operation<None> = {
  ...unary("rsqrt", ""),
  onnx: (w, call) => w.emit("Reciprocal", [w.emit("Sqrt", all(w, call))])
}

/** Returns -1, 0 or 1. The sign of NaN is 0, as in TensorFlow.js and PyTorch. */
export const sign: Operation<None> = {
  ...unary("sign", ""),
  onnx: (w, { inputs: [x] }) =>
    w.emit("Where", [w.emit("IsNaN", [w.name(x!)]), w.scalar(0, x!.dtype), w.emit("Sign", [w.name(x!)])])
}

export const square: Operation<None> = {
  ...unary("square", ""),
  onnx: (w, { inputs: [x] }) => w.emit("Mul", [w.name(x!), w.name(x!)])
}

/** Returns 1 for positive numbers and `alpha` for all others. */
export const step: Operation<{ readonly alpha: number }> = {
  name: "step",
  types: same,
  onnx: (w, { attributes: { alpha }, inputs: [x] }) => {
    const flat = w.emit("LessOrEqual", [w.name(x!), w.scalar(0, x!.dtype)])
    return w.emit("Where", [flat, w.scalar(alpha, x!.dtype), w.scalar(1, x!.dtype)])
  }
}

/** Limits numbers to the range from `least` to `most`. */
export const clip: Operation<{ readonly least: number; readonly most: number }> = {
  name: "clip",
  types: same,
  onnx: (w, { attributes: { least, most }, inputs: [x] }) =>
    w.emit("Clip", [w.name(x!), w.scalar(least, x!.dtype), w.scalar(most, x!.dtype)])
}

/** Converts the element type. Real numbers lose their fraction; a bool is true where a number is not 0. */
export const cast: Operation<{ readonly to: DType }> = {
  name: "cast",
  types: ([x], { to }) => [{ ...x!, dtype: to }],
  onnx: (w, { attributes: { to }, inputs: [x] }) => w.cast(w.name(x!), to)
}

export const add: Operation<None> = {
  ...binary("add", ""),
  // The sum of transposes is the transpose of the sum, and engines may take a gradient as its transpose.
  onnx: (w, call) => {
    const [a, b] = call.inputs.map((input) => w.beforeTransposing(input))
    if (a === undefined || b === undefined || !sameShape(a.shape, b.shape)) return w.emit("Add", all(w, call))
    return { name: w.transpose(w.emit("Add", [a.name, b.name])), shape: a.shape.toReversed() }
  }
}
export const sub = binary("sub", "Sub")
export const mul = binary("mul", "Mul")
export const div = binary("div", "Div", "float32")
export const maximum = binary("maximum", "Max")
export const minimum = binary("minimum", "Min")
export const pow = binary("pow", "Pow")
export const and = binary("and", "And")
export const or = binary("or", "Or")
export const equal = binary("equal", "Equal", "bool")
export const greater = binary("greater", "Greater", "bool")
export const greaterOrEqual = binary("greaterOrEqual", "GreaterOrEqual", "bool")
export const less = binary("less", "Less", "bool")
export const lessOrEqual = binary("lessOrEqual", "LessOrEqual", "bool")

/** Adds any number of arrays of one shape. */
export const addN: Operation<None> = {
  name: "addN",
  types: same,
  onnx: (w, call) => w.emit("Sum", all(w, call))
}

/** Returns the elements of the second operand where the first is true, and of the third elsewhere. */
export const select: Operation<None> = {
  name: "select",
  types: ([condition, a, b]): ReadonlyArray<Type> => [
    { ...a!, shape: broadcast(condition!.shape, a!.shape, b!.shape) }
  ],
  onnx: (w, call) => w.emit("Where", all(w, call))
}

/** Computes `x Φ(x)` with the distribution function Φ of the normal distribution. */
export const gelu: Operation<None> = {
  name: "gelu",
  types: same,
  onnx: (w, { inputs: [x] }) => {
    if (!w.standard) return w.emitMicrosoft("Gelu", [w.name(x!)])
    // Runtimes recognise this form.
    const emit = (operator: string, value: string, constant: number) => w.emit(operator, [value, w.scalar(constant)])
    const spread = emit("Add", w.emit("Erf", [emit("Div", w.name(x!), Math.SQRT2)]), 1)
    return emit("Mul", w.emit("Mul", [w.name(x!), spread]), 0.5)
  }
}

/** Computes `dy (Φ(x) + x φ(x))` from `dy` and `x`: the gradient of {@link gelu}. */
export const geluGradient: Operation<None> = {
  name: "geluGradient",
  types: same,
  // Every operator is a pass over memory, so constants are put where they cost no pass.
  onnx: (w, { inputs: [dy, x] }) => {
    const scaled = w.emit("Mul", [w.name(x!), w.scalar(Math.SQRT1_2)])
    const halves = { alpha: { float: 0.5 }, beta: { float: 0.5 } }
    const cumulative = w.emit("HardSigmoid", [w.emit("Erf", [scaled])], halves)
    const exponent = w.emit("Sub", [w.scalar(-Math.log(Math.PI) / 2), w.emit("Mul", [scaled, scaled])])
    const slope = w.emit("Add", [cumulative, w.emit("Mul", [scaled, w.emit("Exp", [exponent])])])
    return w.emit("Mul", [w.name(dy!), slope])
  }
}
