/** Pauses in long work of a thread, in which an app's timers and requests have their turn. */
import { Clock, Effect } from "effect"
import type { Pausable } from "../../domain/values/Pausable.ts"

/** Milliseconds of work without a pause. */
const MOST = 4

// The start of the present stretch of work. Time in which the thread only waited counts as well, so a pause may come early.
let start = 0
// The fibers that pause go on together. All but the first of them take up the work of the others, and may have to pause again.
let resumed = 0

const late = Effect.map(Clock.currentTimeMillis, (now) => Math.abs(now - start) >= MOST)

/** Pauses if the last pause was long ago. */
export const pause: Effect.Effect<void> = Effect.suspend(() =>
  Effect.flatMap(late, (isLate) => isLate ? paused : Effect.void)
)

const paused: Effect.Effect<void> = Effect.gen(function*() {
  const seen = resumed
  yield* Effect.yieldNow
  if (seen !== resumed) return yield* pause
  resumed++
  start = yield* Clock.currentTimeMillis
})

/** Runs a computation with its pauses. `attempt` runs each part, and may fail where one throws; default `Effect.sync`. */
export const during = Effect.fnUntraced(function*<A, E = never>(
  run: Pausable<A>,
  attempt: (part: () => IteratorResult<void, A>) => Effect.Effect<IteratorResult<void, A>, E> = Effect.sync
) {
  const next = attempt(() => run.next())
  let part = yield* next
  while (part.done !== true) {
    yield* pause
    part = yield* next
  }
  return part.value
})
