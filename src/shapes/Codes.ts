/**
 * Discrete codes: the nearest row of a codebook, rows by code, and sums by code.
 *
 * A code is a discrete choice, so these operations have no gradient. `straightThrough` passes a gradient through a quantizer.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Codes, HostTensor, Tensor } from "patchword/shapes"
 *
 * const codebook = Tensor.constant(HostTensor.make([2, 2], "float32", Float32Array.of(1, 0, 0, 1)))
 * assert.deepStrictEqual(Codes.nearest(codebook, codebook).shape, [2])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Axis from "./Axis.ts"
import type { Mul, Show, ShowShape, Sized } from "./Dim.ts"
import * as Elementwise from "./Elementwise.ts"
import * as FusedKernel from "./FusedKernel.ts"
import { untaped } from "./gradients/Untaped.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

/**
 * Returns the index of the largest value along the last axis: `[..., K]` to `[...]`. On ties it is the lowest index. If any
 * value is NaN, the index is arbitrary.
 */
export const argMax = <L extends Shape, K extends number, D extends DType = "float32">(
  x: Tensor<[...L, K], D> & ShapeError.Elements<"argMax", "float32", D>
): Tensor<L, "int32"> => {
  ShapeError.elements("argMax", "float32", x)
  Axis.place("argMax", untyped(x).shape, -1)
  return unsafeTyped(untaped([untyped(x)], (y) => tf.argMax(y!, -1)))
}

/**
 * Returns the code of each vector `[M, E]`: the row of the codebook `[K, E]` with the largest dot product. For unit vectors
 * this row is the nearest. On ties it is the lowest row.
 */
export function nearest<M extends number, K extends number, E extends number>(
  vectors: Tensor<[M, E]>,
  codebook: Tensor<[K, E]>
): Tensor<[M], "int32">
export function nearest<M extends number, K extends number, E extends number, W extends number>(
  vectors: Tensor<[M, E]>,
  codebook:
    & Tensor<[K, W]>
    & ShapeError.ShapeError<`nearest: vectors have ${Show<E>} channels but the codebook has ${Show<W>}`>
): never
export function nearest(vectors: Any, codebook: Any): Any {
  ShapeError.floats("nearest", { vectors, codebook })
  ShapeError.shaped("nearest", vectors, ["M", "E"], "vectors")
  ShapeError.shaped("nearest", codebook, ["K", "E"], "codebook")
  if (vectors.shape[1] !== codebook.shape[1]) {
    throw new ShapeError.ShapeError(
      `nearest: vectors have ${vectors.shape[1]} channels but the codebook has ${codebook.shape[1]}`
    )
  }
  return unsafeTyped(
    untaped(
      [untyped(vectors)],
      (x) => tf.argMax(FusedKernel.product(x!, untyped(codebook), { transposeB: true, exact: true }), 1)
    )
  )
}

/** Refuses codes of an element type other than int32. */
type IsCodes<Name extends string, D extends DType> = [D] extends ["int32"] ? unknown
  : ShapeError.ShapeError<`${Name}: codes must be int32 but are ${D}`>

const int32 = (name: string, codes: Any): void => {
  if (codes.dtype !== "int32") throw new ShapeError.ShapeError(`${name}: codes must be int32 but are ${codes.dtype}`)
}

/**
 * Looks up rows of a table `[K, E]` by code: `[...]` to `[..., E]`. Codes outside 0 to K-1 are not checked inside a step. Their
 * rows differ between engines.
 */
export function lookup<L extends Shape, K extends number, E extends number>(
  table: Tensor<[K, E]>,
  codes: Tensor<L, "int32">
): Tensor<[...L, E]>
export function lookup<L extends Shape, D extends DType, K extends number, E extends number>(
  table: Tensor<[K, E]>,
  codes: Tensor<L, D> & ShapeError.ShapeError<`lookup: codes must be int32 but are ${D}`>
): never
export function lookup(table: Any, codes: Any): Any {
  ShapeError.floats("lookup", { table })
  ShapeError.shaped("lookup", table, ["K", "E"], "table")
  int32("lookup", codes)
  return unsafeTyped(tf.gather(untyped(table), untyped(codes)))
}

const straightThroughGrad = tf.customGrad((...args) => {
  const quantized = args[1] as tf.Tensor
  return { value: quantized.clone(), gradFunc: (dy: tf.Tensor) => [dy, tf.zerosLike(dy)] }
})

/**
 * The straight-through estimator. It returns the quantized value and passes its gradient to `x` unchanged. It equals
 * `x + stopGradient(quantized - x)` without the rounding error.
 */
