/**
 * Arithmetic element by element. Broadcasting is never implicit: what is repeated, and along which axes, stands in the
 * name of the operation.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, Tensor } from "patchword/shapes"
 *
 * const x = Tensor.zeros([2, 3])
 * const y = Elementwise.addBias(x, Tensor.fill([3], 1))
 * assert.deepStrictEqual(y.shape, [2, 3])
 * ```
 */
import * as tf from "@tensorflow/tfjs"
import type { ShowShape } from "./Dim.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

const same = (name: string, a: { readonly shape: Shape }, b: { readonly shape: Shape }): void => {
  if (a.shape.length !== b.shape.length || a.shape.some((dim, axis) => dim !== b.shape[axis])) {
    throw new ShapeError.ShapeError(`${name}: left is ${ShapeError.show(a.shape)} but right is ${ShapeError.show(b.shape)}`)
  }
}

const trailing = (name: string, x: { readonly shape: Shape }, y: { readonly shape: Shape }): void => {
  const tail = x.shape.slice(x.shape.length - y.shape.length)
  if (x.shape.length < y.shape.length || tail.some((dim, axis) => dim !== y.shape[axis])) {
    throw new ShapeError.ShapeError(
      `${name}: the trailing axes of ${ShapeError.show(x.shape)} are not ${ShapeError.show(y.shape)}`
    )
  }
}

/** `a + b` of one shape. */
export function add<S extends Shape>(a: Tensor<S>, b: Tensor<NoInfer<S>>): Tensor<S>
export function add<S extends Shape, R extends Shape>(
  a: Tensor<S>,
  b: Tensor<R> & ShapeError.ShapeError<`add: left is ${ShowShape<S>} but right is ${ShowShape<R>}`>
): never
export function add<S extends Shape>(a: Tensor<S>, b: Tensor<S>): Tensor<S> {
  same("add", a, b)
  return unsafeTyped(tf.add(untyped(a), untyped(b)))
}

/** `a - b` of one shape. */
export const sub = <S extends Shape>(a: Tensor<S>, b: Tensor<NoInfer<S>>): Tensor<S> => {
  same("sub", a, b)
  return unsafeTyped(tf.sub(untyped(a), untyped(b)))
}

/** `a · b` of one shape. */
export const mul = <S extends Shape>(a: Tensor<S>, b: Tensor<NoInfer<S>>): Tensor<S> => {
  same("mul", a, b)
  return unsafeTyped(tf.mul(untyped(a), untyped(b)))
}

/** `a / b` of one shape. */
export const div = <S extends Shape>(a: Tensor<S>, b: Tensor<NoInfer<S>>): Tensor<S> => {
  same("div", a, b)
  return unsafeTyped(tf.div(untyped(a), untyped(b)))
}

/** Every element times a constant known when the step is written. */
export const scale = <S extends Shape>(x: Tensor<S>, factor: number): Tensor<S> => unsafeTyped(tf.mul(untyped(x), factor))

/** Every element plus a constant known when the step is written. */
export const shift = <S extends Shape>(x: Tensor<S>, offset: number): Tensor<S> => unsafeTyped(tf.add(untyped(x), offset))

/** Every element times a scalar tensor. */
export const scaleBy = <S extends Shape>(x: Tensor<S>, factor: Tensor<[]>): Tensor<S> =>
  unsafeTyped(tf.mul(untyped(x), untyped(factor)))

/** Every element plus a scalar tensor. */
export const shiftBy = <S extends Shape>(x: Tensor<S>, offset: Tensor<[]>): Tensor<S> =>
  unsafeTyped(tf.add(untyped(x), untyped(offset)))

/** `x + bias` along the last axis: `[..., C]` plus `[C]`. */
export const addBias = <L extends Shape, C extends number>(x: Tensor<[...L, C]>, bias: Tensor<[C]>): Tensor<[...L, C]> => {
  trailing("addBias", x, bias)
  return unsafeTyped(tf.add(untyped(x), untyped(bias)))
}

