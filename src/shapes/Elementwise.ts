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
import * as tf from "@tensorflow/tfjs-core"
import type { Show, ShowShape } from "./Dim.ts"
import * as FusedKernel from "./FusedKernel.ts"
import type { DType } from "./HostTensor.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"
import { type Any, assertShape, type Tensor, unsafeTyped, untyped } from "./Tensor.ts"
import { untaped } from "./Untaped.ts"

/** An operation on one operand of `In` elements, with a result of `Out` elements. */
export interface Unary<Name extends string, In extends DType = "float32", Out extends DType = In> {
  <S extends Shape>(x: Tensor<S, In>): Tensor<S, Out>
  <S extends Shape, D extends DType>(
    x: Tensor<S, D> & ShapeError.ShapeError<`${Name}: x must be ${In} but is ${D}`>
  ): Tensor<S, Out>
}

/** Makes one, with the checks of its operand and its result. */
export function unary<Name extends string>(name: Name, compute: (x: tf.Tensor) => tf.Tensor): Unary<Name>
export function unary<Name extends string, In extends DType, Out extends DType>(
  name: Name,
  compute: (x: tf.Tensor) => tf.Tensor,
  elements: In,
  result: Out
): Unary<Name, In, Out>
export function unary(
  name: string,
  compute: (x: tf.Tensor) => tf.Tensor,
  elements: DType = "float32",
  result: DType = elements
): (x: Any) => Any {
  return (x) => {
    ShapeError.elements(name, elements, x)
    return assertShape(name, compute(untyped(x)), x.shape, result)
  }
}

/** An operation on two operands of one shape: of `In` elements, with a result of `Out` elements. */
export interface Pairwise<Name extends string, In extends DType = "float32", Out extends DType = In> {
  <S extends Shape>(a: Tensor<S, In>, b: Tensor<NoInfer<S>, In>): Tensor<S, Out>
  <S extends Shape, R extends Shape, D extends DType, E extends DType>(
    a: Tensor<S, D>,
    b:
      & Tensor<R, E>
      & ShapeError.ShapeError<
        [D, E] extends [In, In] ? `${Name}: left is ${ShowShape<S>} but right is ${ShowShape<R>}`
          : `${Name}: operands must be ${In} but are ${D} and ${E}`
      >
  ): Tensor<S, Out>
}

/** Makes one, with the checks of its operands and its result. */
export function pairwise<Name extends string>(
  name: Name,
  compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor
): Pairwise<Name>
export function pairwise<Name extends string, In extends DType, Out extends DType>(
  name: Name,
  compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  elements: In,
  result: Out
): Pairwise<Name, In, Out>
export function pairwise(
  name: string,
  compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  elements: DType = "float32",
  result: DType = elements
): (a: Any, b: Any) => Any {
  return (a, b) => {
    if (a.dtype !== elements || b.dtype !== elements) {
      throw new ShapeError.ShapeError(`${name}: operands must be ${elements} but are ${a.dtype} and ${b.dtype}`)
    }
    ShapeError.same(name, a, b)
    return assertShape(name, compute(untyped(a), untyped(b)), a.shape, result)
  }
}

/** `a + b` of one shape. */
export const add: Pairwise<"add"> = pairwise("add", tf.add)

/** `a - b` of one shape. */
export const sub: Pairwise<"sub"> = pairwise("sub", tf.sub)

/** `a · b` of one shape. */
export const mul: Pairwise<"mul"> = pairwise("mul", tf.mul)

// The gradient that TensorFlow.js has divides by `b²`, which overflows and vanishes long before `b` does.
const divGrad = tf.customGrad((...args) => {
  const [a, b] = args.slice(0, 2) as [tf.Tensor, tf.Tensor]
  const quotient = tf.div(a, b)
  ;(args[2] as tf.GradSaveFunc)([quotient, b])
  return {
    value: quotient,
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
      const [q, divisor] = saved as [tf.Tensor, tf.Tensor]
      return [tf.div(dy, divisor), tf.neg(tf.mul(dy, tf.div(q, divisor)))]
    }
  }
})

