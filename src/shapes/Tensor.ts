/**
 * The typed tensor: a TensorFlow.js tensor with a shape and an element type that the compiler knows.
 *
 * `Tensor<[B, 197, 768]>` is invariant in its shape: a `[B, 196, 768]` is never accepted in its place. There are two ways to
 * make one: the typed operations of this room, and `assertShape` for tensors whose shape comes from outside.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Dim, HostTensor, Tensor } from "patchword/shapes"
 *
 * const batch = Dim.named("batch", 2)
 * const x: Tensor.Tensor<[Dim.Dim<"batch">, 3]> = Tensor.fill([batch, 3], 1)
 * assert.deepStrictEqual(x.shape, [2, 3])
 * assert.strictEqual(Tensor.constant(HostTensor.zeros([4], "int32")).dtype, "int32")
 * ```
 */
// TensorFlow.js computes eagerly with the backend that this registers.
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Dim, PlainNumber } from "./Dim.ts"
import * as KernelGradients from "./gradients/KernelGradients.ts"
import type { DType, HostTensor } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"

KernelGradients.register()

declare const brand: unique symbol

/** A tensor of shape `S` and element type `D`. It belongs to the backend that runs it. */
export interface Tensor<in out S extends Shape, in out D extends DType = "float32"> {
  readonly shape: S
  readonly dtype: D
  readonly [brand]: "Tensor"
}

/** A tensor of any shape and element type. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Any = Tensor<any, any>

/** Returns the TensorFlow.js tensor of a typed one. The package declares it as `any`, so annotate it with `tf.Tensor`. */
export const untyped = (tensor: Any): tf.Tensor => tensor as unknown as tf.Tensor

/**
 * Types a TensorFlow.js tensor without a check. It is the only escape hatch of the project. Operations use it on results whose
 * shape they have just established. Everywhere else, use `assertShape`.
 */
export const unsafeTyped = <S extends Shape, D extends DType = "float32">(tensor: tf.Tensor): Tensor<S, D> =>
  tensor as unknown as Tensor<S, D>

/**
 * Types a TensorFlow.js tensor from outside after a check of its shape and element type.
 *
 * @throws ShapeError when the tensor has another shape or element type.
 */
export const assertShape = <const S extends Shape, D extends DType>(
  what: string,
  tensor: tf.Tensor,
  shape: S,
  dtype: D
): Tensor<{ -readonly [K in keyof S]: S[K] }, D> => {
  if (tensor.dtype !== dtype || !ShapeError.agree(tensor.shape, shape)) {
    throw new ShapeError.ShapeError(
      `${what}: expected ${dtype} ${ShapeError.show(shape)} but got ${tensor.dtype} ${ShapeError.show(tensor.shape)}`
    )
  }
  return unsafeTyped(tensor)
}

/** Refuses plain numbers and failed arithmetic among the sizes of a shape. */
export type Known<S extends Shape> = {
  [K in keyof S]: S[K] extends ShapeError.ShapeError ? never
    : S[K] extends Dim<string> ? S[K]
    : number extends S[K] ? ShapeError.ShapeError<PlainNumber>
    : S[K]
}

type Mutable<S extends Shape> = { -readonly [K in keyof S]: S[K] }

/** Creates a constant of the step in which every element is `value`. */
export function fill<const S extends Shape>(shape: S & Known<S>, value: number): Tensor<Mutable<S>>
export function fill(shape: Shape, value: number): Any {
  ShapeError.sizes("fill", shape)
  return unsafeTyped(tf.fill([...shape], value))
}

/** Creates a constant of zeros. */
export function zeros<const S extends Shape>(shape: S & Known<S>): Tensor<Mutable<S>>
export function zeros(shape: Shape): Any {
  ShapeError.sizes("zeros", shape)
  return unsafeTyped(tf.fill([...shape], 0))
}

/** Creates a constant of the step from host values. */
export const constant = <S extends Shape, D extends DType>(host: HostTensor<S, D>): Tensor<S, D> =>
  unsafeTyped(tf.tensor(host.data, [...host.shape], host.dtype))
