/**
 * The typed tensor: a TensorFlow.js tensor whose shape and element type the compiler knows.
 *
 * `Tensor<[B, 197, 768]>` is invariant in its shape: a `[B, 196, 768]` is never accepted in its place. There are two ways
 * in: the typed operations of this room, and `assertShape` at an edge where the shape comes from outside.
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

/** A tensor of shape `S` and element type `D`, alive in whatever backend runs it. */
export interface Tensor<in out S extends Shape, in out D extends DType = "float32"> {
  readonly shape: S
  readonly dtype: D
  readonly [brand]: "Tensor"
}

/** Any tensor, whatever its shape and element type. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Any = Tensor<any, any>

/** The TensorFlow.js tensor behind a typed one. */
export const untyped = (tensor: Any): tf.Tensor => tensor as unknown as tf.Tensor

/**
 * Types a TensorFlow.js tensor without a check. This is the one escape hatch of the project: operations use it on results
 * whose shape they have just established. Everywhere else, `assertShape` is the way in.
 */
export const unsafeTyped = <S extends Shape, D extends DType = "float32">(tensor: tf.Tensor): Tensor<S, D> =>
  tensor as unknown as Tensor<S, D>

/**
 * Types a TensorFlow.js tensor that came from outside, after a look at its real shape.
 *
 * @throws ShapeError when the tensor is not what it is said to be.
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

/** Refuses plain numbers, and arithmetic that did not work out, among the sizes of a shape. */
export type Known<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends ShapeError.ShapeError ? never
    : S[K] extends Dim<string> ? S[K]
    : number extends S[K] ? ShapeError.ShapeError<PlainNumber>
    : S[K]
}

type Mutable<S extends Shape> = { -readonly [K in keyof S]: S[K] }

/** A constant of the step: every element `value`. */
export function fill<const S extends Shape>(shape: S & Known<S>, value: number): Tensor<Mutable<S>>
export function fill(shape: Shape, value: number): Any {
  ShapeError.sizes("fill", shape)
  return unsafeTyped(tf.fill([...shape], value))
}

/** A constant of the step: zeros. */
export function zeros<const S extends Shape>(shape: S & Known<S>): Tensor<Mutable<S>>
export function zeros(shape: Shape): Any {
  ShapeError.sizes("zeros", shape)
  return unsafeTyped(tf.zeros([...shape]))
}

/** A constant of the step from host values. */
export const constant = <S extends Shape, D extends DType>(host: HostTensor<S, D>): Tensor<S, D> =>
  unsafeTyped(tf.tensor(host.data, [...host.shape], host.dtype))