/** `a / b` of one shape. */
export const div: Pairwise<"div"> = pairwise("div", divGrad)

/** The larger of each two elements. Of equal ones the gradient goes to `a`. */
export const maximum: Pairwise<"maximum"> = pairwise("maximum", tf.maximum)

/** The smaller of each two elements. Of equal ones the gradient goes to `a`. */
export const minimum: Pairwise<"minimum"> = pairwise("minimum", tf.minimum)

/** An operation of every element with a constant known when the step is written. */
export interface WithConstant<Name extends string, Out extends DType = "float32"> {
  <S extends Shape, D extends DType = "float32">(
    x: Tensor<S, D> & ShapeError.Elements<Name, "float32", D>,
    constant: number
  ): Tensor<S, Out>
}

const withConstant = <Name extends string, Out extends DType = "float32">(
  name: Name,
  compute: (x: tf.Tensor, constant: number) => tf.Tensor
): WithConstant<Name, Out> =>
(x: Any, constant) => {
  ShapeError.elements(name, "float32", x)
  return unsafeTyped(compute(untyped(x), constant))
}

/** Every element times a constant. */
export const scale: WithConstant<"scale"> = withConstant("scale", tf.mul)

/** Every element plus a constant. */
export const shift: WithConstant<"shift"> = withConstant("shift", tf.add)

/** An operation of every element with a scalar tensor. */
export interface WithScalar<Name extends string> {
  <S extends Shape, D extends DType = "float32">(
    x: Tensor<S, D> & ShapeError.Elements<Name, "float32", D>,
    scalar: Tensor<[]>
  ): Tensor<S>
}

const withScalar =
  <Name extends string>(name: Name, compute: (x: tf.Tensor, scalar: tf.Tensor) => tf.Tensor): WithScalar<Name> =>
  (x: Any, scalar) => {
    ShapeError.elements(name, "float32", x)
    return unsafeTyped(compute(untyped(x), untyped(scalar)))
  }

/** Every element times a scalar tensor. */
export const scaleBy: WithScalar<"scaleBy"> = withScalar("scaleBy", tf.mul)

/** Every element plus a scalar tensor. */
export const shiftBy: WithScalar<"shiftBy"> = withScalar("shiftBy", tf.add)

/** An operation of every vector of the last axis with the same `[C]`. */
export interface Channelwise<Name extends string> {
  <L extends Shape, C extends number>(x: Tensor<[...L, C]>, channels: Tensor<[NoInfer<C>]>): Tensor<[...L, C]>
  <L extends Shape, C extends number, W extends number>(
    x: Tensor<[...L, C]>,
    channels:
      & Tensor<[W]>
      & ShapeError.ShapeError<`${Name}: input axis -1 is ${Show<C>} but the other operand has ${Show<W>} channels`>
  ): Tensor<[...L, C]>
}

const channelwise = <Name extends string>(
  name: Name,
  compute: (x: tf.Tensor, channels: tf.Tensor) => tf.Tensor
): Channelwise<Name> =>
(x: Any, channels: Any): Any => {
  const [width, expected] = [x.shape.at(-1), channels.shape[0]]
  if (width !== expected) {
    throw new ShapeError.ShapeError(`${name}: input axis -1 is ${width} but the other operand has ${expected} channels`)
  }
  return unsafeTyped(compute(untyped(x), untyped(channels)))
}

/** `x + bias` along the last axis: `[..., C]` plus `[C]`. */
export const addBias: Channelwise<"addBias"> = channelwise("addBias", tf.add)

/** Every channel times its own factor: `[..., C]` by `[C]` (layer scale). */
export const scaleChannels: Channelwise<"scaleChannels"> = channelwise("scaleChannels", tf.mul)

