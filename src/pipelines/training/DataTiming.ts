/** Measures the data of a run: the time that steps wait for their batches, and the peak memory of batches. */
import { Clock, Effect } from "effect"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Memory from "./Memory.ts"

const bytesOf = (batch: object): number =>
  Object.values(Weights.flatten(batch)).reduce((sum, { data }) => sum + data.byteLength, 0)

// Whoever looks at a run wants news soon, and the file of a run of weeks stays small.
const OFTEN = 10_000
const SHARE = 0.01

/** Starts the measurement. Each batch goes through `made`, `begun` and `done`. */
export const make = Effect.gen(function*() {
  const began = yield* Clock.currentTimeMillis
  let free = began
  let waited = 0
  let held = 0
  let most = 0
  let told = -Infinity
  const at = <A>(use: (now: number) => A) => Effect.map(Clock.currentTimeMillis, use)
  return {
    /** Records a new batch, and returns its bytes. */
    made: (batch: object): number => {
      const bytes = bytesOf(batch)
      held += bytes
      most = Math.max(most, held)
      return bytes
    },
    /** Records the start of a batch's step, and returns the seconds that it waited. */
    begun: at((now) => {
      waited += now - free
      return (now - free) / 1000
    }),
    /** Returns the bytes of all batches in memory. */
    held: () => held,
    /** Records that a batch of some bytes is no longer used, and that the next one is awaited. */
    done: (bytes: number) =>
      at((now) => {
        held -= bytes
        free = now
      }),
    /** The seconds since the start. */
    seconds: at((now) => (now - began) / 1000),
    /** Tests whether a row is due: after the first step, then every ten seconds, and later at each hundredth of the time. */
    due: () => free - told >= Math.max(OFTEN, SHARE * (free - began)),
    /** Returns the row of the timings after a number of steps. */
    row: (steps: number) => {
      told = free
      return {
        seconds: (free - began) / 1000,
        steps,
        secondsWaitedForData: waited / 1000,
        megabytesOfBatches: most / 1e6,
        megabytesOfProcess: Memory.used() / 1e6
      }
    }
  }
})
