/** Matrix products. */
import { size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Type } from "../graph/Graph.ts"
import { broadcast } from "../graph/Types.ts"
import type { Operation } from "./Operation.ts"

interface Product extends Readonly<Record<string, number | boolean>> {
  /** A factor of the product. */
  readonly alpha: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

const shapeOf = ([a, b]: ReadonlyArray<Type>, { transposeA, transposeB }: Product): Shape => [
  ...broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2)),
  a!.shape.at(transposeA ? -1 : -2)!,
  b!.shape.at(transposeB ? -2 : -1)!
]

/** Exchanges the last two axes. */
const swapped = ({ length }: Shape): ReadonlyArray<number> => {
  const axes = Array.from({ length }, (_, axis) => axis)
  return [...axes.slice(0, -2), ...axes.slice(-2).toReversed()]
}

/** Computes `alpha · a b` on the last two axes. Either operand may be transposed, the other axes broadcast. */
export const matMul: Operation<Product> = {
  name: "matMul",
  types: (operands, attributes) => [{ shape: shapeOf(operands, attributes), dtype: "float32" }],
  flops: (operands, attributes) =>
    2 * size(shapeOf(operands, attributes)) * operands[0]!.shape.at(attributes.transposeA ? -2 : -1)!,
  onnx: (w, { attributes: { alpha, transposeA, transposeB }, inputs: [a, b], outputs: [y] }) => {
    const [left, right] = [w.name(a!), w.name(b!)]
    const product = (first: string, second: string) => w.emit("MatMul", [first, second])
    if (w.standard) {
      const turned = product(
        transposeA ? w.transpose(left, swapped(a!.shape)) : left,
        transposeB ? w.transpose(right, swapped(b!.shape)) : right
      )
      return alpha === 1 ? turned : w.emit("Mul", [turned, w.scalar(alpha)])
    }
    const plain = !transposeB && alpha === 1
    if (plain && !transposeA) return product(left, right)
    if (!plain || y!.shape.length > 2) {
      const options = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: alpha } }
      return w.emitMicrosoft("FusedMatMul", [left, right], options)
    }
    // The gradient of a weight. ONNX Runtime would transpose panels of the first operand again for every 128 columns of the
    // second. Transposing the smaller operand once saves a quarter of the time.
    const [rows, columns] = y!.shape
    return rows! <= columns!
      ? product(w.transpose(left), right)
      : w.transpose(product(w.transpose(right), left))
  }
}
