/** Arithmetic, comparison and selection, element by element. Shapes of operands broadcast. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Element, Type, Value } from "../graph/Graph.ts"
import { broadcast, sameShape } from "../graph/Types.ts"
import type { OnnxWriter } from "../onnx/OnnxWriter.ts"
import { type StableHloWriter, typeOf } from "../stablehlo/StableHloWriter.ts"
import { type Id, inside, typed } from "../tensorflow/NodeWriter.ts"
import { type Call, type Operation, same } from "./Operation.ts"

const FLOAT = typed("float32")

type None = Readonly<Record<never, never>>

const all = (w: OnnxWriter, { inputs }: Call): ReadonlyArray<string> => inputs.map((input) => w.name(input))

// TensorFlow's operators on bools have no element type.
const onBools = new Set(["LogicalAnd", "LogicalOr", "LogicalNot"])

type Writing<K extends "onnx" | "stablehlo" | "tensorflow"> = NonNullable<Operation<None>[K]>

/** For each engine the name of an operator that does the same on the same operands, or else the writing. */
interface Writings {
  readonly onnx: string | Writing<"onnx">
  readonly tensorflow: string | Writing<"tensorflow">
  readonly stablehlo: string | Writing<"stablehlo">
}

const written = (name: string, { onnx, stablehlo, tensorflow }: Writings): Omit<Operation<None>, "types"> => ({
  name,
  onnx: typeof onnx === "string" ? (w, call) => w.emit(onnx, all(w, call)) : onnx,
  tensorflow: typeof tensorflow === "string"
    ? (w, operands, { inputs: [x] }) => w.emit(tensorflow, operands, onBools.has(tensorflow) ? {} : typed(x!.dtype))
    : tensorflow,
  stablehlo: typeof stablehlo === "string" ? (w, operands) => w.each(stablehlo, ...operands) : stablehlo
})

const unary = (name: string, writings: Writings, dtype?: DType): Operation<None> => ({
  ...written(name, writings),
  types: ([x]) => [{ ...x!, dtype: dtype ?? x!.dtype }]
})

const binary = (name: string, writings: Writings, dtype?: DType): Operation<None> => ({
  ...written(name, writings),
  types: ([a, b]) => [{ shape: broadcast(a!.shape, b!.shape), dtype: dtype ?? a!.dtype }]
})

const comparison = (name: string, onnx: string, tensorflow: string, direction: string): Operation<None> =>
  binary(name, { onnx, tensorflow, stablehlo: (w, [a, b]) => w.compare(direction, a!, b!) }, "bool")

// PyTorch computes all others that give real numbers in float32, or they stand in losses and choices alone.
const widest = (operation: Operation<None>): Operation<None> => ({ ...operation, precision: "widest" })

const erfOf = (w: StableHloWriter, x: Value<Element>): Value<Element> =>
  w.put(`chlo.erf ${x.name} : ${typeOf(x)} -> ${typeOf(x)}`, x.shape, x.dtype)

