/** Measures the time of the parts of a run, over all processes that worked on them. */
import { Clock, Effect, Option, Schema } from "effect"
import { Runs } from "../../layers/run/Runs.ts"

const Spent = Schema.Struct({ seconds: Schema.Finite, finished: Schema.optionalKey(Schema.Boolean) })

/**
 * Measures the seconds of a part of a run. The time of interrupted processes counts. That of killed processes is unknown. The
 * run stores the time of a finished part, and running it again does not change it.
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
