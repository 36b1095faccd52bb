/** Layers that ONNX has as one operator; typed operations ask for them by these names. */
import { type Info, type Kernels, MICROSOFT, operator } from "./Kernel.ts"

export const kernels: Kernels = {
  /** The result, and the mean and the inverse deviation of each row for the gradient. */
  PatchwordLayerNorm: (
    t,
    { bias, weight, x }: { bias: Info; weight: Info; x: Info },
    { epsilon }: { epsilon: number }
  ) => {
    const rows = [...x.shape.slice(0, -1), 1]
    const names = [x, weight, bias].map((input) => t.name(input))
    const options = { axis: -1, epsilon: { float: epsilon } }
    const results = t.graph.emitMany("LayerNormalization", names, 3, options)
    return [x.shape, rows, rows].map((shape, i) => t.computed(results[i]!, shape, "float32"))
  },
  PatchwordGelu: operator("Gelu", ["x"], "x", undefined, MICROSOFT),
  PatchwordLogSoftmax: operator("LogSoftmax", ["x"], "x", () => ({ axis: -1 }))
}
