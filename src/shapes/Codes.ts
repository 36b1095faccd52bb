/**
 * Discrete codes: the nearest row of a codebook, rows by code, sums by code.
 *
 * Nothing here has a gradient: a code is a choice. `straightThrough` is how a gradient passes a quantizer all the same.
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
import type { Mul, Show, ShowShape, Sized } from "./Dim.ts"
import * as Elementwise from "./Elementwise.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import { untaped } from "./Untaped.ts"

/** The index of the largest value along the last axis, the lowest one on ties, any where one is NaN: `[..., K]` to `[...]`. */
export const argMax = <L extends Shape, K extends number>(x: Tensor<[...L, K]>): Tensor<L, "int32"> =>
  unsafeTyped(untaped([untyped(x)], (y) => tf.argMax(y!, -1)))

/**
 * The code of each vector `[M, E]`: the row of the codebook `[K, E]` with the largest dot product, which on the unit
 * sphere is the nearest one; the lowest on ties.
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
  if (vectors.shape[1] !== codebook.shape[1]) {
    throw new ShapeError.ShapeError(
      `nearest: vectors have ${vectors.shape[1]} channels but the codebook has ${codebook.shape[1]}`
    )
  }
  return unsafeTyped(
    untaped([untyped(vectors)], (x) => tf.argMax(tf.matMul(x!, untyped(codebook), false, true), 1))
  )
}

/** Refuses codes of other elements. */
type IsCodes<Name extends string, D extends DType> = [D] extends ["int32"] ? unknown
  : ShapeError.ShapeError<`${Name}: codes must be int32 but are ${D}`>

const int32 = (name: string, codes: Any): void => {
  if (codes.dtype !== "int32") throw new ShapeError.ShapeError(`${name}: codes must be int32 but are ${codes.dtype}`)
}

/** Rows of a table `[K, E]` by code: `[...]` to `[..., E]`. */
export function lookup<L extends Shape, K extends number, E extends number>(
  table: Tensor<[K, E]>,
  codes: Tensor<L, "int32">
): Tensor<[...L, E]>
export function lookup<L extends Shape, D extends DType, K extends number, E extends number>(
  table: Tensor<[K, E]>,
  codes: Tensor<L, D> & ShapeError.ShapeError<`lookup: codes must be int32 but are ${D}`>
): never
export function lookup(table: Any, codes: Any): Any {
  int32("lookup", codes)
  return unsafeTyped(tf.gather(untyped(table), untyped(codes)))
}

const straightThroughGrad = tf.customGrad((...args) => {
  const quantized = args[1] as tf.Tensor
  return { value: quantized.clone(), gradFunc: (dy: tf.Tensor) => [dy, tf.zerosLike(dy)] }
})

/** The quantized value forward, the identity to `x` backward: `x + stopGradient(quantized - x)` without its rounding. */
export function straightThrough<S extends Shape>(x: Tensor<S>, quantized: Tensor<NoInfer<S>>): Tensor<S>
export function straightThrough<S extends Shape, R extends Shape>(
  x: Tensor<S>,
  quantized: Tensor<R> & ShapeError.ShapeError<`straightThrough: left is ${ShowShape<S>} but right is ${ShowShape<R>}`>
): never
export function straightThrough(x: Any, quantized: Any): Any {
  ShapeError.same("straightThrough", x, quantized)
  return unsafeTyped(straightThroughGrad(untyped(x), untyped(quantized)))
}

/** The sum of the vectors `[M, E]` of each code: `[K, E]`, zero rows for codes that do not occur. */
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
  ShapeError.sizes("sumByCode", [size])
  return unsafeTyped(tf.unsortedSegmentSum(untyped(vectors), untyped(codes) as tf.Tensor1D, size))
}

/** How often each code occurs among `[M]`: `[K]`. */
export const countByCode = <M extends number, K extends number, D extends DType = "int32">(
  codes: Tensor<[M], D> & IsCodes<"countByCode", D>,
  size: K & Sized<K>
): Tensor<[K]> => {
  int32("countByCode", codes)
  ShapeError.sizes("countByCode", [size])
  const raw = untyped(codes) as tf.Tensor1D
  return unsafeTyped(tf.squeeze(tf.unsortedSegmentSum(tf.ones([raw.shape[0], 1]), raw, size), [1]))
}

/** A 1 at the place of each code and 0 elsewhere: `[...]` to `[..., K]`, zeros for codes that are not below `K`. */
export const oneHot = <L extends Shape, K extends number, D extends DType>(
  codes: Tensor<L, D> & IsCodes<"oneHot", D>,
  size: K & Sized<K>
): Tensor<[...L, K]> => {
  int32("oneHot", codes)
  ShapeError.sizes("oneHot", [size])
  return unsafeTyped(tf.cast(tf.equal(tf.expandDims(untyped(codes), -1), tf.range(0, size, 1, "int32")), "float32"))
}

/**
 * Numbers as codes; what stands behind the point is cut off. What is not finite, or does not fit in 32 bits, gives any code: engines
 * differ.
 */
export const fromFloat: Elementwise.Unary<"fromFloat", "float32", "int32"> = Elementwise.unary(
  "fromFloat",
  (x) => untaped([x], (y) => tf.cast(y!, "int32")),
  "float32",
  "int32"
)

/** Where two arrays hold the same codes. */
export const equal: Elementwise.Pairwise<"equal", "int32", "bool"> = Elementwise.pairwise(
  "equal",
  tf.equal,
  "int32",
  "bool"
)

/** Codes `[B·N]` as the codes of a batch, `[B, N]`. */
export const asGrid = <B extends number, N extends number>(
  codes: Tensor<[NoInfer<Mul<B, N>>], "int32">,
  batch: B & Sized<B>,
  tokens: N & Sized<N>
): Tensor<[B, N], "int32"> => unsafeTyped(tf.reshape(untyped(codes), [batch, tokens]))
