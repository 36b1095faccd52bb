/** Checks effects that must fail. */
import { Effect } from "effect"

/** Returns the error of an effect. A success violates the law. */
export const refused = <A, E, R>(effect: Effect.Effect<A, E, R>, what: string): Effect.Effect<E, never, R> =>
  Effect.matchEffect(effect, {
    onFailure: Effect.succeed,
    onSuccess: () => Effect.die(new Error(`${what} is not refused`))
  })
