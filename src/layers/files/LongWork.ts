/** Says that work goes on. */
import { Clock, Effect, Fiber } from "effect"

/** Seconds before the first line, and between lines. */
const FIRST = 5
const EVERY = 10

const lines = Effect.fnUntraced(function*(what: string) {
  const begun = yield* Clock.currentTimeMillis
  yield* Effect.sleep(1000 * FIRST)
  return yield* Effect.forever(Effect.gen(function*() {
    const seconds = Math.round(((yield* Clock.currentTimeMillis) - begun) / 1000)
    yield* Effect.logInfo(`${what}: ${seconds} s so far`)
    yield* Effect.sleep(1000 * EVERY)
  }))
})

/** Runs work, and logs a line with its name and time again and again while it lasts. Short work logs nothing. */
export const told = (what: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(Effect.forkChild(Effect.interruptible(lines(what))), () => self, Fiber.interrupt)
