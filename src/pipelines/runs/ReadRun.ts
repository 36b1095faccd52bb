/** Reading of a run: its state, stages, figures, settings, engines, tags and notes. */
import { DateTime, Effect, type FileSystem, Option, type Path, Record, Schema } from "effect"
import * as Report from "../../domain/evaluation/Report.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"
import * as RunLinks from "../../layers/files/RunLinks.ts"
import * as Checkpoints from "../../layers/run/Checkpoints.ts"
import * as FailedBatch from "../../layers/run/FailedBatch.ts"
import * as FidelityResults from "../../layers/run/FidelityResults.ts"
import * as Notes from "../../layers/run/Notes.ts"
import * as Results from "../../layers/run/Results.ts"
import { Environment, evaluationsOf, type Row } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Figures from "./Figures.ts"
import * as Rows from "./Rows.ts"
import type { Figure, Run, StageState, State } from "./Run.ts"
import { NoRun, type RunFolderError, within } from "./RunFolderError.ts"
import * as Timings from "./Timings.ts"

const CONFIG = "config.json"
const LOG = "log.jsonl"
const TIMINGS = "timings.jsonl"

type Io = FileSystem.FileSystem | Path.Path

const parseJson = Schema.decodeEffect(Json.text(Schema.Json))
const parseEnvironment = Schema.decodeEffect(Json.text(Environment))
const parseReport = Schema.decodeEffect(Report.ReportJson)

const Optimizer = Schema.Struct({
  optimizer: Schema.Struct({
    batchSize: Schema.Int,
    unit: Schema.String,
    duration: Schema.Int
  })
})

/** Returns the length and the batches of a stage, as a run's configuration says. A length in epochs gives no steps. */
export const lengthOf = (config: Json.Json, stage: string): { readonly total?: number; readonly batchSize?: number } => {
  const [kind = stage] = stage.split("-", 1)
  const known = Json.isObject(config) ? config : {}
  const key = Object.keys(known).find((name) => name === stage) ?? Object.keys(known).find((name) => name.startsWith(kind))
  const found = Schema.decodeUnknownOption(Optimizer)(key === undefined ? undefined : known[key])
  if (Option.isNone(found)) return {}
  const { batchSize, duration, unit } = found.value.optimizer
  return { batchSize, ...(unit === "steps" ? { total: duration } : {}) }
}

/** Names damaged lines, the first ones of many. */
const linesOf = (damaged: ReadonlyArray<number>): string => {
  const named = damaged.slice(0, 3).join(", ")
  if (damaged.length > 3) return `lines ${named} and ${damaged.length - 3} more cannot be read`
  return `${damaged.length === 1 ? "line" : "lines"} ${named} cannot be read`
}

/** The stages in a run folder. */
interface Parts {
  readonly checkpoints: ReadonlyMap<string, ReadonlyArray<number>>
  /** Stages with their weights and their digests. */
  readonly finished: ReadonlySet<string>
  /** The failed steps of stages whose batches are kept. */
  readonly failed: ReadonlyMap<string, number>
  /** True if the run is a demo: it is done when its report is there. */
  readonly isDemo: boolean
}

type Parse = (text: string) => Effect.Effect<ReadonlyArray<Figure>, Results.NoResult>

const parseResult: Parse = (text) => Effect.map(Results.parse(text), (result) => [Figures.ofResult(result)])
const parseFidelity: Parse = (text) => Effect.map(FidelityResults.parse(text), Figures.ofFidelity)

/** Returns the function that reads the figures of a file of results; undefined for other files. */
const parserOf = (name: string): Parse | undefined => {
  const isOf = (verbs: ReadonlyArray<string>) => verbs.some((verb) => name.startsWith(`${verb}-`))
  if (!name.endsWith(".json")) return undefined
  return isOf(Results.Verb.literals) ? parseResult : isOf(FidelityResults.Verb.literals) ? parseFidelity : undefined
}

/** Reads what may be missing, or about to be replaced. Other failures are told, and `otherwise` is returned. */
type Tolerant = <A, R>(self: Effect.Effect<A, Files.FileError, R>, otherwise: A) => Effect.Effect<A, never, R>

const partsOf = Effect.fnUntraced(function*({ fs, path }: Files.Files, run: string, tolerant: Tolerant) {
  const namesIn = (folder: string) =>
    tolerant(Files.onFailure(folder)(fs.readDirectory(folder)), [])
  const folder = path.join(run, "checkpoints")
  const reader = yield* Checkpoints.reading(folder)
  const checkpoints = new Map<string, ReadonlyArray<number>>()
  for (const stage of yield* namesIn(folder)) {
    const steps = yield* Effect.orElseSucceed(reader.steps(stage), (): ReadonlyArray<number> => [])
    if (steps.length > 0) checkpoints.set(stage, steps)
  }
  const names = yield* namesIn(path.join(run, "stages"))
  const saved = names.filter((name) => name.endsWith(".safetensors")).map((name) => name.slice(0, -12))
  const failed = new Map<string, number>()
  for (const name of yield* namesIn(path.join(run, "stages", FailedBatch.FOLDER))) {
    const one = FailedBatch.of(name)
    if (one !== undefined) failed.set(one.stage, Math.max(failed.get(one.stage) ?? 0, one.step))
  }
  const parts: Parts = {
    checkpoints,
    finished: new Set(saved.filter((stage) => names.includes(`${stage}.json`))),
    failed,
    isDemo: names.some((name) => name.endsWith("-seconds.json"))
  }
  return parts
})

