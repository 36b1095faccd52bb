/** Computations in parts. Their thread may do other work between two parts. */

/** A computation of an `A`. It yields after each part. */
export type InParts<A> = Generator<void, A, void>

/** The number of nodes of a graph that are written as one part. */
export const AT_ONCE = 256

/** Computes all parts, one after the other. */
export const whole = <A>(parts: InParts<A>): A => {
  let part = parts.next()
  while (part.done !== true) part = parts.next()
  return part.value
}

/** Returns the computation of what `of` makes of the result. */
export function* map<A, B>(parts: InParts<A>, of: (result: A) => B): InParts<B> {
  return of(yield* parts)
}
