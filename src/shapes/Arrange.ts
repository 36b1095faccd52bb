/**
 * Operations that arrange the same elements in another order or shape: reshape, transpose, slice, split, concatenate, stack and
 * repeat. They work on every element type. The compiler checks all but the run-time values of sizes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Arrange, Tensor } from "patchword/shapes"
 *
 * const x = Tensor.zeros([2, 5, 12])
 * const heads = Arrange.transpose(Arrange.reshape(x, [2, 5, 3, 4]), [0, 2, 1, 3])
 * assert.deepStrictEqual(heads.shape, [2, 3, 5, 4])
 * const [first, rest] = Arrange.split(x, 1, [1, 4])
 * assert.deepStrictEqual(Arrange.concat([rest, first], 1).shape, [2, 5, 12])
 * assert.deepStrictEqual(Arrange.repeat(Tensor.zeros([12]), 0, 5).shape, [5, 12])
 * ```
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Axis from "./Axis.ts"
import type { Kind, Mul, PlainNumber, Plus, Show, ShowShape, Sized } from "./Dim.ts"
import type { DType } from "./HostTensor.ts"
import { size } from "./HostTensor.ts"
import type { Add, Subtract } from "./Natural.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"

type Mutable<S extends Shape> = { -readonly [K in keyof S]: S[K] }

/** Tests whether two types are the same. It also works on type parameters. */
type Equal<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : false

/** The number of elements of a shape. */
export type Size<S extends Shape> = S extends readonly [infer H extends number, ...infer T extends Shape] ?
  Product<T, H>
  : 1
type Product<S extends Shape, N extends number> = S extends readonly [infer H extends number, ...infer T extends Shape]
  ? Product<T, Mul<N, H>>
  : N

/** A product of sizes: its literal factors multiplied, and the names of its named factors. */
interface Factors {
  readonly literal: number
  readonly names: ReadonlyArray<string>
}
interface Factored<L extends number, N extends ReadonlyArray<string>> {
  readonly literal: L
  readonly names: N
}
type FactorsOf<N extends string, F extends Factors> = N extends `${infer A}*${infer B}` ? FactorsOf<B, FactorOf<A, F>>
  : FactorOf<N, F>
type FactorOf<N extends string, F extends Factors> = N extends `${infer L extends number}`
  ? Factored<Mul<F["literal"], L>, F["names"]>
  : Factored<F["literal"], [...F["names"], N]>
type Canceled<A extends ReadonlyArray<string>, B extends ReadonlyArray<string>> = A extends
  readonly [infer N, ...infer R extends ReadonlyArray<string>] ? Canceled<R, Struck<B, N>>
  : B
type Struck<B extends ReadonlyArray<string>, N> = B extends
  readonly [infer H extends string, ...infer R extends ReadonlyArray<string>] ? H extends N ? R : [H, ...Struck<R, N>]
  : ["none"]

type SameFactors<S extends Shape, R extends Shape> = Same<
  FactorsOf<Show<Size<S>>, Factored<1, []>>,
  FactorsOf<Show<Size<R>>, Factored<1, []>>
>
type Same<A extends Factors, B extends Factors> = Equal<A["literal"], B["literal"]> extends true
  ? Canceled<A["names"], B["names"]> extends [] ? unknown : never
  : never

/** Checks that both shapes have the same size, or that they have it behind equal leading axes. */
type SameSize<S extends Shape, R extends Shape> =
  | (Equal<Size<S>, Size<R>> extends true ? unknown : never)
  | ([S, R] extends [readonly [infer A, ...infer T extends Shape], readonly [infer B, ...infer U extends Shape]]
    ? Equal<A, B> extends true ? SameSize<T, U> : never
    : never)

/** Selects numbers that are no sizes: fractions and negative numbers. */
type NoSize<N extends number> = Extract<`${N}`, `-${string}` | `${string}.${string}` | `${string}e-${string}`>

/** Refuses a shape with another number of elements. */
export type Reshapes<S extends Shape, R extends Shape> = number extends S["length"] ? unknown
  :
    | SameFactors<S, R>
    | SameSize<S, R>
    | ShapeError.ShapeError<
      number extends R[number] ? PlainNumber
        : [NoSize<R[number]>] extends [never]
          ? `reshape: ${ShowShape<S>} has ${Show<Size<S>>} elements but ${ShowShape<R>} has ${Show<Size<R>>}`
        : `reshape: ${NoSize<R[number]>} is not a size`
    >

/** Reshapes a tensor into a shape with the same number of elements, in row-major order. */
export function reshape<S extends Shape, D extends DType, const R extends Shape>(
  x: Tensor<S, D>,
  shape: R & Reshapes<S, R>
): Tensor<Mutable<R>, D>
export function reshape(x: Any, shape: Shape): Any {
  ShapeError.sizes("reshape", shape)
  if (size(x.shape) !== size(shape)) {
    throw new ShapeError.ShapeError(
      `reshape: ${ShapeError.show(x.shape)} has ${size(x.shape)} elements but ${ShapeError.show(shape)} has ${
        size(shape)
      }`
    )
  }
  return unsafeTyped(tf.reshape(untyped(x), [...shape]))
}