/** Reads what weights learned from. Weights that tell nothing, or cannot be read, are no reason to show no run. */
const teacherOf = Effect.fnUntraced(function*(file: string): Effect.fn.Return<StageState["taughtBy"], never, Io> {
  const known = Option.getOrUndefined(yield* Effect.orElseSucceed(Weights.readProvenance(file), Option.none))
  const { teacher, teacherDigest: digest } = known ?? {}
  return teacher === undefined || digest === undefined ? undefined : { teacher, digest }
})

const metricsOf = ({ stage: _, step: __, ...rest }: Row): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(rest).flatMap(([name, value]) => typeof value === "number" ? [[name, value]] : []))

const stageOf = (
  stage: string,
  about: {
    readonly parts: Parts
    readonly timed: Timings.Timed | undefined
    readonly last: Row | undefined
    readonly evaluation: Row | undefined
    readonly config: Json.Json
    readonly running: boolean
    readonly taughtBy: StageState["taughtBy"]
    readonly continuedFrom: StageState["continuedFrom"]
  }
): StageState => {
  const { config, continuedFrom, evaluation, last, parts, running, taughtBy, timed } = about
  const checkpoints = parts.checkpoints.get(stage) ?? []
  const configured = lengthOf(config, stage)
  const step = Math.max(last?.step ?? 0, timed?.step ?? 0, checkpoints.at(-1) ?? 0)
  const finished = parts.finished.has(stage)
  const total = finished ? step : timed?.total ?? configured.total
  const failedAt = parts.failed.get(stage)
  const failed = !finished && !running && failedAt !== undefined && failedAt > step
  const batchSize = timed?.batchSize ?? configured.batchSize
  const each = timed?.secondsPerStep
  return {
    stage,
    state: finished ? "finished" : running ? "running" : failed ? "failed" : "stopped",
    step,
    ...(total === undefined || total === 0 ? {} : { total }),
    ...(timed === undefined ? {} : { seconds: timed.seconds }),
    ...(each === undefined || each === 0 || batchSize === undefined ? {} : { imagesPerSecond: batchSize / each }),
    ...(finished || failed || each === undefined || total === undefined ? {} : { secondsLeft: Math.max(0, total - step) * each }),
    checkpoints,
    ...(failed ? { failedAt } : {}),
    ...(last === undefined ? {} : { last: metricsOf(last) }),
    ...(evaluation === undefined ? {} : { evaluation: { step: evaluation.step, ...metricsOf(evaluation) } }),
    ...(taughtBy === undefined ? {} : { taughtBy }),
    ...(continuedFrom === undefined ? {} : { continuedFrom })
  }
}

const stateOf = (stages: ReadonlyArray<StageState>, facts: {
  readonly isHeld: boolean
  readonly isDone: boolean
}): State => {
  if (facts.isHeld) return "running"
  if (stages.some(({ state }) => state === "failed")) return "failed"
  const done = facts.isDone && stages.length > 0 && stages.every(({ state }) => state === "finished")
  return done ? "finished" : "stopped"
}

const iso = (milliseconds: number): string => DateTime.formatIso(DateTime.makeUnsafe(milliseconds))

/**
 * Reads a run. Of a long log it reads the end alone, so it is quick. Files that are damaged are told in `problems`, and the rest of
 * the run is returned.
 *
 * Fails with `NoRun` if the folder holds none, and with `FileError` if it is not there or cannot be read.
 */