export const abs = widest(unary("abs", { onnx: "Abs", tensorflow: "Abs", stablehlo: "abs" }))
export const ceil = unary("ceil", { onnx: "Ceil", tensorflow: "Ceil", stablehlo: "ceil" })
export const cos = unary("cos", { onnx: "Cos", tensorflow: "Cos", stablehlo: "cosine" })
/** Returns positive numbers as they are, and `eˣ - 1` for all others. */
export const elu = widest(unary("elu", {
  onnx: "Elu",
  tensorflow: "Elu",
  stablehlo: (w, [x]) => w.select(w.compare("GT", x!, w.splat(0)), x!, w.each("exponential_minus_one", x!))
}))
export const erf = unary("erf", { onnx: "Erf", tensorflow: "Erf", stablehlo: (w, [x]) => erfOf(w, x!) })
export const exp = unary("exp", { onnx: "Exp", tensorflow: "Exp", stablehlo: "exponential" })
export const floor = unary("floor", { onnx: "Floor", tensorflow: "Floor", stablehlo: "floor" })
/** Tests whether numbers are neither infinite nor NaN. */
export const isFinite = unary(
  "isFinite",
  {
    // x - x is 0 where x is finite and NaN elsewhere.
    onnx: (w, call) => {
      const [x] = all(w, call)
      return w.emit("Equal", [w.emit("Sub", [x!, x!]), w.scalar(0)])
    },
    tensorflow: "IsFinite",
    stablehlo: (w, [x]) => {
      const type = { shape: x!.shape, dtype: "bool" as const }
      return w.put(`stablehlo.is_finite ${x!.name} : (${typeOf(x!)}) -> ${typeOf(type)}`, type.shape, type.dtype)
    }
  },
  "bool"
)
export const isNaN = unary(
  "isNaN",
  { onnx: "IsNaN", tensorflow: "IsNan", stablehlo: (w, [x]) => w.compare("NE", x!, x!) },
  "bool"
)
export const log = unary("log", { onnx: "Log", tensorflow: "Log", stablehlo: "log" })
export const neg = widest(unary("neg", { onnx: "Neg", tensorflow: "Neg", stablehlo: "negate" }))
export const not = unary("not", { onnx: "Not", tensorflow: "LogicalNot", stablehlo: "not" })
export const reciprocal = unary("reciprocal", {
  onnx: "Reciprocal",
  tensorflow: "Reciprocal",
  stablehlo: (w, [x]) => w.each("divide", w.splat(1), x!)
})
export const relu = widest(unary("relu", {
  onnx: "Relu",
  tensorflow: "Relu",
  stablehlo: (w, [x]) => w.each("maximum", x!, w.splat(0))
}))
/** Rounds to the nearest whole number, halves to the even one. */
export const round = unary("round", { onnx: "Round", tensorflow: "Round", stablehlo: "round_nearest_even" })
/** Computes `1 / √x`. */
export const rsqrt = unary("rsqrt", {
  onnx: (w, call) => w.emit("Reciprocal", [w.emit("Sqrt", all(w, call))]),
  tensorflow: "Rsqrt",
  stablehlo: "rsqrt"
})
export const sigmoid = widest(unary("sigmoid", { onnx: "Sigmoid", tensorflow: "Sigmoid", stablehlo: "logistic" }))
/** Returns -1, 0 or 1. The sign of NaN is 0, as in TensorFlow.js and PyTorch. */
export const sign = unary("sign", {
  onnx: (w, { inputs: [x] }) =>
    w.emit("Where", [w.emit("IsNaN", [w.name(x!)]), w.scalar(0, x!.dtype), w.emit("Sign", [w.name(x!)])]),
  tensorflow: (w, [x], { inputs }) => {
    const type = typed(inputs[0]!.dtype)
    const signs = w.emit("Sign", [x!], type)
    return inputs[0]!.dtype === "float32"
      ? w.emit("SelectV2", [w.emit("IsNan", [x!], type), w.scalar(0), signs], type)
      : signs
  },
  stablehlo: (w, [x]) => w.select(w.compare("EQ", x!, x!), w.each("sign", x!), w.splat(0, [], x!.dtype))
})
export const sin = unary("sin", { onnx: "Sin", tensorflow: "Sin", stablehlo: "sine" })
/** Computes `log(1 + eˣ)`. */
export const softplus = unary("softplus", {
  onnx: "Softplus",
  tensorflow: "Softplus",
  stablehlo: (w, [x]) => {
    const rest = w.each("log_plus_one", w.each("exponential", w.each("negate", w.each("abs", x!))))
    return w.each("add", w.each("maximum", x!, w.splat(0)), rest)
  }
})
export const sqrt = unary("sqrt", { onnx: "Sqrt", tensorflow: "Sqrt", stablehlo: "sqrt" })
export const square = unary("square", {
  onnx: (w, { inputs: [x] }) => w.emit("Mul", [w.name(x!), w.name(x!)]),
  tensorflow: "Square",
  stablehlo: (w, [x]) => w.each("multiply", x!, x!)
})
export const tanh = widest(unary("tanh", { onnx: "Tanh", tensorflow: "Tanh", stablehlo: "tanh" }))

export const add = widest(binary("add", {
  // The sum of transposes is the transpose of the sum, and engines may take a gradient as its transpose.
  onnx: (w, call) => {
    const [a, b] = call.inputs.map((input) => w.beforeTransposing(input))
    if (a === undefined || b === undefined || !sameShape(a.shape, b.shape)) return w.emit("Add", all(w, call))
    return { name: w.transpose(w.emit("Add", [a.name, b.name])), shape: a.shape.toReversed() }
  },
  tensorflow: "AddV2",
  stablehlo: "add"
}))
export const sub = widest(binary("sub", { onnx: "Sub", tensorflow: "Sub", stablehlo: "subtract" }))
export const mul = widest(binary("mul", { onnx: "Mul", tensorflow: "Mul", stablehlo: "multiply" }))
export const div = widest(binary("div", { onnx: "Div", tensorflow: "RealDiv", stablehlo: "divide" }, "float32"))
export const maximum = widest(binary("maximum", { onnx: "Max", tensorflow: "Maximum", stablehlo: "maximum" }))
export const minimum = widest(binary("minimum", { onnx: "Min", tensorflow: "Minimum", stablehlo: "minimum" }))
export const pow = binary("pow", { onnx: "Pow", tensorflow: "Pow", stablehlo: "power" })
export const and = binary("and", { onnx: "And", tensorflow: "LogicalAnd", stablehlo: "and" })
export const or = binary("or", { onnx: "Or", tensorflow: "LogicalOr", stablehlo: "or" })
export const equal = comparison("equal", "Equal", "Equal", "EQ")
export const greater = comparison("greater", "Greater", "Greater", "GT")
export const greaterOrEqual = comparison("greaterOrEqual", "GreaterOrEqual", "GreaterEqual", "GE")
export const less = comparison("less", "Less", "Less", "LT")
export const lessOrEqual = comparison("lessOrEqual", "LessOrEqual", "LessEqual", "LE")