/** Refuses an order that leaves out an axis or names one twice. */
export type Orders<S extends Shape, P extends Shape> = number extends S["length"] ? unknown
  : [P["length"], Exclude<Extract<keyof S, `${number}`>, `${Fronts<S["length"], P>[number]}`>] extends
    [S["length"], never] ? unknown
  : ShapeError.ShapeError<`transpose: ${ShowShape<P>} does not name each axis of ${ShowShape<S>} once`>

type Fronts<Rank extends number, P extends Shape> = { readonly [K in keyof P]: Axis.Front<Rank, P[K]> }

/** Permutes the axes. Axis `i` of the result is axis `order[i]` of `x`. */
export function transpose<S extends Shape, D extends DType, const P extends Shape>(
  x: Tensor<S, D>,
  order: P & Orders<S, P>
): Tensor<{ -readonly [K in keyof P]: Axis.At<S, P[K]> }, D>
export function transpose(x: Any, order: Shape): Any {
  const axes: Shape = x.shape
  const perm = order.map((axis) => (axis < 0 ? axis + axes.length : axis))
  if (perm.toSorted().join() !== axes.map((_, axis) => axis).join()) {
    throw new ShapeError.ShapeError(
      `transpose: ${ShapeError.show(order)} does not name each axis of ${ShapeError.show(axes)} once`
    )
  }
  return unsafeTyped(tf.transpose(untyped(x), perm))
}

/** Refuses a slice that goes over the end of an axis, if the compiler knows the sizes. */
export type Cuts<S extends Shape, I extends number, F extends number, L extends number> = number extends S["length"]
  ? unknown
  : "literal literal literal" extends `${Kind<Axis.At<S, I>>} ${Kind<F>} ${Kind<L>}`
    ? [Subtract<Axis.At<S, I>, Add<F, L>>] extends [never]
      ? ShapeError.ShapeError<`slice: axis ${I} of ${ShowShape<S>} does not have ${L} elements from ${F} on`>
    : unknown
  : unknown

/** Takes `length` elements along an axis, from position `from` on. */
export function slice<
  S extends Shape,
  D extends DType,
  const I extends number,
  const F extends number,
  const L extends number
>(
  x: Tensor<S, D>,
  axis: I & Axis.Within<"slice", S, I>,
  from: F,
  length: L & Sized<L> & Cuts<S, I, F, L>
): Tensor<Axis.With<S, I, L>, D>
export function slice(x: Any, axis: number, from: number, length: number): Any {
  const shape: Shape = x.shape
  const at = Axis.place("slice", shape, axis)
  if (![from, length].every((places) => Number.isInteger(places) && places >= 0) || from + length > shape[at]!) {
    throw new ShapeError.ShapeError(
      `slice: axis ${axis} of ${ShapeError.show(shape)} does not have ${length} elements from ${from} on`
    )
  }
  return unsafeTyped(tf.slice(untyped(x), shape.map((_, i) => (i === at ? from : 0)), shape.with(at, length)))
}

type Total<Z extends Shape> = Z extends readonly [infer H extends number, ...infer T extends Shape] ? Sum<T, H> : 0
type Sum<Z extends Shape, N extends number> = Z extends readonly [infer H extends number, ...infer T extends Shape]
  ? Sum<T, Plus<N, H>>
  : N

/** Refuses parts whose sizes do not add up to the axis. */
export type Parts<S extends Shape, I extends number, Z extends Shape> = number extends S["length"] ? unknown
  : Equal<Total<Z>, Axis.At<S, I>> extends true ? unknown
  : ShapeError.ShapeError<
    number extends Z[number] ? PlainNumber : `split: ${ShowShape<Z>} do not add up to axis ${I} of ${ShowShape<S>}`
  >

/** Splits an axis into parts of the given sizes, in order. It is the inverse of `concat`. */
export function split<S extends Shape, D extends DType, const I extends number, const Z extends Shape>(
  x: Tensor<S, D>,
  axis: I & Axis.Within<"split", S, I>,
  sizes: Z & Parts<S, I, Z>
): { -readonly [K in keyof Z]: Tensor<Axis.With<S, I, Z[K]>, D> }
export function split(x: Any, axis: number, sizes: Shape): ReadonlyArray<Any> {
  const at = Axis.place("split", x.shape, axis)
  const whole = sizes.every((part) => Number.isInteger(part) && part >= 0)
  if (!whole || sizes.reduce((sum, part) => sum + part, 0) !== x.shape[at]) {
    throw new ShapeError.ShapeError(
      `split: ${ShapeError.show(sizes)} do not add up to axis ${axis} of ${ShapeError.show(x.shape)}`
    )
  }
  return tf.split(untyped(x), [...sizes], at).map((part) => unsafeTyped(part))
}

