/** Operations on whole rows: normalisation and softmax. */
import type { Element, Value } from "../graph/Graph.ts"
import type { StableHloWriter } from "../stablehlo/StableHloWriter.ts"
import { type Id, typed } from "../tensorflow/NodeWriter.ts"
import { INT32 } from "../tensorflow/Tensors.ts"
import { type Operation, same } from "./Operation.ts"

type None = Readonly<Record<never, never>>

const FLOAT = typed("float32")

/** Returns rows without their largest number, the exponentials of that, and their sums. */
const exponentials = (w: StableHloWriter, x: Value<Element>) => {
  const last = [x.shape.length - 1]
  const below = w.each("subtract", x, w.reduce(x, "maximum", Number.NEGATIVE_INFINITY, last, true))
  const powers = w.each("exponential", below)
  return { below, powers, total: w.reduce(powers, "add", 0, last, true) }
}

/** Computes `eˣ / Σ eˣ` of each row `[..., C]`. */
export const softmax: Operation<None> = {
  name: "softmax",
  // PyTorch returns float32, and rounds it for the product that reads it. The gradient reads the same numbers here, as in PyTorch's
  // fused attention, so one array of all scores is kept instead of two.
  precision: "widest",
  types: same,
  onnx: (w, { inputs: [x] }) => w.emit("Softmax", [w.name(x!)], { axis: x!.shape.length - 1 }),
  tensorflow: (w, operands) => w.emit("Softmax", operands, FLOAT),
  stablehlo: (w, [x]) => {
    const { powers, total } = exponentials(w, x!)
    return w.each("divide", powers, total)
  }
}

/** Computes the logarithm of the softmax of each row `[..., C]`. */
export const logSoftmax: Operation<None> = {
  name: "logSoftmax",
  types: same,
  onnx: (w, { inputs: [x] }) => w.emit("LogSoftmax", [w.name(x!)], { axis: -1 }),
  tensorflow: (w, operands) => w.emit("LogSoftmax", operands, FLOAT),
  stablehlo: (w, [x]) => {
    const { below, total } = exponentials(w, x!)
    return w.each("subtract", below, w.each("log", total))
  }
}

/**
 * Normalises rows to mean 0 and variance 1, and then scales and shifts them. Operands are `x` `[..., C]`, weight and bias `[C]`.
 * Results are `y`, and for the gradient the mean and the inverse deviation `1 / √(variance + epsilon)` of each row `[..., 1]`.
 */
export const layerNorm: Operation<{ readonly epsilon: number }> = {
  name: "layerNorm",
  types: ([x]) => {
    const rows = { ...x!, shape: [...x!.shape.slice(0, -1), 1] }
    return [x!, rows, rows]
  },
  onnx: (w, { attributes: { epsilon }, inputs }) => {
    const names = inputs.map((input) => w.name(input))
    return w.graph.emitMany("LayerNormalization", names, 3, { axis: -1, epsilon: { float: epsilon } })
  },
  tensorflow: (w, [x, weight, bias], { attributes: { epsilon }, inputs: [input] }) => {
    const emit = (operator: string, ...operands: ReadonlyArray<Id>) => w.emit(operator, operands, FLOAT)
    const last = w.integers([input!.shape.length - 1])
    const mean = (of: Id) => w.emit("Mean", [of, last], { ...FLOAT, Tidx: INT32, keep_dims: true })
    const centre = mean(x!)
    const centred = emit("Sub", x!, centre)
    const inverse = emit("Rsqrt", emit("AddV2", mean(emit("Square", centred)), w.scalar(epsilon)))
    return [emit("AddV2", emit("Mul", emit("Mul", centred, inverse), weight!), bias!), centre, inverse]
  },
  stablehlo: (w, [x, weight, bias], { attributes: { epsilon } }) => {
    const last = [x!.shape.length - 1]
    const mean = (of: Value<Element>) => w.each("divide", w.reduce(of, "add", 0, last, true), w.splat(x!.shape.at(-1)!))
    const centre = mean(x!)
    const centred = w.each("subtract", x!, centre)
    const inverse = w.each("rsqrt", w.each("add", mean(w.each("multiply", centred, centred)), w.splat(epsilon)))
    return [w.each("add", w.each("multiply", w.each("multiply", centred, inverse), weight!), bias!), centre, inverse]
  }
}