/** Returns 1 for positive numbers and `alpha` for all others. */
export const step: Operation<{ readonly alpha: number }> = {
  name: "step",
  precision: "widest",
  types: same,
  onnx: (w, { attributes: { alpha }, inputs: [x] }) => {
    const flat = w.emit("LessOrEqual", [w.name(x!), w.scalar(0, x!.dtype)])
    return w.emit("Where", [flat, w.scalar(alpha, x!.dtype), w.scalar(1, x!.dtype)])
  },
  tensorflow: (w, [x], { attributes: { alpha }, inputs: [input] }) => {
    const { dtype } = input!
    const flat = w.emit("LessEqual", [x!, w.scalar(0, dtype)], typed(dtype))
    return w.emit("SelectV2", [flat, w.scalar(alpha, dtype), w.scalar(1, dtype)], typed(dtype))
  },
  stablehlo: (w, [x], { attributes: { alpha } }) => {
    const number = (value: number) => w.splat(value, [], x!.dtype)
    return w.select(w.compare("LE", x!, number(0)), w.broadcast(number(alpha), x!.shape), number(1))
  }
}

/** Limits numbers to the range from `least` to `most`. */
export const clip: Operation<{ readonly least: number; readonly most: number }> = {
  name: "clip",
  precision: "widest",
  types: same,
  onnx: (w, { attributes: { least, most }, inputs: [x] }) =>
    w.emit("Clip", [w.name(x!), w.scalar(least, x!.dtype), w.scalar(most, x!.dtype)]),
  tensorflow: (w, [x], { attributes: { least, most }, inputs: [input] }) => {
    const { dtype } = input!
    const above = w.emit("Maximum", [x!, w.scalar(least, dtype)], typed(dtype))
    return w.emit("Minimum", [above, w.scalar(most, dtype)], typed(dtype))
  },
  stablehlo: (w, [x], { attributes: { least, most } }) =>
    w.each("minimum", w.each("maximum", x!, w.splat(least, [], x!.dtype)), w.splat(most, [], x!.dtype))
}

/** Converts the element type. Real numbers lose their fraction; a bool is true where a number is not 0. */
export const cast: Operation<{ readonly to: Element }> = {
  name: "cast",
  types: ([x], { to }) => [{ ...x!, dtype: to as DType }],
  onnx: (w, { attributes: { to }, inputs: [x] }) => w.cast(w.name(x!), to),
  tensorflow: (w, [x], { attributes: { to }, inputs }) => w.cast(x!, inside(inputs[0]!.dtype), inside(to)),
  stablehlo: (w, [x], { attributes: { to } }) => w.convert(x!, to)
}

/** Adds any number of arrays of one shape. */
export const addN: Operation<None> = {
  name: "addN",
  precision: "widest",
  types: same,
  onnx: (w, call) => w.emit("Sum", all(w, call)),
  tensorflow: (w, operands, { inputs: [x] }) =>
    w.emit("AddN", operands, { ...typed(x!.dtype), N: { int: operands.length } }),
  stablehlo: (w, operands) => operands.reduce((sum, operand) => w.each("add", sum, operand))
}

/** Returns the elements of the second operand where the first is true, and of the third elsewhere. */
export const select: Operation<None> = {
  name: "select",
  precision: "moved",
  types: ([condition, a, b]): ReadonlyArray<Type> => [
    { ...a!, shape: broadcast(condition!.shape, a!.shape, b!.shape) }
  ],
  onnx: (w, call) => w.emit("Where", all(w, call)),
  tensorflow: (w, operands, { inputs: [, a] }) => w.emit("SelectV2", operands, typed(a!.dtype)),
  stablehlo: (w, [condition, a, b]) => w.select(condition!, a!, b!)
}

/** Computes `x Φ(x)` with the distribution function Φ of the normal distribution. */
export const gelu: Operation<None> = {
  name: "gelu",
  precision: "widest",
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
  },
  stablehlo: (w, [x]) => {
    const spread = w.each("add", erfOf(w, w.each("multiply", x!, w.splat(Math.SQRT1_2))), w.splat(1))
    return w.each("multiply", w.each("multiply", x!, w.splat(0.5)), spread)
  }
}

/** Computes `dy (Φ(x) + x φ(x))` from `dy` and `x`: the gradient of {@link gelu}. */
export const geluGradient: Operation<None> = {
  name: "geluGradient",
  precision: "widest",
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
  },
  stablehlo: (w, [dy, x]) => {
    const half = w.splat(0.5)
    const scaled = w.each("multiply", x!, w.splat(Math.SQRT1_2))
    const cumulative = w.each("add", w.each("multiply", erfOf(w, scaled), half), half)
    const exponent = w.each("subtract", w.splat(-Math.log(Math.PI) / 2), w.each("multiply", scaled, scaled))
    const slope = w.each("add", cumulative, w.each("multiply", scaled, w.each("exponential", exponent)))
    return w.each("multiply", dy!, slope)
  }
}
