/** Arithmetic, comparison and selection, element by element. Shapes of operands broadcast. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Type } from "../graph/Graph.ts"
import { broadcast, sameShape } from "../graph/Types.ts"
import type { OnnxWriter } from "../onnx/OnnxWriter.ts"
import { type Id, inside, typed } from "../tensorflow/NodeWriter.ts"
import { type Call, type Operation, same } from "./Operation.ts"

const FLOAT = typed("float32")

type None = Readonly<Record<never, never>>

const all = (w: OnnxWriter, { inputs }: Call): ReadonlyArray<string> => inputs.map((input) => w.name(input))

// TensorFlow's operators on bools have no element type.
const onBools = new Set(["LogicalAnd", "LogicalOr", "LogicalNot"])

/** An operator that both know. Its element type in TensorFlow is that of the first operand. */
const plain = (name: string, onnx: string, tensorflow: string): Omit<Operation<None>, "types"> => ({
  name,
  onnx: (w, call) => w.emit(onnx, all(w, call)),
  tensorflow: (w, operands, { inputs: [x] }) =>
    w.emit(tensorflow, operands, onBools.has(tensorflow) ? {} : typed(x!.dtype))
})

const unary = (name: string, onnx: string, tensorflow: string, dtype?: DType): Operation<None> => ({
  ...plain(name, onnx, tensorflow),
  types: ([x]) => [{ ...x!, dtype: dtype ?? x!.dtype }]
})

const binary = (name: string, onnx: string, tensorflow: string, dtype?: DType): Operation<None> => ({
  ...plain(name, onnx, tensorflow),
  types: ([a, b]) => [{ shape: broadcast(a!.shape, b!.shape), dtype: dtype ?? a!.dtype }]
})

export const abs = unary("abs", "Abs", "Abs")
export const ceil = unary("ceil", "Ceil", "Ceil")
export const cos = unary("cos", "Cos", "Cos")
export const elu = unary("elu", "Elu", "Elu")
export const erf = unary("erf", "Erf", "Erf")
export const exp = unary("exp", "Exp", "Exp")
export const floor = unary("floor", "Floor", "Floor")
export const isNaN = unary("isNaN", "IsNaN", "IsNan", "bool")
export const log = unary("log", "Log", "Log")
export const neg = unary("neg", "Neg", "Neg")
export const not = unary("not", "Not", "LogicalNot")
export const reciprocal = unary("reciprocal", "Reciprocal", "Reciprocal")
export const relu = unary("relu", "Relu", "Relu")
/** Rounds to the nearest whole number, halves to the even one. */
export const round = unary("round", "Round", "Round")
export const sigmoid = unary("sigmoid", "Sigmoid", "Sigmoid")
export const sin = unary("sin", "Sin", "Sin")
export const softplus = unary("softplus", "Softplus", "Softplus")
export const sqrt = unary("sqrt", "Sqrt", "Sqrt")
export const tanh = unary("tanh", "Tanh", "Tanh")

/** Tests whether numbers are neither infinite nor NaN. */
export const isFinite: Operation<None> = {
  ...unary("isFinite", "", "IsFinite", "bool"),
  // x - x is 0 where x is finite and NaN elsewhere.
  onnx: (w, call) => {
    const [x] = all(w, call)
    return w.emit("Equal", [w.emit("Sub", [x!, x!]), w.scalar(0)])
  }
}

/** Computes `1 / √x`. */
export const rsqrt: Operation<None> = {
  ...unary("rsqrt", "", "Rsqrt"),
  onnx: (w, call) => w.emit("Reciprocal", [w.emit("Sqrt", all(w, call))])
}

/** Returns -1, 0 or 1. The sign of NaN is 0, as in TensorFlow.js and PyTorch. */
export const sign: Operation<None> = {
  ...unary("sign", "", ""),
  onnx: (w, { inputs: [x] }) =>
    w.emit("Where", [w.emit("IsNaN", [w.name(x!)]), w.scalar(0, x!.dtype), w.emit("Sign", [w.name(x!)])]),
  tensorflow: (w, [x], { inputs }) => {
    const type = typed(inputs[0]!.dtype)
    const signs = w.emit("Sign", [x!], type)
    return inputs[0]!.dtype === "float32"
      ? w.emit("SelectV2", [w.emit("IsNan", [x!], type), w.scalar(0), signs], type)
      : signs
  }
}

export const square: Operation<None> = {
  ...unary("square", "", "Square"),
  onnx: (w, { inputs: [x] }) => w.emit("Mul", [w.name(x!), w.name(x!)])
}