export const read = Effect.fn("patchword.Registry.read")(
  function*(run: string): Effect.fn.Return<Run, Files.FileError | NoRun, Io> {
    const files = yield* Files.make
    const { fs, path, readText } = files
    const at = (name: string) => path.join(run, name)
    const names = yield* Files.onFailure(run)(fs.readDirectory(run))
    if (!RunLinks.isRun(names)) return yield* new NoRun()
    const problems: Array<string> = []
    const tolerant: Tolerant = (self, otherwise) =>
      Effect.catch(self, ({ finding, kind }) =>
        Effect.sync(() => {
          if (kind !== "missing") problems.push(finding)
          return otherwise
        }))
    const parsed = <A>(
      name: string,
      parse: (text: string) => Effect.Effect<A, Schema.SchemaError | Results.NoResult>,
      remedy: string
    ) =>
      tolerant<string | undefined, never>(readText(at(name)), undefined).pipe(
        Effect.flatMap((text) => text === undefined ? Effect.succeed(undefined) : parse(text)),
        Effect.catch((error) =>
          Effect.sync(() => {
            const problem = error._tag === "NoResult" ? error.problem : Explain.of(error)
            problems.push(`${name} is damaged (${problem}); ${remedy}`)
            return undefined
          })
        )
      )
    const told = (name: string, damaged: ReadonlyArray<number>, remedy: string) => {
      if (damaged.length > 0) problems.push(`${name} is damaged (${linesOf(damaged)}); ${remedy}`)
    }
    const config = (yield* parsed(CONFIG, parseJson, "restore it, because the run does not go on without it")) ?? {}
    const environment = (yield* parsed("environment.json", parseEnvironment, "restore it, or remove it")) ?? {}
    const report = yield* parsed("report.json", parseReport, "run the demo on this folder again, which writes it anew")
    const folder = at(Results.FOLDER)
    const kept = yield* tolerant(Files.onFailure(folder)(fs.readDirectory(folder)), [])
    const measured = yield* Effect.forEach(kept.toSorted(), (name) => {
      const parse = parserOf(name)
      return parse === undefined
        ? Effect.succeed(undefined)
        : parsed(path.join(Results.FOLDER, name), parse, "remove it, and evaluate again")
    })
    const noted = yield* tolerant(
      Notes.read(run),
      { tags: [], notes: [], damaged: [] }
    )
    told(Notes.FILE, noted.damaged, "remove these lines")
    const log = yield* tolerant(Rows.last(fs, at(LOG)), Rows.none)
    // Only the whole file tells the numbers of lines.
    const whole = log.damaged.length === 0 ? log : yield* tolerant(Rows.all(fs, at(LOG)), Rows.none)
    told(LOG, whole.damaged, "restore them or remove them, because the run does not go on with them")
    const timings = yield* tolerant(Rows.all(fs, at(TIMINGS)), Rows.none)
    told(TIMINGS, timings.damaged, "remove them; times and speeds lack what they held")
    const timed = Timings.summary(timings.rows)
    const parts = yield* partsOf(files, run, tolerant)
    const owner = Option.getOrUndefined(yield* tolerant(Lock.owner(files, run), Option.none()))
    const isHeld = owner !== undefined && owner.alive !== false

    const { computedOn = [], continuedFrom = {}, ...machine } = environment
    const seen = [...timed.keys(), ...log.rows.map(({ stage }) => stage), ...parts.checkpoints.keys(), ...parts.finished]
    const evaluations = new Set(seen.map(evaluationsOf))
    const order = Json.isObject(config) ? Object.keys(config) : []
    const rank = (stage: string): number => {
      const place = order.findIndex((key) => key.startsWith(stage.split("-", 1)[0]!))
      return place === -1 ? order.length : place
    }
    const known = [...new Set(seen)].filter((stage) => !evaluations.has(stage)).toSorted((a, b) => rank(a) - rank(b))
    const newest = log.rows.findLast(({ stage }) => known.includes(stage))?.stage
    const taught = yield* Effect.forEach(known, (stage) =>
      parts.finished.has(stage)
        ? teacherOf(at(path.join("stages", `${stage}.safetensors`)))
        : Effect.succeed(undefined))
    const stages = known.map((stage, i) =>
      stageOf(stage, {
        parts,
        timed: timed.get(stage),
        last: log.rows.findLast((row) => row.stage === stage),
        evaluation: log.rows.findLast((row) => row.stage === evaluationsOf(stage)),
        config,
        running: isHeld && stage === newest,
        taughtBy: taught[i],
        continuedFrom: Option.getOrUndefined(Record.get(continuedFrom, stage))
      })
    )
    const changed = yield* Effect.forEach([LOG, TIMINGS, CONFIG], (name) =>
      Effect.map(Effect.option(fs.stat(at(name))), (info) =>
        Option.match(Option.flatMap(info, ({ mtime }) => mtime), { onNone: () => 0, onSome: (date) => date.getTime() })))
    const began = [...timed.values()].flatMap((one) => one.began ?? []).reduce((a, b) => Math.min(a, b), Infinity)
    const found: Run = {
      path: run,
      state: stateOf(stages, { isHeld, isDone: !parts.isDemo || names.includes("report.json") }),
      ...(owner === undefined ? {} : { owner }),
      ...(began === Infinity ? {} : { began: iso(began) }),
      changed: iso(changed.reduce((a, b) => Math.max(a, b), 0)),
      seconds: stages.reduce((sum, { seconds = 0 }) => sum + seconds, 0),
      stages,
      figures: Figures.join(measured.flatMap((figures) => figures ?? []), report),
      config,
      machine,
      computedOn,
      tags: noted.tags,
      notes: noted.notes,
      problems
    }
    return found
  },
  (self, run): Effect.Effect<Run, RunFolderError, Io> => within(run)(self)
)
