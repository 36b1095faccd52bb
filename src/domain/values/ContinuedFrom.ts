/**
 * A record of the state of another stage that a stage continues from. Its weights, its checkpoints and its run contain the
 * record.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ContinuedFrom } from "patchword/domain"
 *
 * const from = { run: "runs/one", stage: "pretrain", step: 300, state: "checkpoint", digest: "7b1a0c43", schedule: "on" } as const
 * assert.strictEqual(ContinuedFrom.show(from), "step 300 of pretrain in runs/one (checkpoint 7b1a0c43), schedule on")
 * ```
 */
import { Schema } from "effect"
import * as Json from "./Json.ts"

/**
 * The schedule of a continuation. `on` counts the steps that were taken: learning rates and batches are those of the next
 * steps. `anew` counts steps from 0, with a warmup.
 */
export const Schedule = Schema.Literals(["on", "anew"])
export type Schedule = typeof Schedule.Type

/** The state, and the schedule of the continuation. */
export const ContinuedFrom = Schema.Struct({
  /** The path of the run folder, as it was given, or its name (see {@link portable}); absent for the same run. */
  run: Schema.optionalKey(Schema.String),
  stage: Schema.String,
  /** Number of steps that the stage had taken. */
  step: Schema.Int,
  /**
   * `checkpoint`: a checkpoint, with the moments of the optimizer. `finished`: the weights of a finished stage, without them.
   */
  state: Schema.Literals(["checkpoint", "finished"]),
  /** The SHA-256 of the weights. */
  digest: Schema.String,
  schedule: Schedule
})
export type ContinuedFrom = typeof ContinuedFrom.Type

/** Formats it as one line of text. */
export const show = (continuedFrom: ContinuedFrom): string => {
  const { digest, run, schedule, stage, state, step } = continuedFrom
  return `step ${step} of ${stage}${run === undefined ? "" : ` in ${run}`} (${state} ${
    digest.slice(0, 8)
  }), schedule ${schedule}`
}

/** Returns the record without the folders above the run, for files that are shared: they belong to a machine. */
export const portable = (from: ContinuedFrom): ContinuedFrom => {
  const { run, ...rest } = from
  return run === undefined ? rest : { ...rest, run: run.split(/[/\\]/).findLast((name) => name !== "") ?? run }
}

/** Returns the identity of a stage's computation: its configuration, and the state that it continues from, without its path. */
export const within = (config: Json.Json, from: ContinuedFrom | undefined): Json.Json => {
  if (from === undefined) return config
  const { run: _, ...continuedFrom } = from
  return Json.merge(config, { continuedFrom })
}
