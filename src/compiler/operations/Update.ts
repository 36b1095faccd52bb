/** Operations of a training step as a whole: the optimizer's update, and the order of computing again. */
import { ADAMW } from "../graph/AdamWSplit.ts"
import { AFTER } from "../graph/Recompute.ts"
import { namesOf, typesOf } from "../stablehlo/StableHloWriter.ts"
import { after as waitFor, typed } from "../tensorflow/NodeWriter.ts"
import { type Operation, same } from "./Operation.ts"

/**
 * Updates a parameter and its moments (`FusedAdamW.update`). The attribute `operands` names the operands in order. Results are
 * the parameter, the moments, and the mean gradient and the moving average if they are among the operands.
 *
 * No engine has it in its graph: `AdamWSplit` takes it out, and the engine updates the state after the graph.
 */
export const adamW: Operation<{ readonly operands: ReadonlyArray<string>; readonly replaced: ReadonlyArray<string> }> =
  {
    name: ADAMW,
    types: (given, { operands, replaced }) => replaced.map((key) => given[operands.indexOf(key)]!)
  }

/** Returns the first operand, but not before the second operand is computed. */
export const after: Operation<Readonly<Record<never, never>>> = {
  name: AFTER,
  precision: "moved",
  types: same,
  // ONNX Runtime would merge equal nodes and run the copies early. So a zero is subtracted that depends on the second operand. It
  // is the result of a comparison, since no magnitude is below zero. It does not change the sign of zeros.
  onnx: (w, { inputs: [x, awaited] }) => {
    const all = (value: number) => w.integers(awaited!.shape.map(() => value))
    const element = w.emit("Slice", [w.name(awaited!), all(0), all(1)])
    const below = w.emit("Less", [w.emit("Abs", [element]), w.scalar(0)])
    return w.emit("Sub", [w.name(x!), w.cast(below, "float32")])
  },
  tensorflow: (w, [x, awaited]) => w.emit("Identity", [x!, waitFor(awaited!)], typed("float32")),
  stablehlo: (w, operands) =>
    w.putAll(`stablehlo.optimization_barrier ${namesOf(operands)} : ${typesOf(operands)}`, operands).slice(0, 1)
}