export function straightThrough<S extends Shape>(x: Tensor<S>, quantized: Tensor<NoInfer<S>>): Tensor<S>
export function straightThrough<S extends Shape, R extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  quantized:
    & Tensor<R, E>
    & ShapeError.ShapeError<
      ShapeError.Floats<
        "straightThrough",
        "x",
        D,
        "quantized",
        E,
        `straightThrough: left is ${ShowShape<S>} but right is ${ShowShape<R>}`
      >
    >
): never
export function straightThrough(x: Any, quantized: Any): Any {
  ShapeError.floats("straightThrough", { x, quantized })
  ShapeError.same("straightThrough", x, quantized)
  return unsafeTyped(straightThroughGrad(untyped(x), untyped(quantized)))
}

/**
 * Sums the vectors `[M, E]` of each code: `[K, E]`. Codes that do not occur get zeros. Codes outside 0 to K-1 are not checked
 * inside a step. Their sums differ between engines.
 */
export const sumByCode = <
  M extends number,
  E extends number,
  K extends number,
  D extends DType = "float32",
  C extends DType = "int32"
>(
  vectors: Tensor<[M, E], D> & ShapeError.Elements<"sumByCode", "float32", D, "vectors">,
  codes: Tensor<[NoInfer<M>], C> & IsCodes<"sumByCode", C>,
  size: K & Sized<K>
): Tensor<[K, E]> => {
  ShapeError.elements("sumByCode", "float32", vectors, "vectors")
  int32("sumByCode", codes)
  ShapeError.shaped("sumByCode", untyped(vectors), ["M", "E"], "vectors")
  ShapeError.shaped("sumByCode", untyped(codes), [untyped(vectors).shape[0]!], "codes")
  ShapeError.sizes("sumByCode", [size])
  return unsafeTyped(tf.unsortedSegmentSum(untyped(vectors), untyped(codes) as tf.Tensor1D, size))
}

/**
 * Counts each code among `[M]`: `[K]`. Codes outside 0 to K-1 are not checked inside a step. Their counts differ between engines.
 */
export const countByCode = <M extends number, K extends number, D extends DType = "int32">(
  codes: Tensor<[M], D> & IsCodes<"countByCode", D>,
  size: K & Sized<K>
): Tensor<[K]> => {
  int32("countByCode", codes)
  ShapeError.shaped("countByCode", untyped(codes), ["M"], "codes")
  ShapeError.sizes("countByCode", [size])
  const raw = untyped(codes) as tf.Tensor1D
  return unsafeTyped(tf.squeeze(tf.unsortedSegmentSum(tf.fill([raw.shape[0], 1], 1), raw, size), [1]))
}

/** Encodes codes as one-hot vectors: `[...]` to `[..., K]`. Codes that are not below `K` get zeros. */
export const oneHot = <L extends Shape, K extends number, D extends DType>(
  codes: Tensor<L, D> & IsCodes<"oneHot", D>,
  size: K & Sized<K>
): Tensor<[...L, K]> => {
  int32("oneHot", codes)
  ShapeError.sizes("oneHot", [size])
  return unsafeTyped(tf.cast(tf.equal(tf.expandDims(untyped(codes), -1), tf.range(0, size, 1, "int32")), "float32"))
}

/**
 * Converts numbers to codes and drops the fraction. Numbers that are not finite, or do not fit in 32 bits, give an arbitrary
 * code that differs between engines.
 */
export const fromFloat: Elementwise.Unary<"fromFloat", "float32", "int32"> = Elementwise.unary(
  "fromFloat",
  (x) => untaped([x], (y) => tf.cast(y!, "int32")),
  "float32",
  "int32"
)

/** Tests element by element if two arrays hold the same code. */
export const equal: Elementwise.Pairwise<"equal", "int32", "bool"> = Elementwise.pairwise(
  "equal",
  tf.equal,
  "int32",
  "bool"
)

/** Reshapes codes `[B·N]` into the codes of a batch, `[B, N]`. */
export const asGrid = <B extends number, N extends number>(
  codes: Tensor<[NoInfer<Mul<B, N>>], "int32">,
  batch: B & Sized<B>,
  tokens: N & Sized<N>
): Tensor<[B, N], "int32"> => {
  int32("asGrid", codes)
  ShapeError.shaped("asGrid", untyped(codes), [batch * tokens], "codes")
  return unsafeTyped(tf.reshape(untyped(codes), [batch, tokens]))
}
