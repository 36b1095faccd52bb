/**
 * One axis of a shape. A literal names it: `0`, `1` from the front, `-1`, `-2` from the back.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Axis } from "patchword/shapes"
 *
 * const kept: Axis.Without<[2, 5, 8], -1> = [2, 5]
 * assert.deepStrictEqual(kept, [2, 5].toSpliced(Axis.place("example", [2, 5], 1), 1, 5))
 * ```
 */
import type { ShowShape } from "./Dim.ts"
import type { Subtract } from "./Natural.ts"
import type { Shape } from "./Shape.ts"
import * as ShapeError from "./ShapeError.ts"

/** Axis `I` of `Rank` counted from the front, or `Rank` if there is no such axis. */
export type Front<Rank extends number, I extends number> = `${I}` extends `-${infer Back extends number}`
  ? [Subtract<Rank, Back>] extends [never] ? Rank : Subtract<Rank, Back>
  : I

/** The key of the axis in the shape's type, or any key if the rank is not known. */
type Key<Rank extends number, I extends number> = number extends Rank ? string : `${Front<Rank, I>}`

/** The size of axis `I`. */
export type At<S extends Shape, I extends number> = number extends S["length"] ? number : S[Front<S["length"], I>]

/** The shape with `N` as the size of axis `I`. */
export type With<S extends Shape, I extends number, N extends number> = Replaced<S, Key<S["length"], I>, N>
type Replaced<S extends Shape, K extends string, N extends number> = {
  -readonly [A in keyof S]: A extends K ? N : S[A]
}

/** The shape without axis `I`. */
export type Without<S extends Shape, I extends number> = number extends S["length"] ? Shape
  : Removed<S, Key<S["length"], I>>
type Removed<S extends Shape, K extends string, Seen extends Shape = []> = S extends
  readonly [infer H extends number, ...infer T extends Shape]
  ? `${Seen["length"]}` extends K ? [...Seen, ...T] : Removed<T, K, [...Seen, H]>
  : never

/** The shape with an additional axis of size `N` at `I`. */
export type Inserted<S extends Shape, I extends number, N extends number> = number extends S["length"] ? Shape
  : Grown<S, Key<[...S, 1]["length"], I>, N>
type Grown<S extends Shape, K extends string, N extends number, Seen extends Shape = []> = `${Seen["length"]}` extends K
  ? [...Seen, N, ...S]
  : S extends readonly [infer H extends number, ...infer T extends Shape] ? Grown<T, K, N, [...Seen, H]>
  : never

/** Refuses an axis that a shape does not have. */
export type Within<Name extends string, S extends Shape, I extends number> = number extends S["length"] ? unknown
  : Key<S["length"], I> extends keyof S ? unknown
  : ShapeError.ShapeError<
    number extends I ? `${Name}: a plain number is not an axis: write a literal`
      : `${Name}: ${ShowShape<S>} has no axis ${I}`
  >

/** Refuses a position at which a shape cannot get an additional axis. */
export type Beside<Name extends string, S extends Shape, I extends number> = number extends S["length"] ? unknown
  : Key<[...S, 1]["length"], I> extends keyof [...S, 1] ? unknown
  : ShapeError.ShapeError<
    number extends I ? `${Name}: a plain number is not an axis: write a literal`
      : `${Name}: ${ShowShape<S>} has no axis ${I}`
  >

/**
 * Returns an axis counted from the front. `room` is 1 if an axis is to be inserted.
 *
 * @throws ShapeError when the shape does not have the axis.
 */
export const place = (name: string, shape: Shape, axis: number, room: 0 | 1 = 0): number => {
  const rank = shape.length + room
  const at = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(at) || at < 0 || at >= rank) {
    throw new ShapeError.ShapeError(`${name}: ${ShapeError.show(shape)} has no axis ${axis}`)
  }
  return at
}
