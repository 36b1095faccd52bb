/** Going on from a state of another run. */
import { Effect, FileSystem, Option } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Continuation from "../../pipelines/training/Continuation.ts"
import * as Described from "./Described.ts"
import * as RunPlace from "./RunPlace.ts"

/** The state to go on from, and the schedule from there. */
export const flags = {
  continue: Flag.String("continue").pipe(
    Described.optional(
      "go on from a state of the same stage of another run: RUN, or RUN@STEP with a number of steps, newest, previous or " +
        "finished; from finished, the optimizer begins anew",
      "begin anew, or go on with the run of --out"
    )
  ),
  schedule: Flag.Literals("schedule", ContinuedFrom.Schedule.literals).pipe(
    Described.optional("with --continue: on goes on after the steps that were taken; anew begins at step 0", "on")
  )
}

/** The values of {@link flags}. */
export interface ContinueFlags {
  readonly continue: Option.Option<string>
  readonly schedule: Option.Option<ContinuedFrom.Schedule>
}

const PLACE = /^(.+)@(newest|previous|finished|\d+)$/

/** The run to go on from, if one is asked for, and the place in it. */
export const placeOf = (given: Pick<ContinueFlags, "continue">) =>
  Option.map(given.continue, (named) => {
    const [, run = named, at = "newest"] = PLACE.exec(named) ?? []
    return { named, run, at }
  })

/**
 * The state to go on from, if one is asked for. Fails with `ConfigError` for a state that has another name, with `NoRun` and
 * `NothingToContinue` when there is none, and as a damaged one does.
 */
export const resolve = Effect.fn("patchword.ContinueFlags.resolve")(function*(given: ContinueFlags, stage: string) {
  const place = placeOf(given)
  if (Option.isNone(place)) {
    if (Option.isNone(given.schedule)) return undefined
    return yield* Config.refusal(
      "--schedule",
      "expected --continue beside it, which names the run whose schedule goes on or begins anew",
      "add --continue RUN, or leave out --schedule"
    )
  }
  const { at, named, run } = place.value
  const fs = yield* FileSystem.FileSystem
  if (run === named && named.includes("@") && !(yield* Effect.orElseSucceed(fs.exists(named), () => false))) {
    return yield* Config.refusal(
      "--continue",
      `expected RUN, RUN@newest, RUN@previous, RUN@finished, or RUN@ with a number of steps, got ${named}`,
      `write ${named.slice(0, named.lastIndexOf("@"))}@newest for the last state`
    )
  }
  const step = at === "newest" || at === "previous" || at === "finished" ? at : Number(at)
  const schedule = Option.getOrElse(given.schedule, () => "on" as const)
  const found = yield* Continuation.open(run, { stage, step, schedule })
  const shown: Continuation.Continuation = { ...found, from: { ...found.from, run: (yield* RunPlace.Shown)(run) } }
  return shown
})
