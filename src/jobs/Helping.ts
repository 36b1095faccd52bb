/** The share that a worker has in jobs of other workers, while it has none of its own. It loses nothing when it ends. */
import { Cause, Effect, Fiber, Option, Schedule } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Progress from "../layers/run/Progress.ts"
import type * as Claims from "./Claims.ts"
import type * as Job from "./Job.ts"
import * as Joins from "./Joins.ts"
import * as StageFailed from "./StageFailed.ts"
import type * as Stages from "./Stages.ts"

/** The worker that helps. */
export interface Options {
  readonly sql: SqlClient
  readonly worker: string
  readonly offer: Job.Offer
  /** Tests whether it has no job. */
  readonly isFree: Effect.Effect<boolean>
  readonly say: (text: string) => Effect.Effect<void>
}

const keyOf = ({ execution, from, job }: Claims.Waiting): string => `${job}/${execution}/${from}`

/** Makes the help of a worker: `begin` looks for a job to help with, `leave` ends the help. */
export const make = ({ isFree, offer, say, sql, worker }: Options) => {
  let helping: Fiber.Fiber<void> | undefined
  // Stages with which this worker can do no more.
  const settled = new Set<string>()
  const isHelping = () => helping !== undefined && helping.pollUnsafe() === undefined

  const share = <R>(of: Claims.Waiting, stage: string, help: Effect.Effect<unknown, unknown, R>) => {
    const tell = (text: string) => say(`job ${of.job}: ${text}`)
    const helped = help.pipe(
      // The worker that has the job reports what all have done.
      Effect.provideService(Progress.Progress, { ...Progress.silent, message: tell }),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : tell(`cannot help, ${StageFailed.of(stage, cause).message}`)
      ),
      Effect.andThen(Effect.sync(() => void settled.add(keyOf(of))))
    )
    const over = Effect.option(Joins.seen(sql, of, worker)).pipe(
      Effect.repeat({ until: (seen) => Option.contains(seen, false), schedule: Schedule.spaced("500 millis") }),
      Effect.asVoid
    )
    return tell(`helps with ${stage}`).pipe(
      Effect.andThen(Effect.raceFirst(helped, over)),
      Effect.ensuring(Effect.andThen(Effect.ignore(Joins.leave(sql, of, worker)), tell("helps no more")))
    )
  }

  const begin = Effect.fnUntraced(function*<P, R>(runs: ReadonlyArray<Stages.Run<P, R>>) {
    if (isHelping()) return
    const joined = yield* Joins.join(sql, {
      worker,
      offer,
      workflows: runs.map(({ name }) => name),
      isWanted: (job) => !settled.has(keyOf(job))
    })
    if (Option.isNone(joined)) return
    const of = joined.value
    const { read, stage } = runs.find(({ name }) => name === of.workflow)!
    const found = Option.flatMap(yield* Effect.option(read(of.payload)), (payload) => stage(payload, of.from))
    const { help, name } = Option.getOrElse(found, () => ({ name: "", help: undefined }))
    if (help === undefined) settled.add(keyOf(of))
    if (help === undefined || !(yield* isFree)) return yield* Joins.leave(sql, of, worker)
    helping = yield* Effect.forkChild(share(of, name, help))
  })

  return { begin, leave: Effect.suspend(() => helping === undefined ? Effect.void : Fiber.interrupt(helping)) }
}