/** Every sample times its own factor: `[B, ...]` by `[B]` (drop path). */
export function scaleSamples<B extends number, R extends Shape>(
  x: Tensor<[B, ...R]>,
  factors: Tensor<[NoInfer<B>]>
): Tensor<[B, ...R]>
export function scaleSamples<B extends number, R extends Shape, W extends number>(
  x: Tensor<[B, ...R]>,
  factors: Tensor<[W]> & ShapeError.ShapeError<`scaleSamples: ${Show<W>} factors for ${Show<B>} samples`>
): never
export function scaleSamples(x: Any, factors: Any): Any {
  if (x.shape[0] !== factors.shape[0]) {
    throw new ShapeError.ShapeError(`scaleSamples: ${factors.shape[0]} factors for ${x.shape[0]} samples`)
  }
  return unsafeTyped(tf.mul(untyped(x), tf.reshape(untyped(factors), [-1, ...x.shape.slice(1).map(() => 1)])))
}

/** The same `y` added to every sample: `[B, ...R]` plus `[1, ...R]` (absolute positions). */
export function addToSamples<B extends number, R extends Shape>(
  x: Tensor<[B, ...R]>,
  y: Tensor<NoInfer<[1, ...R]>>
): Tensor<[B, ...R]>
export function addToSamples<B extends number, R extends Shape, Y extends Shape>(
  x: Tensor<[B, ...R]>,
  y: Tensor<Y> & ShapeError.ShapeError<`addToSamples: samples are ${ShowShape<R>} but ${ShowShape<Y>} is added`>
): never
export function addToSamples(x: Any, y: Any): Any {
  const sample = x.shape.slice(1)
  if (!ShapeError.agree([1, ...sample], y.shape)) {
    throw new ShapeError.ShapeError(
      `addToSamples: samples are ${ShapeError.show(sample)} but ${ShapeError.show(y.shape)} is added`
    )
  }
  return unsafeTyped(tf.add(untyped(x), untyped(y)))
}

/** `x²`. */
export const square: Unary<"square"> = unary("square", tf.square)

/** `√x`. */
export const sqrt: Unary<"sqrt"> = unary("sqrt", tf.sqrt)

/** `eˣ`. */
export const exp: Unary<"exp"> = unary("exp", tf.exp)

/** The natural logarithm. */
export const log: Unary<"log"> = unary("log", tf.log)

const absGrad = tf.customGrad((x, save) => {
  const input = x as tf.Tensor
  ;(save as tf.GradSaveFunc)([input])
  return {
    value: tf.abs(input),
    gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => tf.mul(dy, tf.sign(saved[0]!))
  }
})

/** `|x|`, with the gradient 0 at 0. */
export const abs: Unary<"abs"> = unary("abs", absGrad)

/** -1, 0 or 1. Its gradient is 0 everywhere: `Codes.straightThrough` lets one pass. */
export const sign: Unary<"sign"> = unary("sign", tf.sign)

/** The nearest whole number, halves to the even one. Its gradient is 0 everywhere: `Codes.straightThrough` lets one pass. */
export const round: Unary<"round"> = unary("round", tf.round)

/** The largest whole number that is not above `x`. Its gradient is 0 everywhere: `Codes.straightThrough` lets one pass. */
export const floor: Unary<"floor"> = unary("floor", tf.floor)

/** `1 / x`. */
export const reciprocal: Unary<"reciprocal"> = unary("reciprocal", (x) => tf.div(1, x))

/** The smaller of each element and a constant. */
export const atMost: WithConstant<"atMost"> = withConstant("atMost", tf.minimum)

/** The larger of each element and a constant. */
export const atLeast: WithConstant<"atLeast"> = withConstant("atLeast", tf.maximum)

/** Where an element is neither infinite nor NaN. */
export const isFinite: Unary<"isFinite", "float32", "bool"> = unary("isFinite", tf.isFinite, "float32", "bool")

/** Where `x < bound`. */
export const isBelow: WithConstant<"isBelow", "bool"> = withConstant(
  "isBelow",
  (x, bound) => untaped([x], (y) => tf.less(y!, bound))
)

/** Where `a < b`. */
export const lessThan: Pairwise<"lessThan", "float32", "bool"> = pairwise(
  "lessThan",
  (a, b) => untaped([a, b], (x, y) => tf.less(x!, y!)),
  "float32",
  "bool"
)

/** Where `x > bound`. */
export const isAbove: WithConstant<"isAbove", "bool"> = withConstant(
  "isAbove",
  (x, bound) => untaped([x], (y) => tf.greater(y!, bound))
)

