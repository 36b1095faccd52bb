/**
 * Which state of another stage a stage goes on from, as its weights, its checkpoints and its run say it.
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
 * How a schedule goes on. `on`: the steps that were taken count, and learning rates and batches are those of the steps after
 * them. `anew`: steps are counted from 0, warm-up included.
 */
export const Schedule = Schema.Literals(["on", "anew"])
export type Schedule = typeof Schedule.Type

/** Which state, and how the schedule goes on. */
export const ContinuedFrom = Schema.Struct({
  /** The run's folder, as it was named; none where it is the same run. */
  run: Schema.optionalKey(Schema.String),
  stage: Schema.String,
  /** How many steps the stage had taken. */
  step: Schema.Int,
  /** A checkpoint, with the moments of the optimizer, or the weights of a finished stage, without. */
  state: Schema.Literals(["checkpoint", "finished"]),
  /** The SHA-256 of the weights. */
  digest: Schema.String,
  schedule: Schedule
})
export type ContinuedFrom = typeof ContinuedFrom.Type

/** For people, in a line. */
export const show = (continuedFrom: ContinuedFrom): string => {
  const { digest, run, schedule, stage, state, step } = continuedFrom
  return `step ${step} of ${stage}${run === undefined ? "" : ` in ${run}`} (${state} ${
    digest.slice(0, 8)
  }), schedule ${schedule}`
}

/** What a stage computes: its configuration, and what it goes on from, wherever that lies. */
export const within = (config: Json.Json, from: ContinuedFrom | undefined): Json.Json => {
  if (from === undefined) return config
  const { run: _, ...continuedFrom } = from
  return Json.merge(config, { continuedFrom })
}
