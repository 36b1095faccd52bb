/** Long computations that pause now and then, so that their thread can do other work in between. */

/** A computation of an `A`. Each element that it yields is a pause. */
export type Pausable<A> = Generator<void, A, void>

/** Computes without pauses. */
export const finish = <A>(run: Pausable<A>): A => {
  let part = run.next()
  while (part.done !== true) part = run.next()
  return part.value
}