/** Returns 1 for positive numbers and `alpha` for all others. */
export const step: Operation<{ readonly alpha: number }> = {
  name: "step",
  types: same,
  onnx: (w, { attributes: { alpha }, inputs: [x] }) => {
    const flat = w.emit("LessOrEqual", [w.name(x!), w.scalar(0, x!.dtype)])
    return w.emit("Where", [flat, w.scalar(alpha, x!.dtype), w.scalar(1, x!.dtype)])
  },
  tensorflow: (w, [x], { attributes: { alpha }, inputs: [input] }) => {
    const { dtype } = input!
    const flat = w.emit("LessEqual", [x!, w.scalar(0, dtype)], typed(dtype))
    return w.emit("SelectV2", [flat, w.scalar(alpha, dtype), w.scalar(1, dtype)], typed(dtype))
  }
}

/** Limits numbers to the range from `least` to `most`. */
export const clip: Operation<{ readonly least: number; readonly most: number }> = {
  name: "clip",
  types: same,
  onnx: (w, { attributes: { least, most }, inputs: [x] }) =>
    w.emit("Clip", [w.name(x!), w.scalar(least, x!.dtype), w.scalar(most, x!.dtype)]),
  tensorflow: (w, [x], { attributes: { least, most }, inputs: [input] }) => {
    const { dtype } = input!
    const above = w.emit("Maximum", [x!, w.scalar(least, dtype)], typed(dtype))
    return w.emit("Minimum", [above, w.scalar(most, dtype)], typed(dtype))
  }
}

/** Converts the element type. Real numbers lose their fraction; a bool is true where a number is not 0. */
export const cast: Operation<{ readonly to: DType }> = {
  name: "cast",
  types: ([x], { to }) => [{ ...x!, dtype: to }],
  onnx: (w, { attributes: { to }, inputs: [x] }) => w.cast(w.name(x!), to),
  tensorflow: (w, [x], { attributes: { to }, inputs }) => w.cast(x!, inside(inputs[0]!.dtype), inside(to))
}

export const add: Operation<None> = {
  ...binary("add", "", "AddV2"),
  // The sum of transposes is the transpose of the sum, and engines may take a gradient as its transpose.
  onnx: (w, call) => {
    const [a, b] = call.inputs.map((input) => w.beforeTransposing(input))
    if (a === undefined || b === undefined || !sameShape(a.shape, b.shape)) return w.emit("Add", all(w, call))
    return { name: w.transpose(w.emit("Add", [a.name, b.name])), shape: a.shape.toReversed() }
  }
}
export const sub = binary("sub", "Sub", "Sub")
export const mul = binary("mul", "Mul", "Mul")
export const div = binary("div", "Div", "RealDiv", "float32")
export const maximum = binary("maximum", "Max", "Maximum")
export const minimum = binary("minimum", "Min", "Minimum")
export const pow = binary("pow", "Pow", "Pow")
export const and = binary("and", "And", "LogicalAnd")
export const or = binary("or", "Or", "LogicalOr")
export const equal = binary("equal", "Equal", "Equal", "bool")
export const greater = binary("greater", "Greater", "Greater", "bool")
export const greaterOrEqual = binary("greaterOrEqual", "GreaterOrEqual", "GreaterEqual", "bool")
export const less = binary("less", "Less", "Less", "bool")
export const lessOrEqual = binary("lessOrEqual", "LessOrEqual", "LessEqual", "bool")

/** Adds any number of arrays of one shape. */
export const addN: Operation<None> = {
  name: "addN",
  types: same,
  onnx: (w, call) => w.emit("Sum", all(w, call)),
  tensorflow: (w, operands, { inputs: [x] }) =>
    w.emit("AddN", operands, { ...typed(x!.dtype), N: { int: operands.length } })
}

/** Returns the elements of the second operand where the first is true, and of the third elsewhere. */
export const select: Operation<None> = {
  name: "select",
  types: ([condition, a, b]): ReadonlyArray<Type> => [
    { ...a!, shape: broadcast(condition!.shape, a!.shape, b!.shape) }
  ],
  onnx: (w, call) => w.emit("Where", all(w, call)),
  tensorflow: (w, operands, { inputs: [, a] }) => w.emit("SelectV2", operands, typed(a!.dtype))
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
  },
  tensorflow: (w, [x]) => {
    const emit = (operator: string, ...operands: ReadonlyArray<Id>) => w.emit(operator, operands, FLOAT)
    const spread = emit("AddV2", emit("Erf", emit("Mul", x!, w.scalar(Math.SQRT1_2))), w.scalar(1))
    return emit("Mul", emit("Mul", x!, w.scalar(0.5)), spread)
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
  },
  tensorflow: (w, [dy, x]) => {
    const emit = (operator: string, ...operands: ReadonlyArray<Id>) => w.emit(operator, operands, FLOAT)
    const scaled = emit("Mul", x!, w.scalar(Math.SQRT1_2))
    const cumulative = emit("AddV2", emit("Mul", emit("Erf", scaled), w.scalar(0.5)), w.scalar(0.5))
    const density = emit("Exp", emit("Sub", w.scalar(-Math.log(Math.PI) / 2), emit("Square", scaled)))
    return emit("Mul", dy!, emit("AddV2", cumulative, emit("Mul", scaled, density)))
  }
}
