/**
 * The one error of typed operations. The type parameter holds the sentence at compile time, the message holds it at run time.
 * Both are the same: `linear: input axis -1 is 768 but the weight expects 512`.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Elementwise, ShapeError, Tensor } from "patchword/shapes"
 *
 * const wrong = (x: Tensor.Any) => Elementwise.add(x, Tensor.zeros([3, 2]))
 * assert.throws(() => wrong(Tensor.zeros([2, 3])), new ShapeError.ShapeError("add: left is [2, 3] but right is [3, 2]"))
 * ```
 */
import type { Shape } from "./Shape.ts"

/**
 * The error of an operation whose operands do not fit. As a type, `ShapeError<"sentence">` is the text that the compiler
 * prints.
 */
export class ShapeError<out M extends string = string> extends Error {
  override readonly name = "ShapeError"
  declare readonly shapeError: M
  constructor(message: M) {
    super(message)
  }
}

/** Formats a shape for messages: `[64, 197, 768]`. */
export const show = (shape: Shape): string => `[${shape.join(", ")}]`

/** Tests whether two shapes are equal. */
export const agree = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, axis) => dim === b[axis])

/** Refuses sizes that are not integers of at least 0. */
export const sizes = (name: string, shape: Shape): void => {
  const wrong = shape.find((size) => !Number.isInteger(size) || size < 0)
  if (wrong !== undefined) throw new ShapeError(`${name}: ${wrong} is not a size`)
}

/** Refuses an operand of another element type: `x: Tensor<S, D> & Elements<"scale", "float32", D>`. */
export type Elements<Name extends string, Wanted extends string, D extends string, Operand extends string = "x"> =
  [D] extends [Wanted] ? unknown : ShapeError<`${Name}: ${Operand} must be ${Wanted} but is ${D}`>

/** Says which of two operands is not float32, or `Else` where both are. */
export type Floats<
  Name extends string,
  A extends string,
  D extends string,
  B extends string,
  E extends string,
  Else extends string
> = [D] extends ["float32"] ? [E] extends ["float32"] ? Else : `${Name}: ${B} must be float32 but is ${E}`
  : `${Name}: ${A} must be float32 but is ${D}`

/** Refuses an operand of another element type. */
export const elements = (name: string, wanted: string, x: { readonly dtype: string }, operand = "x"): void => {
  if (x.dtype !== wanted) throw new ShapeError(`${name}: ${operand} must be ${wanted} but is ${x.dtype}`)
}

/** Refuses operands that are not float32. The key of an operand is its name in the message. */
export const floats = (
  name: string,
  operands: Readonly<Record<string, { readonly dtype: string } | undefined>>
): void => {
  for (const [operand, x] of Object.entries(operands)) if (x !== undefined) elements(name, "float32", x, operand)
}

/**
 * Refuses an operand of another shape: `layerNorm: bias must be [3] but is [1]`. A name in the place of a size accepts every size.
 */
export const shaped = (
  name: string,
  x: { readonly shape: Shape },
  expected: ReadonlyArray<number | string>,
  operand = "x"
): void => {
  const fits = x.shape.length === expected.length &&
    expected.every((size, axis) => typeof size === "string" || size === x.shape[axis])
  if (!fits) throw new ShapeError(`${name}: ${operand} must be [${expected.join(", ")}] but is ${show(x.shape)}`)
}

/** Refuses two operands of different shapes. */
export const same = (name: string, a: { readonly shape: Shape }, b: { readonly shape: Shape }): void => {
  if (!agree(a.shape, b.shape)) throw new ShapeError(`${name}: left is ${show(a.shape)} but right is ${show(b.shape)}`)
}

/** Refuses tokens `[B, H·W, C]` that do not fill a grid, and what is no float. */
export const fills = (
  name: string,
  tokens: { readonly shape: Shape; readonly dtype: string },
  height: number,
  width: number
): void => {
  floats(name, { tokens })
  shaped(name, tokens, ["B", "N", "C"], "tokens")
  const [, count] = tokens.shape
  if (count !== height * width) throw new ShapeError(`${name}: ${count} tokens do not fill ${height} rows of ${width}`)
}
