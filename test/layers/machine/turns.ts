import { Effect } from "effect"

/** Works for some milliseconds. */
export const busily = (milliseconds: number): void => {
  const end = Date.now() + milliseconds
  while (Date.now() < end);
}

/** Counts the turns of the event loop within a scope. */
export const turns = Effect.acquireRelease(
  Effect.sync(() => {
    const counted = { turn: 0, ended: false }
    const next = () => {
      counted.turn++
      if (!counted.ended) setTimeout(next, 0)
    }
    setTimeout(next, 0)
    return counted
  }),
  (counted) => Effect.sync(() => (counted.ended = true))
)
