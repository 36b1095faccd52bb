/** Plans a study before it starts: the runs that it needs, those that are finished, and the time of the others. */
import { Effect, FileSystem, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { Preset } from "../../domain/config/Preset.ts"
import type * as Ablation from "../../domain/study/Ablation.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { plan, type PlanOptions, type StagePlan } from "../Plan.ts"
import * as Stage from "../training/Stage.ts"
import { type StudyOptions, teachersOf } from "./Study.ts"
import * as StudyWork from "./StudyWork.ts"

/** Runs of a study with the same settings, apart from their seeds. */
export const PlannedRuns = Schema.Struct({
  stage: StudyWork.Stage,
  /** The rows that need them. */
  rows: Schema.Array(Schema.String),
  runs: Schema.Int,
  /** The number of runs that are finished. */
  finished: Schema.Int,
  /** Steps of one run. */
  steps: Schema.Int,
  /** Seconds of one run; null if it cannot be measured. */
  seconds: Schema.NullOr(Schema.Finite),
  /** Bytes of one run. */
  disk: Schema.Finite
})
export type PlannedRuns = typeof PlannedRuns.Type

/** The plan. */
export const StudyPlan = Schema.Struct({
  table: Schema.String,
  seeds: Schema.Array(Schema.Int),
  runs: Schema.Array(PlannedRuns),
  /** Seconds of the runs that are not finished, without the teacher and the evaluations; null if one is not known. */
  seconds: Schema.NullOr(Schema.Finite),
  /** Bytes of all runs. */
  disk: Schema.Finite
})
export type StudyPlan = typeof StudyPlan.Type

const withoutSeeds = (value: Json.Json): Json.Json =>
  Json.isObject(value)
    ? Object.fromEntries(
      Object.entries(value).filter(([key]) => key !== "seed").map(([key, one]) => [key, withoutSeeds(one)])
    )
    : value

/**
 * Plans a study. A few steps of each kind of run are measured on the engine, as `plan` does. Fails as `study` does for rows that do
 * not fit, and as the engine does.
 */
export const studyPlan = Effect.fn("patchword.studyPlan")(
  function*<E>(
    table: Ablation.Ablation,
    given: Preset,
    options:
      & Pick<StudyOptions<E>, "out" | "seeds" | "teachers" | "rows">
      & Pick<PlanOptions, "classes" | "images" | "teacherWidth">
  ) {
    const base = yield* Config.check(Preset, "the preset")(given)
    const { classes, images, out, seeds, teacherWidth } = options
    const told = teachersOf(options)
    const fs = yield* FileSystem.FileSystem
    const works = yield* StudyWork.all(table, base, { seeds, teachers: told, rows: options.rows })
    const each = works.flatMap((work) => work.units.map((unit) => ({ work, unit })))
    const kinds = Map.groupBy(each, ({ unit }) => Json.canonical([unit.stage, withoutSeeds(unit.config)]))
    // Rows that differ before a stage train it alike.
    const trials = new Map<string, typeof StagePlan.Type>()
    const runs = yield* Effect.forEach([...kinds.values()], (all) =>
      Effect.gen(function*() {
        const [{ unit: { stage }, work }] = all as [typeof all[number], ...typeof all]
        const preset = yield* StudyWork.trainedWith(work)
        const { pretrain, [stage]: own } = Stage.toJson(Preset, preset) as Readonly<Record<string, Json.Json>>
        const { codebook, encoder } = preset.tokenizer
        const seen = stage === "pretrain" ? [pretrain!, codebook.size, { ...encoder }] : [own!]
        const key = Json.canonical([stage, ...seen.map(withoutSeeds)])
        const found = trials.get(key) ??
          (yield* plan(preset, { classes, images, teacherWidth, stages: [stage] })).stages[0]!
        trials.set(key, found)
        const folders = [...new Set(all.map(({ unit }) => unit.folder))]
        const finished = yield* Effect.filter(folders, (folder) => {
          const file = `${out}/${folder}/stages/${stage}.json`
          return Files.onFailure(file)(fs.exists(file))
        })
        return PlannedRuns.make({
          stage,
          rows: [...new Set(all.map(({ work: { row } }) => row.name))],
          runs: folders.length,
          finished: finished.length,
          steps: found.steps,
          seconds: found.seconds,
          disk: found.disk
        })
      }))
    const left = runs.map(({ finished, runs: count, seconds }) =>
      count === finished ? 0 : seconds === null ? null : seconds * (count - finished)
    )
    const planned: StudyPlan = {
      table: table.name,
      seeds,
      runs,
      seconds: left.reduce((sum, one) => sum === null || one === null ? null : sum + one, 0),
      disk: runs.reduce((sum, { disk, runs: count }) => sum + disk * count, 0)
    }
    return planned
  },
  Files.orNode
)
