/** Going on from a state of another run. */
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Continuation from "../../pipelines/training/Continuation.ts"

/** Which state, and how the schedule goes on. */
export const flags = {
  continue: Flag.String("continue").pipe(
    Flag.withDescription(
      "go on from the same stage of another run, RUN or RUN@STEP: a number of steps, newest (default), previous, or " +
        "finished, whose optimizer begins anew"
    ),
    Flag.optional
  ),
  schedule: Flag.Literals("schedule", ContinuedFrom.Schedule.literals).pipe(
    Flag.withDescription("with --continue: on, after the steps that were taken, or anew, from step 0"),
    Flag.withDefault("on" as const)
  )
}

/** What {@link flags} say. */
export interface ContinueFlags {
  readonly continue: Option.Option<string>
  readonly schedule: ContinuedFrom.Schedule
}

const PLACE = /^(.+)@(newest|previous|finished|\d+)$/

/** The state to go on from, if one is asked for. Fails with 66 when there is none, with 65 when it is damaged. */
export const resolve = Effect.fn("patchword.ContinueFlags.resolve")(function*(given: ContinueFlags, stage: string) {
  if (Option.isNone(given.continue)) return undefined
  const [, run = given.continue.value, at = "newest"] = PLACE.exec(given.continue.value) ?? []
  const step = at === "newest" || at === "previous" || at === "finished" ? at : Number(at)
  return yield* Continuation.open(run, { stage, step, schedule: given.schedule })
})