/** A list of one or more tensors. */
export type Several = readonly [Any, ...ReadonlyArray<Any>]

/** The type of tensors concatenated along an axis, or a `ShapeError` if they do not fit. */
export type Concatenated<P extends ReadonlyArray<unknown>, I extends number, First = P[0]> = P extends
  readonly [infer A, infer B, ...infer R] ? Concatenated<[Joined<A, B, I, First>, ...R], I, First>
  : P[0]
type Joined<A, B, I extends number, First> = A extends Tensor<infer S, infer D>
  ? B extends Tensor<infer R, infer E>
    ? Equal<[D, Axis.With<S, I, 0>], [E, Axis.With<R, I, 0>]> extends true
      ? Tensor<Axis.With<S, I, Plus<Axis.At<S, I>, Axis.At<R, I>>>, D>
    : Apart<First, E, R, I>
  : never
  : A

type Apart<First, E extends DType, R extends Shape, I extends number> = First extends Tensor<infer S, infer D>
  ? ShapeError.ShapeError<`concat: ${D} ${ShowShape<S>} and ${E} ${ShowShape<R>} do not fit along axis ${I}`>
  : never

type Refusal<A, Else = unknown> = A extends ShapeError.ShapeError ? A : Else

/** Concatenates tensors along an axis. All other axes must agree. */
export function concat<const P extends Several, const I extends number>(
  parts: P,
  axis: I & Refusal<Axis.Within<"concat", P[0]["shape"], I>, Refusal<Concatenated<P, I>>>
): Concatenated<P, I>
export function concat([first, ...rest]: ReadonlyArray<Any>, axis: number): Any {
  if (first === undefined) throw new ShapeError.ShapeError("concat: there are no tensors")
  const at = Axis.place("concat", first.shape, axis)
  const shape: Shape = first.shape
  for (const part of rest) {
    const other: Shape = part.shape
    if (first.dtype !== part.dtype || other.length <= at || !ShapeError.agree(shape.with(at, 0), other.with(at, 0))) {
      throw new ShapeError.ShapeError(
        `concat: ${first.dtype} ${ShapeError.show(shape)} and ${part.dtype} ${
          ShapeError.show(other)
        } do not fit along axis ${axis}`
      )
    }
  }
  return unsafeTyped(tf.concat([first, ...rest].map(untyped), at))
}

/** Refuses tensors that differ in shape or element type. */
export type Alike<P extends ReadonlyArray<unknown>> = P extends
  readonly [Tensor<infer S, infer D>, Tensor<infer R, infer E>, ...infer Q]
  ? Equal<[S, D], [R, E]> extends true ? Alike<[P[0], ...Q]>
  : ShapeError.ShapeError<`stack: ${D} ${ShowShape<S>} and ${E} ${ShowShape<R>} differ`>
  : unknown

/** Stacks tensors along a new axis. Its size is the number of tensors. */
export function stack<const P extends Several, const I extends number>(
  parts: P & Alike<P>,
  axis: I & Axis.Beside<"stack", P[0]["shape"], I>
): Tensor<Axis.Inserted<P[0]["shape"], I, P["length"]>, P[0]["dtype"]>
export function stack([first, ...rest]: ReadonlyArray<Any>, axis: number): Any {
  if (first === undefined) throw new ShapeError.ShapeError("stack: there are no tensors")
  for (const part of rest) {
    if (first.dtype === part.dtype && ShapeError.agree(first.shape, part.shape)) continue
    throw new ShapeError.ShapeError(
      `stack: ${first.dtype} ${ShapeError.show(first.shape)} and ${part.dtype} ${ShapeError.show(part.shape)} differ`
    )
  }
  return unsafeTyped(tf.stack([first, ...rest].map(untyped), Axis.place("stack", first.shape, axis, 1)))
}

const repeated = (at: number, count: number) => (x: tf.Tensor): tf.Tensor => {
  const one = tf.expandDims(x, at)
  return tf.tile(one, one.shape.map((_, axis) => (axis === at ? count : 1)))
}

/** Repeats a tensor `count` times along a new axis. Use it to combine a row, or one number per row, with a larger tensor. */
export function repeat<S extends Shape, D extends DType, const I extends number, const N extends number>(
  x: Tensor<S, D>,
  axis: I & Axis.Beside<"repeat", S, I>,
  count: N & Sized<N>
): Tensor<Axis.Inserted<S, I, N>, D>
export function repeat(x: Any, axis: number, count: number): Any {
  const at = Axis.place("repeat", x.shape, axis, 1)
  ShapeError.sizes("repeat", [count])
  const forward = repeated(at, count)
  if (x.dtype !== "float32") return unsafeTyped(forward(untyped(x)))
  // TensorFlow.js would cut the gradient into `count` parts and add them one by one.
  return unsafeTyped(
    tf.customGrad((y) => ({ value: forward(y as tf.Tensor), gradFunc: (dy: tf.Tensor) => tf.sum(dy, at) }))(untyped(x))
  )
}
