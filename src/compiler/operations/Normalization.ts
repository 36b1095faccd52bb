/** Operations on whole rows: normalisation and softmax. */
import { type Operation, same } from "./Operation.ts"

interface Axis extends Readonly<Record<string, number>> {
  readonly axis: number
}

/** Computes `eˣ / Σ eˣ` along an axis. */
export const softmax: Operation<Axis> = {
  name: "softmax",
  types: same,
  onnx: (w, { attributes: { axis }, inputs: [x] }) => w.emit("Softmax", [w.name(x!)], { axis })
}

/** Computes the logarithm of the softmax along an axis. */
export const logSoftmax: Operation<Axis> = {
  name: "logSoftmax",
  types: same,
  onnx: (w, { attributes: { axis }, inputs: [x] }) => w.emit("LogSoftmax", [w.name(x!)], { axis })
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
  }
}
