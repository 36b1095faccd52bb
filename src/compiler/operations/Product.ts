/** Matrix products. */
import { size } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type { Element, Type } from "../graph/Graph.ts"
import { broadcast } from "../graph/Types.ts"
import { namesOf, typeOf, typesOf } from "../stablehlo/StableHloWriter.ts"
import { type Id, typed } from "../tensorflow/NodeWriter.ts"
import * as Tensors from "../tensorflow/Tensors.ts"
import type { Operation } from "./Operation.ts"

const FLOAT = typed("float32")

interface Product extends Readonly<Record<string, number | boolean>> {
  /** A factor of the product. */
  readonly alpha: number
  /** True if the product is computed in float32, whatever the precision of the other products is. */
  readonly exact: boolean
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

/**
 * Computes `alpha · a b` on the last two axes. Either operand may be transposed, the other axes broadcast. Factors in bfloat16 are added
 * up in float32.
 */
export const matMul: Operation<Product> = {
  name: "matMul",
  precision: "product",
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
  },
  tensorflow: (w, [x, y], { attributes: { alpha, transposeA, transposeB }, inputs: [a, b], outputs: [product] }) => {
    const scaled = (id: Id) => (alpha === 1 ? id : w.emit("Mul", [id, w.scalar(alpha)], FLOAT))
    const matrices = (left: Id, right: Id, isTurned: boolean) =>
      w.emit("MatMul", [left, right], { ...FLOAT, transpose_a: isTurned, transpose_b: transposeB })
    if (a!.shape.length === 2 && b!.shape.length === 2) return scaled(matrices(x!, y!, transposeA))
    if (b!.shape.length > 2 || transposeA) {
      return scaled(w.emit("BatchMatMulV2", [x!, y!], { ...FLOAT, adj_x: transposeA, adj_y: transposeB }))
    }
    // One matrix for all of a batch: a product of long rows.
    const rows = Tensors.reshape(w, x!, "float32", [size(a!.shape.slice(0, -1)), a!.shape.at(-1)!])
    return Tensors.reshape(w, scaled(matrices(rows, y!, false)), "float32", product!.shape)
  },
  stablehlo: (w, [x, y], { attributes: { alpha, exact, transposeA, transposeB }, outputs: [product] }) => {
    const batch = product!.shape.slice(0, -2)
    // One matrix for all of a batch is not repeated.
    const isShared = y!.shape.length === 2 && !transposeA
    const left = isShared ? x! : w.broadcast(x!, [...batch, ...x!.shape.slice(-2)])
    const right = isShared ? y! : w.broadcast(y!, [...batch, ...y!.shape.slice(-2)])
    const axes = isShared ? "" : batch.map((_, axis) => axis).join(", ")
    const batching = axes === "" ? "" : `, batching_dims = [${axes}] x [${axes}]`
    const along = [left.shape.length - (transposeA ? 2 : 1), right.shape.length - (transposeB ? 1 : 2)]
    // Without a word, XLA computes products of float32 in tf32 where the device has it.
    const isRounded = left.dtype === "bfloat16" || (w.precision === "tf32" && !exact)
    const precision = isRounded ? "" : ", precision = [HIGHEST, HIGHEST]"
    const options = `${batching}, contracting_dims = [${along[0]}] x [${along[1]}]${precision}`
    const { dtype, shape }: Type<Element> = product!
    const type = `(${typesOf([left, right])}) -> ${typeOf({ shape, dtype })}`
    const made = w.put(`stablehlo.dot_general ${namesOf([left, right])}${options} : ${type}`, shape, dtype)
    return alpha === 1 ? made : w.each("multiply", w.convert(made, "float32"), w.splat(alpha))
  }
}