/** Every channel times its own factor: `[..., C]` by `[C]` (layer scale). */
export const scaleChannels = <L extends Shape, C extends number>(
  x: Tensor<[...L, C]>,
  factors: Tensor<[C]>
): Tensor<[...L, C]> => {
  trailing("scaleChannels", x, factors)
  return unsafeTyped(tf.mul(untyped(x), untyped(factors)))
}

/** Every sample times its own factor: `[B, ...]` by `[B]` (drop path). */
export const scaleSamples = <B extends number, R extends Shape>(
  x: Tensor<[B, ...R]>,
  factors: Tensor<[B]>
): Tensor<[B, ...R]> => {
  if (x.shape[0] !== factors.shape[0]) {
    throw new ShapeError.ShapeError(`scaleSamples: ${factors.shape[0]} factors for ${x.shape[0]} samples`)
  }
  return unsafeTyped(tf.mul(untyped(x), untyped(factors).reshape([-1, ...x.shape.slice(1).map(() => 1)])))
}

/** The same `y` added to every sample: `[B, ...R]` plus `[1, ...R]` (absolute positions). */
export const addToSamples = <B extends number, R extends Shape>(
  x: Tensor<[B, ...R]>,
  y: Tensor<[1, ...R]>
): Tensor<[B, ...R]> => {
  const { shape } = untyped(y)
  trailing("addToSamples", x, { shape: shape.slice(1) })
  return unsafeTyped(tf.add(untyped(x), untyped(y)))
}

/** `x²`. */
export const square = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.square(untyped(x)))

/** `√x`. */
export const sqrt = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.sqrt(untyped(x)))

/** `1 / x`. */
export const reciprocal = <S extends Shape>(x: Tensor<S>): Tensor<S> => unsafeTyped(tf.div(1, untyped(x)))

/** The smaller of each element and a constant. */
export const atMost = <S extends Shape>(x: Tensor<S>, bound: number): Tensor<S> =>
  unsafeTyped(tf.minimum(untyped(x), bound))

/** The larger of each element and a constant. */
export const atLeast = <S extends Shape>(x: Tensor<S>, bound: number): Tensor<S> =>
  unsafeTyped(tf.maximum(untyped(x), bound))

/** Where an element is neither infinite nor NaN. */
export const isFinite = <S extends Shape>(x: Tensor<S>): Tensor<S, "bool"> => unsafeTyped(tf.isFinite(untyped(x)))

/** Where `x < bound`. */
export const less = <S extends Shape>(x: Tensor<S>, bound: number): Tensor<S, "bool"> =>
  unsafeTyped(tf.less(untyped(x), bound))

/** `a` where the condition holds, else `b`. */
export const where = <S extends Shape>(condition: Tensor<S, "bool">, a: Tensor<S>, b: Tensor<S>): Tensor<S> => {
  same("where", a, b)
  return unsafeTyped(tf.where(untyped(condition), untyped(a), untyped(b)))
}

/** Row `k` of `a` where the condition holds at `k`, else row `k` of `b`: `[K]` with `[K, C]`. */
export const whereRows = <K extends number, C extends number>(
  condition: Tensor<[K], "bool">,
  a: Tensor<[K, C]>,
  b: Tensor<[K, C]>
): Tensor<[K, C]> => {
  same("whereRows", a, b)
  return unsafeTyped(tf.where(untyped(condition).expandDims(1), untyped(a), untyped(b)))
}

/** `x` where a scalar condition holds, else zero everywhere. */
export const keepIf = <S extends Shape>(condition: Tensor<[], "bool">, x: Tensor<S>): Tensor<S> =>
  unsafeTyped(tf.where(untyped(condition), untyped(x), tf.zerosLike(untyped(x))))

/** Truth as 1 and 0. */
export const toFloat = <S extends Shape>(x: Tensor<S, "bool"> | Tensor<S, "int32">): Tensor<S> =>
  unsafeTyped(tf.cast(untyped(x), "float32"))

/** The value passes, no gradient does. */
export const stopGradient = <S extends Shape, D extends "float32">(x: Tensor<S, D>): Tensor<S, D> =>
  unsafeTyped(
    tf.customGrad((y) => ({
      value: (y as tf.Tensor).clone(),
      gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy)
    }))(untyped(x))
  )
