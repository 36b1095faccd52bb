/** How long the parts of a run took, over all the processes that worked on them. */
import { Clock, Effect, Option, Schema } from "effect"
import { Runs } from "../../layers/run/Runs.ts"

const Spent = Schema.Struct({ seconds: Schema.Finite, finished: Schema.optionalKey(Schema.Boolean) })

/**
 * A part of a run with the seconds that it took. Time that interrupted processes spent on it counts, that of killed ones is
 * not known. Of a finished part the run remembers the time, whatever it takes to run it again.
 */
export const timed = Effect.fnUntraced(function*<A, E, R>(part: string, self: Effect.Effect<A, E, R>) {
  const runs = yield* Runs
  const name = `${part}-seconds`
  const known = Option.flatMap(yield* runs.result(name), Schema.decodeUnknownOption(Spent))
  const { finished = true, seconds: before } = Option.getOrElse(known, () => ({ finished: false, seconds: 0 }))
  if (finished) return { value: yield* self, seconds: before }
  const began = yield* Clock.currentTimeMillis
  const spent = Effect.map(Clock.currentTimeMillis, (now) => before + (now - began) / 1000)
  // Nobody is interrupted between the end of the part and its time.
  return yield* Effect.uninterruptibleMask((restore) =>
    restore(self).pipe(
      Effect.tapCause(() => Effect.flatMap(spent, (seconds) => runs.done(name, { seconds, finished: false }))),
      Effect.bindTo("value"),
      Effect.bind("seconds", () => spent),
      Effect.tap(({ seconds }) => runs.done(name, { seconds, finished: true }))
    )
  )
})
