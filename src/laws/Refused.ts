/** Effects that must fail. */
import { Effect } from "effect"

/** What an effect fails with. A success breaks the law. */
export const refused = <A, E, R>(effect: Effect.Effect<A, E, R>, what: string): Effect.Effect<E, never, R> =>
  Effect.matchEffect(effect, {
    onFailure: Effect.succeed,
    onSuccess: () => Effect.die(new Error(`${what} is not refused`))
  })
