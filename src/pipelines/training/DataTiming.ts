/** What a run says of its data: how long steps wait for their batches, and how much memory these take at most. */
import { Clock, Effect } from "effect"
import * as Weights from "../../layers/weights/Weights.ts"

const bytesOf = (batch: object): number =>
  Object.values(Weights.flatten(batch)).reduce((sum, { data }) => sum + data.byteLength, 0)

/** Begins to measure. Each batch goes through `made`, `begun` and `done`. */
export const make = Effect.gen(function*() {
  const began = yield* Clock.currentTimeMillis
  let free = began
  let waited = 0
  let held = 0
  let most = 0
  const at = <A>(use: (now: number) => A) => Effect.map(Clock.currentTimeMillis, use)
  return {
    /** A batch is there from now on; gives its bytes. */
    made: (batch: object): number => {
      const bytes = bytesOf(batch)
      held += bytes
      most = Math.max(most, held)
      return bytes
    },
    /** Its step begins; gives the seconds that it waited. */
    begun: at((now) => {
      waited += now - free
      return (now - free) / 1000
    }),
    /** The bytes of the batches that are there. */
    held: () => held,
    /** Nobody needs a batch of so many bytes any more, and the next one is waited for. */
    done: (bytes: number) =>
      at((now) => {
        held -= bytes
        free = now
      }),
    /** Seconds since the beginning. */
    seconds: at((now) => (now - began) / 1000),
    /** The row of a number of steps. */
    row: (steps: number) => ({
      seconds: (free - began) / 1000,
      steps,
      secondsWaitedForData: waited / 1000,
      megabytesOfBatches: most / 1e6
    })
  }
})
