/**
 * Sizes of axes that the compiler can tell apart, and arithmetic on them.
 *
 * A dimension is a literal (`768`) or a named size (`Dim<"batch">`) that a checked constructor made from a run-time
 * number. Two names never mix, even when their sizes agree by chance, and a plain `number` is refused: it names nothing.
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

/** A size known by its name. */
export type Dim<Name extends string> = number & { readonly "~patchword/dim": Name }

/** What the compiler says to a plain `number` where a dimension is asked. */
export type PlainNumber = "a plain number is not a dimension: write a literal, or name it with Dim.named"

/** A dimension as it stands in messages: its digits or its name. */
export type Show<N> = N extends Dim<infer Name> ? Name : N extends number ? `${N}` : "?"

/** A shape as it stands in messages. */
export type ShowShape<S extends ReadonlyArray<unknown>> = `[${Join<S>}]`
type Join<S extends ReadonlyArray<unknown>> = S extends readonly [infer H, ...infer T]
  ? T extends readonly [] ? Show<H> : `${Show<H>}, ${Join<T>}`
  : ""

/** How a size is known; `error` where arithmetic did not work out. */
export type Kind<N extends number> = N extends Dim<string> ? "named"
  : N extends ShapeError.ShapeError ? "error"
  : number extends N ? "plain"
  : "literal"

/**
 * Refuses a plain `number` as a size: `count: N & Dim.Sized<N>`. A type parameter of a generic function is taken: whoever calls
 * that function is asked in its place.
 */
export type Sized<N extends number> = IsPlain<N> extends true ? ShapeError.ShapeError<PlainNumber> : unknown
// To tell that a type parameter may be taken, the compiler puts in its place what extends every type: first of all never.
type IsPlain<N extends number> = [N] extends [never] ? false : [number] extends [N] ? true : false

type Kinds<A extends number, B extends number> = `${Kind<A>} ${Kind<B>}`

/** Two sizes of which not both are literals: a name made of both where one is named. */
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

/** `A / B`; a `ShapeError` where a literal is not divisible. */
export type Div<A extends number, B extends number> = Kinds<A, B> extends "literal literal"
  ? [Divide<A, B>] extends [never] ? ShapeError.ShapeError<`${Show<A>} is not divisible by ${Show<B>}`> & number
  : Divide<A, B>
  : Combine<A, B, `${Show<A>}/${Show<B>}`>

/** `A / B` without the remainder. */
export type DivFloor<A extends number, B extends number> = Kinds<A, B> extends "literal literal" ? Quotient<A, B>
  : Combine<A, B, `${Show<A>}//${Show<B>}`>

/** The patches of an image of `H` by `W` pixels cut into squares of `P`. */
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

/** `a · b`, typed. */
export const mul = <A extends number, B extends number>(a: A, b: B): Mul<A, B> => (a * b) as Mul<A, B>

/** `a + b`, typed. */
export const plus = <A extends number, B extends number>(a: A, b: B): Plus<A, B> => (a + b) as Plus<A, B>

/**
 * `a / b`, typed.
 *
 * @throws ShapeError when `a` is not divisible by `b`.
 */
export const div = <A extends number, B extends number>(a: A, b: B): Div<A, B> => {
  if (a % b !== 0) throw new ShapeError.ShapeError(`${a} is not divisible by ${b}`)
  return (a / b) as Div<A, B>
}

/**
 * Refuses a size that another does not divide; `what` names the two in the message.
 *
 * @throws ShapeError
 */
export const divisible = (what: string, a: number, b: number): void => {
  if (a % b !== 0) throw new ShapeError.ShapeError(`${what}: ${a} is not divisible by ${b}`)
}
