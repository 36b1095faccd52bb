/**
 * Axis sizes that the compiler can tell apart, and arithmetic on them.
 *
 * A dimension is a literal (`768`) or a named size (`Dim<"batch">`). A checked constructor makes a named size from a run-time
 * number. Two names never mix, even if their sizes are equal by chance. A plain `number` is refused, because it has no name.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Dim } from "patchword/shapes"
 *
 * const batch = Dim.named("batch", 64)
 * const tokens: Dim.Plus<Dim.Mul<Dim.Div<224, 16>, Dim.Div<224, 16>>, 1> = 197
 * assert.strictEqual(batch * tokens, 12608)
 * ```
 */
import type { Add, Divide, Multiply, Quotient } from "./Natural.ts"
import * as ShapeError from "./ShapeError.ts"

/** A named size. */
export type Dim<Name extends string> = number & { readonly "~patchword/dim": Name }

/** The compiler's message for a plain `number` in the place of a dimension. */
export type PlainNumber = "a plain number is not a dimension: write a literal, or name it with Dim.named"

/** The text of a dimension in messages: its digits or its name. */
export type Show<N> = N extends Dim<infer Name> ? Name : N extends number ? `${N}` : "?"

/** The text of a shape in messages. */
export type ShowShape<S extends ReadonlyArray<unknown>> = `[${Join<S>}]`
type Join<S extends ReadonlyArray<unknown>> = S extends readonly [infer H, ...infer T]
  ? T extends readonly [] ? Show<H> : `${Show<H>}, ${Join<T>}`
  : ""

/** The kind of a size. It is `error` after arithmetic that failed. */
export type Kind<N extends number> = N extends Dim<string> ? "named"
  : N extends ShapeError.ShapeError ? "error"
  : number extends N ? "plain"
  : "literal"

/**
 * Refuses a plain `number` as a size: `count: N & Dim.Sized<N>`. It accepts a type parameter of a generic function. Callers of
 * that function are then checked instead.
 */
export type Sized<N extends number> = IsPlain<N> extends true ? ShapeError.ShapeError<PlainNumber> : unknown
// The compiler checks a type parameter with types that extend every type in its place, and never is the first of them.
type IsPlain<N extends number> = [N] extends [never] ? false : [number] extends [N] ? true : false

type Kinds<A extends number, B extends number> = `${Kind<A>} ${Kind<B>}`

/** The result for sizes that are not both literals. If one is named, the result's name is made of both. */
type Combine<A extends number, B extends number, Name extends string> = Kind<A> extends "error" ? A
  : Kind<B> extends "error" ? B
  : "plain" extends Kind<A> | Kind<B> ? ShapeError.ShapeError<PlainNumber> & number
  : Dim<Name>

/** `A · B`. */
export type Mul<A extends number, B extends number> = Kinds<A, B> extends "literal literal" ? Multiply<A, B>
  : Combine<A, B, `${Show<A>}*${Show<B>}`>

/** `A + B`. */
export type Plus<A extends number, B extends number> = Kinds<A, B> extends "literal literal" ? Add<A, B>
  : Combine<A, B, `${Show<A>}+${Show<B>}`>

/** `A / B`, or a `ShapeError` if a literal is not divisible. */
export type Div<A extends number, B extends number> = Kinds<A, B> extends "literal literal"
  ? [Divide<A, B>] extends [never] ? ShapeError.ShapeError<`${Show<A>} is not divisible by ${Show<B>}`> & number
  : Divide<A, B>
  : Combine<A, B, `${Show<A>}/${Show<B>}`>

/** `A / B`, rounded down. */
export type DivFloor<A extends number, B extends number> = Kinds<A, B> extends "literal literal" ? Quotient<A, B>
  : Combine<A, B, `${Show<A>}//${Show<B>}`>

/** The number of patches of `P` by `P` pixels in an image of `H` by `W` pixels. */
export type Patches<H extends number, W extends number, P extends number> = Mul<Div<H, P>, Div<W, P>>

/**
 * Names a run-time size.
 *
 * @throws ShapeError when the size is not a positive integer.
 */
export const named = <const Name extends string>(name: Name, size: number): Dim<Name> => {
  if (!Number.isInteger(size) || size < 1) {
    throw new ShapeError.ShapeError(`dim ${name}: expected a positive integer but got ${size}`)
  }
  return size as Dim<Name>
}

/** Computes `a · b` with its type. */
export const mul = <A extends number, B extends number>(a: A, b: B): Mul<A, B> => (a * b) as Mul<A, B>

/** Computes `a + b` with its type. */
export const plus = <A extends number, B extends number>(a: A, b: B): Plus<A, B> => (a + b) as Plus<A, B>

/**
 * Computes `a / b` with its type.
 *
 * @throws ShapeError when `a` is not divisible by `b`.
 */
export const div = <A extends number, B extends number>(a: A, b: B): Div<A, B> => {
  if (a % b !== 0) throw new ShapeError.ShapeError(`${a} is not divisible by ${b}`)
  return (a / b) as Div<A, B>
}

/**
 * Refuses a size `a` that `b` does not divide. `what` is the beginning of the message.
 *
 * @throws ShapeError
 */
export const divisible = (what: string, a: number, b: number): void => {
  if (a % b !== 0) throw new ShapeError.ShapeError(`${what}: ${a} is not divisible by ${b}`)
}
