/** The work of a study: for each row and seed the configuration and the runs. Equal runs of several rows are one run. */
import { Effect, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Preset from "../../domain/config/Preset.ts"
import * as Ablation from "../../domain/study/Ablation.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { checkStages } from "../CheckStages.ts"
import * as OtherEncoder from "../training/OtherEncoder.ts"

/** The stages of a row, in order. */
export const Stage = Schema.Literals(["tokenizer", "pretrain", "finetune"])
export type Stage = typeof Stage.Type

/** A run of one stage. */
export interface Unit {
  readonly stage: Stage
  /** Its run folder, in that of the study. */
  readonly folder: string
  /** The settings of the stage and of those before it, and those of evaluations, which the run does not depend on. */
  readonly config: Json.Json
}

/** A row under one seed. */
export interface Work {
  readonly row: Ablation.Row
  readonly seed: number
  readonly preset: Preset.Preset
  /** The runs that the row needs, in order. */
  readonly units: ReadonlyArray<Unit>
}

/** The settings of a run that may change until the run has results of them, by the names of these. */
export const CHANGEABLE = { probe: "probe", knn: "knn" } as const

/** Folder of a study for its runs. */
export const RUNS = "runs"

const STAGES: Readonly<Record<Ablation.Start, ReadonlyArray<Stage>>> = {
  pretrained: ["tokenizer", "pretrain", "finetune"],
  tokenizer: ["tokenizer", "finetune"],
  teacher: ["finetune"]
}

/** Returns the configuration that a row really trains with. */
export const trainedWith = ({ preset, row }: Pick<Work, "preset" | "row">) =>
  row.start === "tokenizer"
    ? Effect.map(
      OtherEncoder.configOf(preset.finetune, OtherEncoder.settingsOf(preset.tokenizer)),
      (finetune) => new Preset.Preset({ ...preset, finetune })
    )
    : Effect.succeed(preset)

const digest = (value: Json.Json): string => Files.sha256(Json.canonical(value)).slice(0, 12)

/**
 * Returns the work of a row under a seed. A run has the name of its stage, and a digest of its settings and those before it. So
 * rows with equal settings have the same runs. Fails with `ConfigError` if the changes of the row do not fit the base, and
 * if its stages do not fit each other.
 */
export const of = Effect.fnUntraced(function*(
  base: Preset.Preset,
  row: Ablation.Row,
  seed: number,
  teachers: ReadonlyArray<Ablation.Teacher>
) {
  const stages = STAGES[row.start]
  const preset = yield* Effect.mapError(
    Preset.with(base, Ablation.seeded(row, seed)),
    ({ problems }) => new Config.ConfigError({ source: `the row ${row.name}`, problems })
  )
  yield* Effect.andThen(checkStages(preset, stages), trainedWith({ preset, row })).pipe(
    Effect.mapError((error) => new Config.ConfigError({ ...error, source: `the row ${row.name}: ${error.source}` }))
  )
  const plain = yield* Effect.orDie(Schema.encodeEffect(Preset.Preset)(preset))
  const shared = yield* Effect.orDie(Schema.encodeEffect(Preset.Preset)(base))
  const teacher = teachers[row.teacher]?.name ?? ""
  const units = stages.map((stage, i): Unit => {
    const parts = Object.fromEntries(stages.slice(0, i + 1).map((part) => [part, plain[part]]))
    const config = { ...parts, teacher, from: stages[i - 1] ?? (stage === "finetune" ? "teacher" : null) }
    // Rows with other probes share a tokenizer.
    const { knn, probe } = stage === "tokenizer" ? shared : plain
    return { stage, folder: `${RUNS}/${stage}-${digest(config)}`, config: { ...config, probe, knn } }
  })
  const work: Work = { row, seed, preset, units }
  return work
})

/** Returns the run of a stage, if the row has the stage. */
export const unit = ({ units }: Work, stage: Stage): Unit | undefined => units.find((one) => one.stage === stage)

/** The key of a figure, in the study's folder: all that it depends on. */
export const keyOf = (measure: string, about: Json.Json): string => `${measure}-${digest(about)}`

/** Selects the rows that are asked for; all without names. */
const select = (
  table: Ablation.Ablation,
  rows: ReadonlyArray<Ablation.Row>,
  names: ReadonlyArray<string> | undefined
): Effect.Effect<ReadonlyArray<Ablation.Row>, Config.ConfigError> => {
  const unknown = names?.find((name) => rows.every((row) => row.name !== name))
  if (unknown !== undefined) {
    const known = rows.map(({ name }) => name).join(", ")
    return Effect.fail(
      Config.refusal(
        `${table.name}/${unknown}`,
        `expected one of the rows ${known}, got ${unknown}`,
        "name a row of the table"
      )
    )
  }
  return Effect.succeed(names === undefined ? rows : rows.filter(({ name }) => names.includes(name)))
}

/**
 * Returns the work of a table: the rows that are asked for, all without names, under each seed. Fails with `ConfigError` for a name that the
 * table has not, and for rows whose changes do not fit the base or whose stages do
 * not fit each other.
 */
export const all = Effect.fnUntraced(function*(
  table: Ablation.Ablation,
  base: Preset.Preset,
  options: {
    readonly seeds: ReadonlyArray<number>
    readonly teachers: ReadonlyArray<Ablation.Teacher>
    readonly rows?: ReadonlyArray<string> | undefined
  }
) {
  const { rows: names, seeds, teachers } = options
  const rows = yield* select(table, table.rows(base, teachers), names)
  return yield* Effect.forEach(
    seeds.flatMap((seed) => rows.map((row) => [row, seed] as const)),
    ([row, seed]) => of(base, row, seed, teachers)
  )
})
