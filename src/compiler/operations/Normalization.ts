/** Operations on whole rows: normalisation and softmax. */
import { type Id, typed } from "../tensorflow/NodeWriter.ts"
import { INT32 } from "../tensorflow/Tensors.ts"
import { type Operation, same } from "./Operation.ts"

type None = Readonly<Record<never, never>>

const FLOAT = typed("float32")

/** Computes `eˣ / Σ eˣ` of each row `[..., C]`. */
export const softmax: Operation<None> = {
  name: "softmax",
  types: same,
  onnx: (w, { inputs: [x] }) => w.emit("Softmax", [w.name(x!)], { axis: x!.shape.length - 1 }),
  tensorflow: (w, operands) => w.emit("Softmax", operands, FLOAT)
}

/** Computes the logarithm of the softmax of each row `[..., C]`. */
export const logSoftmax: Operation<None> = {
  name: "logSoftmax",
  types: same,
  onnx: (w, { inputs: [x] }) => w.emit("LogSoftmax", [w.name(x!)], { axis: -1 }),
  tensorflow: (w, operands) => w.emit("LogSoftmax", operands, FLOAT)
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
  }
}
