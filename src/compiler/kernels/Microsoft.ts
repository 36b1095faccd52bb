/** Products and GELU, as operators of ONNX Runtime alone and as operators of ONNX itself. */
import type { Tracer } from "../graph/Tracer.ts"
import {
  broadcast,
  divisorFrom,
  type Info,
  operator,
  size,
  type Translation,
  type Translations
} from "./Translation.ts"

/** The domain of ONNX Runtime's own operators. */
const MICROSOFT = "com.microsoft"

/** Reshapes a list of one number into that number. Making such a list later needs no reshape. */
const scalar = (t: Tracer, listed: string): Info => t.alias(t.computed(listed, [1], "float32"), [])

const DOT = { least: 2048, most: 8192 } as const

/**
 * Sums squares. A transposed matrix is read as it was before, since the sum is the same. A long array is cut into rows and each
 * row is multiplied by itself. Several threads share this work, so it is faster than an engine's own operator. The sum also
 * stays accurate: millions of small numbers do not vanish in a large partial sum.
 */
const sumSquares: Translation = (t, { x }: { x: Info }) => {
  const length = size(x.shape)
  const flat = t.alias(t.transposedBack(x) ?? x, [length])
  const row = length < DOT.least ? length : divisorFrom(length, DOT.least)
  if (row === length || row > DOT.most) {
    return scalar(t, t.graph.emit("ReduceSumSquare", [t.name(flat)], { keepdims: 1 }))
  }
  const rows = t.name(t.alias(flat, [length / row, 1, row]))
  const options = { transA: 0, transB: 1, alpha: { float: 1 } }
  const squares = t.graph.emit("FusedMatMul", [rows, rows], options, MICROSOFT)
  const listed = t.name(t.alias(t.computed(squares, [length / row, 1, 1], "float32"), [length / row]))
  return scalar(t, t.graph.emit("ReduceSum", [listed], { keepdims: 1 }))
}

interface Product {
  readonly alpha?: number
  readonly transposeA?: boolean
  readonly transposeB?: boolean
}

/** Returns the lengths of a product and its work. */
const measured = (a: Info, b: Info, { transposeA = false, transposeB = false }: Product) => {
  const rows = a.shape.at(transposeA ? -1 : -2)!
  const columns = b.shape.at(transposeB ? -2 : -1)!
  const shape = [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns]
  return { rows, columns, shape, flops: 2 * size(shape) * a.shape.at(transposeA ? -2 : -1)! }
}

const multiplied = (t: Tracer, left: string, right: string, flops: number): string =>
  t.graph.emit("MatMul", [left, right], {}, "", flops)

const matMul: Translation = (t, { a, b }: { a: Info; b: Info }, attributes: Product) => {
  const { alpha = 1, transposeA = false, transposeB = false } = attributes
  const { columns, flops, rows, shape } = measured(a, b, attributes)
  const [left, right] = [t.name(a), t.name(b)]
  const options = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: alpha } }
  const plain = !transposeB && alpha === 1
  const product = (first: string, second: string) => multiplied(t, first, second, flops)
  const emitted = () => {
    if (plain && !transposeA) return product(left, right)
    if (!plain || shape.length > 2) return t.graph.emit("FusedMatMul", [left, right], options, MICROSOFT, flops)
    // The gradient of a weight. ONNX Runtime would transpose panels of the first operand again for every 128 columns of the
    // second. Transposing the smaller operand once saves a quarter of the time.
    return rows <= columns ? product(t.transpose(left), right) : t.transpose(product(t.transpose(right), left))
  }
  return t.computed(emitted(), shape, "float32")
}

/** Translations into operators of ONNX Runtime. */
export const translations: Translations = {
  BatchMatMul: matMul,
  PatchwordGelu: operator("Gelu", ["x"], "x", undefined, MICROSOFT),
  PatchwordMatMul: matMul,
  PatchwordSumSquares: sumSquares
}

/** Transposes the last two axes and returns the name of the result. */
const swapped = (t: Tracer, x: Info): string => {
  const axes = [...x.shape.keys()]
  return t.transpose(t.name(x), [...axes.slice(0, -2), ...axes.slice(-2).toReversed()])
}

/**
 * Translations into operators of ONNX. Typed operations compose the other kernels above. ONNX Runtime joins these operators to its own
 * again.
 */
export const standard: Translations = {
  BatchMatMul: (t, { a, b }: { a: Info; b: Info }, attributes: Product) => {
    const { transposeA = false, transposeB = false } = attributes
    const { flops, shape } = measured(a, b, attributes)
    const left = transposeA ? swapped(t, a) : t.name(a)
    const right = transposeB ? swapped(t, b) : t.name(b)
    return t.computed(multiplied(t, left, right, flops), shape, "float32")
  },
  /** Computes `x Φ(x)` in the form that runtimes recognise. */
  PatchwordGelu: (t, { x }: { x: Info }) => {
    const emit = (operation: string, value: string, constant: number) =>
      t.graph.emit(operation, [value, t.scalar(constant, "float32")])
    const spread = emit("Add", t.graph.emit("Erf", [emit("Div", t.name(x), Math.SQRT2)]), 1)
    return t.computed(emit("Mul", t.graph.emit("Mul", [t.name(x), spread]), 0.5), x.shape, "float32")
  }
}
