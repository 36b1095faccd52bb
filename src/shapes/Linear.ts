/**
 * Matrix products. Weights keep the official layout `[out, in]`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Linear, Tensor } from "patchword/shapes"
 *
 * const layer = { weight: Tensor.zeros([4, 3]), bias: Tensor.fill([4], 2) }
 * assert.deepStrictEqual(Linear.linear(Tensor.zeros([2, 5, 3]), layer).shape, [2, 5, 4])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Show, ShowShape } from "./Dim.ts"
import * as Elementwise from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/** The weight `[out, in]` and bias `[out]` of a linear layer. */
export interface LinearParams<in out In extends number, in out Out extends number> {
  readonly weight: Tensor<[Out, In]>
  readonly bias: Tensor<[NoInfer<Out>]>
}

/** Options of a linear layer. */
export interface Options {
  /** True for a layer that is computed in float32, with its gradient, where the others are computed in tf32 or bf16. */
  readonly exact?: boolean
}

const exactly = tf.customGrad((...args) => {
  const [x, weight] = args.slice(0, 2) as [tf.Tensor, tf.Tensor]
  const save = args[2] as tf.GradSaveFunc
  save([x, weight])
  return {
    value: FusedKernel.product(x, weight, { transposeB: true, exact: true }),
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
      const [rows, factors] = saved as [tf.Tensor, tf.Tensor]
      return [
        FusedKernel.product(dy, factors, { exact: true }),
        FusedKernel.product(dy, rows, { transposeA: true, exact: true })
      ]
    }
  }
})

/** Tests whether two tensors are matrices with the same leading axes. */
const matrices = (a: Shape, b: Shape): boolean =>
  a.length > 1 && b.length > 1 && ShapeError.agree(a.slice(0, -2), b.slice(0, -2))

/** Multiplies by a weight, `x Wᵀ`: `[..., In]` by `[Out, In]` to `[..., Out]`. */
export function project<L extends Shape, In extends number, Out extends number>(
  x: Tensor<[...L, In]>,
  weight: Tensor<[Out, In]>,
  options?: Options
): Tensor<[...L, Out]>
export function project<
  L extends Shape,
  In extends number,
  W extends number,
  Out extends number,
  D extends DType,
  E extends DType
>(
  x: Tensor<[...L, In], D>,
  weight:
    & Tensor<[Out, W], E>
    & ShapeError.ShapeError<
      ShapeError.Floats<
        "linear",
        "x",
        D,
        "weight",
        E,
        `linear: input axis -1 is ${Show<In>} but the weight expects ${Show<W>}`
      >
    >
): never
export function project(x: Any, weight: Any, { exact = false }: Options = {}): Any {
  ShapeError.floats("linear", { x, weight })
  ShapeError.shaped("linear", weight, ["Out", "In"], "weight")
  const [out, expected] = weight.shape
  const width = x.shape.at(-1)!
  if (width !== expected) {
    throw new ShapeError.ShapeError(`linear: input axis -1 is ${width} but the weight expects ${expected}`)
  }
  const [rows, factors] = [tf.reshape(untyped(x), [-1, width]), untyped(weight)]
  const product = exact ? exactly(rows, factors) : tf.matMul(rows, factors, false, true)
  return unsafeTyped(tf.reshape(product, [...x.shape.slice(0, -1), out]))
}

/** Applies a linear layer, `x Wᵀ + b`: `[..., In]` to `[..., Out]`. */
export function linear<L extends Shape, In extends number, Out extends number>(
  x: Tensor<[...L, In]>,
  params: LinearParams<In, Out>,
  options?: Options
): Tensor<[...L, Out]>
export function linear<L extends Shape, In extends number, W extends number, Out extends number, P, D extends DType>(
  x: Tensor<[...L, In], D>,
  params:
    & P
    & LinearParams<W, Out>
    & ShapeError.ShapeError<
      [D] extends ["float32"]
        ? "bias" extends keyof P ? `linear: input axis -1 is ${Show<In>} but the weight expects ${Show<W>}`
        : "linear: the bias is missing; use project for a weight without a bias"
        : `linear: x must be float32 but is ${D}`
    >
): never
export function linear(
  x: Any,
  { bias, weight }: { readonly weight: Any; readonly bias?: Any },
  options?: Options
): Any {
  ShapeError.floats("linear", { bias })
  const projected: Any = project(x, weight, options)
  if (bias === undefined) {
    throw new ShapeError.ShapeError("linear: the bias is missing; use project for a weight without a bias")
  }
  return Elementwise.addBias(projected, bias)
}

/** Multiplies matrices, `a b`: `[..., M, K]` by `[..., K, N]` to `[..., M, N]`. */
export function matMul<L extends Shape, M extends number, K extends number, N extends number>(
  a: Tensor<[...L, M, K]>,
  b: Tensor<[...L, K, N]>
): Tensor<[...L, M, N]>
export function matMul<A extends Shape, B extends Shape, D extends DType, E extends DType>(
  a: Tensor<A, D>,
  b:
    & Tensor<B, E>
    & ShapeError.ShapeError<
      ShapeError.Floats<"matMul", "a", D, "b", E, `matMul: ${ShowShape<A>} cannot be multiplied by ${ShowShape<B>}`>
    >
): never
export function matMul(a: Any, b: Any): Any {
  ShapeError.floats("matMul", { a, b })
  if (!matrices(a.shape, b.shape) || a.shape.at(-1) !== b.shape.at(-2)) {
    throw new ShapeError.ShapeError(
      `matMul: ${ShapeError.show(a.shape)} cannot be multiplied by ${ShapeError.show(b.shape)}`
    )
  }
  return unsafeTyped(tf.matMul(untyped(a), untyped(b)))
}

/** Multiplies by a transposed matrix, `a bᵀ`: `[..., M, K]` by `[..., N, K]` to `[..., M, N]`. */
export function matMulTransposed<L extends Shape, M extends number, K extends number, N extends number>(
  a: Tensor<[...L, M, K]>,
  b: Tensor<[...L, N, K]>
): Tensor<[...L, M, N]>
export function matMulTransposed<A extends Shape, B extends Shape, D extends DType, E extends DType>(
  a: Tensor<A, D>,
  b:
    & Tensor<B, E>
    & ShapeError.ShapeError<
      ShapeError.Floats<
        "matMulTransposed",
        "a",
        D,
        "b",
        E,
        `matMulTransposed: ${ShowShape<A>} cannot be multiplied by the transpose of ${ShowShape<B>}`
      >
    >
): never
export function matMulTransposed(a: Any, b: Any): Any {
  ShapeError.floats("matMulTransposed", { a, b })
  if (!matrices(a.shape, b.shape) || a.shape.at(-1) !== b.shape.at(-1)) {
    throw new ShapeError.ShapeError(
      `matMulTransposed: ${ShapeError.show(a.shape)} cannot be multiplied by the transpose of ${
        ShapeError.show(b.shape)
      }`
    )
  }
  return unsafeTyped(tf.matMul(untyped(a), untyped(b), false, true))
}
