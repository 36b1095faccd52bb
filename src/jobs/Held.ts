/**
 * The one job that a worker has, so that it takes no second one.
 *
 * It is held from its claim until its execution is over at this worker: it ended, or another worker has it. A stage that still
 * saves its state holds it until it is saved.
 */
import { Clock, Effect } from "effect"
import type { Execution } from "./Stages.ts"

/** Seconds after which a claimed job whose stages nobody began is started again. It then holds no worker. */
export const FORGOTTEN = 10

const keyOf = ({ execution, job }: Execution): string => `${job}/${execution}`

interface Holding {
  readonly of: Execution
  readonly key: string
  readonly at: number
  /** A job is only claimed until a stage of it begins here. It may have begun at another worker. */
  readonly phase: "claimed" | "working" | "resting"
}

/** Makes the record of a worker that has no job yet. */
export const make = () => {
  let held: Holding | undefined
  const hold = (of: Execution, phase: Holding["phase"]) =>
    Effect.map(Clock.currentTimeMillis, (at) => void (held = { of, key: keyOf(of), at, phase }))
  const leave = (of: Execution, over: (holding: Holding) => Holding | undefined) =>
    Effect.sync(() => void (held = held?.key === keyOf(of) ? over(held) : held))
  return {
    /** Tests whether this is its job. */
    has: (of: Execution) => held?.key === keyOf(of),
    /** Tests whether it may take a job. */
    isFree: Effect.map(
      Clock.currentTimeMillis,
      (now) => held === undefined || held.phase === "claimed" && now - held.at > 1000 * FORGOTTEN
    ),
    /** Returns the job that it has claimed, if no stage of it has begun here. */
    claimed: Effect.sync(() => held?.phase === "claimed" ? held.of : undefined),
    /** Notes that it has claimed a job. */
    claim: (of: Execution) => hold(of, "claimed"),
    /** Notes that it works on a stage of a job, until `rest` or `release`. */
    work: (of: Execution) => hold(of, "working"),
    /** Notes that a stage is done. */
    rest: (of: Execution) => leave(of, (holding) => ({ ...holding, phase: "resting" })),
    /** Notes that the execution is over here. A stage that has not come to its end releases the job itself. */
    end: (of: Execution) => leave(of, (holding) => holding.phase === "working" ? holding : undefined),
    /** Notes that the job is gone. */
    release: (of: Execution) => leave(of, () => undefined)
  }
}
