/** Layers that are one operator in ONNX. Typed operations call them by these names. */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import { type Info, operator, type Translations } from "./Translation.ts"

export const translations: Translations = {
  /** Returns the result, and for the gradient the mean and the inverse deviation of each row. */
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
  /** Computes `dy (Φ(x) + x φ(x))`. Every operator is a pass over memory, so constants are put where they cost no pass. */
  PatchwordGeluGradient: (t, { dy, x }: { dy: Info; x: Info }) => {
    const emit = (operation: string, ...names: ReadonlyArray<string>) => t.graph.emit(operation, names)
    const scalar = (value: number) => t.scalar(value, "float32")
    const scaled = emit("Mul", t.name(x), scalar(Math.SQRT1_2))
    const halves = { alpha: { float: 0.5 }, beta: { float: 0.5 } }
    const cumulative = t.graph.emit("HardSigmoid", [emit("Erf", scaled)], halves)
    const density = emit("Exp", emit("Sub", scalar(-Math.log(Math.PI) / 2), emit("Mul", scaled, scaled)))
    const slope = emit("Add", cumulative, emit("Mul", scaled, density))
    return t.computed(emit("Mul", t.name(dy), slope), x.shape, "float32")
  },
  PatchwordBoundary: (t, { dy, x }: { dy: Info; x: Info }) => {
    t.boundaries.push({ value: t.name(x), gradient: t.name(dy), rank: dy.shape.length })
    return t.alias(dy, dy.shape)
  },
  [FusedAdamW.NAME]: (t, inputs: Record<string, Info>) =>
    t.addExternal(inputs, FusedAdamW.REPLACED.filter((key) => inputs[key] !== undefined)),
  PatchwordLogSoftmax: operator("LogSoftmax", ["x"], "x", () => ({ axis: -1 }))
}
