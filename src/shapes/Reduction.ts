/**
 * Sums, means and extremes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Reduction, Tensor } from "patchword/shapes"
 *
 * assert.deepStrictEqual(Reduction.meanTokens(Tensor.zeros([2, 5, 3])).shape, [2, 3])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Axis from "./Axis.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { each, part } from "./Step.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import * as Tree from "./Tree.ts"

/** A reduction of all elements to a scalar. */
export interface Whole<Name extends string> {
  <S extends Shape, D extends DType = "float32">(x: Tensor<S, D> & ShapeError.Elements<Name, "float32", D>): Tensor<[]>
}

const whole = <Name extends string>(name: Name, reduce: (x: tf.Tensor) => tf.Tensor): Whole<Name> => (x: Any) => {
  ShapeError.elements(name, "float32", x)
  return unsafeTyped(reduce(untyped(x)))
}

/** The mean of all elements. */
export const mean: Whole<"mean"> = whole("mean", tf.mean)

/** The sum of all elements. */
export const sum: Whole<"sum"> = whole("sum", tf.sum)

/** A reduction along one axis, which the result does not have. Only `sumAlong` accepts an empty axis. */
export interface Along<Name extends string> {
  <S extends Shape, const I extends number>(
    x: Tensor<S>,
    axis: I & Axis.Within<Name, S, I>
  ): Tensor<Axis.Without<S, I>>
  <S extends Shape, D extends DType, const I extends number>(
    x: Tensor<S, D>,
    axis:
      & I
      & (D extends "float32" ? Axis.Within<Name, S, I>
        : ShapeError.ShapeError<`${Name}: x must be float32 but is ${D}`>)
  ): Tensor<Axis.Without<S, I>>
}

/** Returns the position of an axis and refuses an empty one, which has no mean and no extreme. */
const filled = (name: string, shape: Shape, axis: number): number => {
  const at = Axis.place(name, shape, axis)
  if (shape[at] !== 0) return at
  throw new ShapeError.ShapeError(`${name}: axis ${axis} of ${ShapeError.show(shape)} is empty`)
}

/** A reduction of the last axis: `[..., C]` to `[...]`. */
export interface Last<Name extends string> {
  <L extends Shape, C extends number, D extends DType = "float32">(
    x: Tensor<[...L, C], D> & ShapeError.Elements<Name, "float32", D>
  ): Tensor<L>
}

const last = <Name extends string>(
  name: Name,
  reduce: (x: tf.Tensor, axis: number) => tf.Tensor,
  place = filled
): Last<Name> =>
(x: Any) => {
  ShapeError.elements(name, "float32", x)
  return unsafeTyped(reduce(untyped(x), place(name, x.shape, -1)))
}

/** The sum over the last axis: `[..., C]` to `[...]`. */
export const sumLast: Last<"sumLast"> = last("sumLast", tf.sum, Axis.place)

const along = <Name extends string>(
  name: Name,
  reduce: (x: tf.Tensor, axis: number) => tf.Tensor,
  place = filled
): Along<Name> =>
(x: Any, axis: number): Any => {
  ShapeError.elements(name, "float32", x)
  return unsafeTyped(reduce(untyped(x), place(name, x.shape, axis)))
}

/** The sum along an axis. */
export const sumAlong: Along<"sumAlong"> = along("sumAlong", tf.sum, Axis.place)

/** The mean along an axis. */
export const meanAlong: Along<"meanAlong"> = along("meanAlong", tf.mean)

/** The maximum along an axis. The gradient goes to every element that equals it. */
export const maxAlong: Along<"maxAlong"> = along("maxAlong", tf.max)

/** The minimum along an axis. The gradient goes to every element that equals it. */
export const minAlong: Along<"minAlong"> = along("minAlong", tf.min)

/** The maximum over the last axis: `[..., C]` to `[...]`. The gradient is that of `maxAlong`. */
export const maxLast: Last<"maxLast"> = last("maxLast", tf.max)

/** The mean over the tokens: `[B, N, C]` to `[B, C]`. */
export const meanTokens = <B extends number, N extends number, C extends number, D extends DType = "float32">(
  x: Tensor<[B, N, C], D> & ShapeError.Elements<"meanTokens", "float32", D>
): Tensor<[B, C]> => {
  ShapeError.elements("meanTokens", "float32", x)
  ShapeError.shaped("meanTokens", untyped(x), ["B", "N", "C"])
  return unsafeTyped(tf.mean(untyped(x), 1))
}

/** The global norm: the length of the vector of all leaves of a record. It has no gradient and is for updates. */
export const globalNorm = (tree: object): Tensor<[]> => {
  const squares = each(part(() => Tree.leaves<Any>(tree)), ([path, leaf]) => {
    const x = untyped(leaf)
    ShapeError.elements("globalNorm", "float32", x, path)
    return FusedKernel.run("PatchwordSumSquares", { x }, {}, () => [tf.sum(tf.square(x))])[0]!
  })
  return unsafeTyped(tf.sqrt(tf.sum(tf.stack([...squares]))))
}