/** Where `a > b`. */
export const greaterThan: Pairwise<"greaterThan", "float32", "bool"> = pairwise(
  "greaterThan",
  (a, b) => untaped([a, b], (x, y) => tf.greater(x!, y!)),
  "float32",
  "bool"
)

/** Where both hold. */
export const and: Pairwise<"and", "bool"> = pairwise("and", tf.logicalAnd, "bool", "bool")

/** Where one or both hold. */
export const or: Pairwise<"or", "bool"> = pairwise("or", tf.logicalOr, "bool", "bool")

/** Where the condition does not hold. */
export const not: Unary<"not", "bool"> = unary("not", tf.logicalNot, "bool", "bool")

/** `a` where the condition holds, else `b`. */
export function where<S extends Shape>(
  condition: Tensor<S, "bool">,
  a: Tensor<NoInfer<S>>,
  b: Tensor<NoInfer<S>>
): Tensor<S>
export function where<S extends Shape, A extends Shape, B extends Shape, D extends DType, E extends DType>(
  condition:
    & Tensor<S, "bool">
    & ShapeError.ShapeError<
      [D, E] extends ["float32", "float32"]
        ? `where: the condition is ${ShowShape<S>} but it chooses of ${ShowShape<A>} and ${ShowShape<B>}`
        : `where: operands must be float32 but are ${D} and ${E}`
    >,
  a: Tensor<A, D>,
  b: Tensor<B, E>
): never
export function where(condition: Any, a: Any, b: Any): Any {
  if (a.dtype !== "float32" || b.dtype !== "float32") {
    throw new ShapeError.ShapeError(`where: operands must be float32 but are ${a.dtype} and ${b.dtype}`)
  }
  if (![a, b].every(({ shape }) => ShapeError.agree(shape, condition.shape))) {
    const [chooses, first, second] = [condition, a, b].map(({ shape }) => ShapeError.show(shape))
    throw new ShapeError.ShapeError(`where: the condition is ${chooses} but it chooses of ${first} and ${second}`)
  }
  return unsafeTyped(tf.where(untyped(condition), untyped(a), untyped(b)))
}

/** Row `k` of `a` where the condition holds at `k`, else row `k` of `b`: `[K]` with `[K, C]`. */
export const whereRows = <K extends number, C extends number>(
  condition: Tensor<[K], "bool">,
  a: Tensor<[NoInfer<K>, C]>,
  b: Tensor<NoInfer<[K, C]>>
): Tensor<[K, C]> => {
  ShapeError.same("whereRows", a, b)
  return unsafeTyped(tf.where(tf.expandDims(untyped(condition), 1), untyped(a), untyped(b)))
}

const selectKernel = (condition: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  FusedKernel.run("PatchwordSelect", { condition, a, b }, {}, () => [tf.where(condition, a, b)])[0]!

/** `a` if a scalar condition holds, else `b`, as a whole. Has no gradient: for updates. */
export const select = <S extends Shape>(
  condition: Tensor<[], "bool">,
  a: Tensor<S>,
  b: Tensor<NoInfer<S>>
): Tensor<S> => {
  ShapeError.same("select", a, b)
  return unsafeTyped(selectKernel(untyped(condition), untyped(a), untyped(b)))
}

/** `x` if a scalar condition holds, else zero everywhere. Has no gradient: for updates. */
export const zeroUnless = <S extends Shape>(condition: Tensor<[], "bool">, x: Tensor<S>): Tensor<S> =>
  unsafeTyped(selectKernel(untyped(condition), untyped(x), tf.scalar(0)))

/** Truth as 1 and 0, codes as numbers; `Codes.fromFloat` makes codes of numbers. */
export const toFloat = <S extends Shape>(x: Tensor<S, "bool"> | Tensor<S, "int32">): Tensor<S> =>
  unsafeTyped(tf.cast(untyped(x), "float32"))

/** The value passes, no gradient does. */
export const stopGradient: Unary<"stopGradient"> = unary(
  "stopGradient",
  tf.customGrad((y) => ({
    value: (y as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy)
  }))
)
