/**
 * A run folder: everything that a run writes, so that it can be resumed, compared and shown.
 *
 * | file | holds |
 * | --- | --- |
 * | `config.json` | the configuration; a folder is refused to any other one |
 * | `environment.json` | Node.js, machine and package versions with which the run was begun; on what its stages were computed, and from which states they went on |
 * | `log.jsonl` | one row per logged step; equal for a resumed and for an unbroken run, so it holds no times |
 * | `timings.jsonl` | wall-clock figures in the order in which they were measured, repeated steps included |
 * | `checkpoints/` | see `Checkpoints` |
 * | `image-lists/` | lists of the files of image folders, so that the next start need not list them again |
 * | `stages/` | the result and the weights of every finished stage, by which a resumed run skips it |
 * | `results/` | what evaluations found; see `Results` |
 * | `report.json`, `report.html` | what the demo shows of them |
 * | `lock` | the process that uses the folder |
 *
 * A run in which nothing was done leaves no folder: no row, no checkpoint, no result.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Runs } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* Runs.Runs
 *   yield* run.log({ stage: "pretrain", step: 1, loss: 6.2 })
 *   yield* run.log({ stage: "pretrain", step: 2, loss: 6.1 })
 *   yield* run.rewind("pretrain", 2)
 *   assert.deepStrictEqual(yield* run.readLog, [{ stage: "pretrain", step: 1, loss: 6.2 }])
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Runs.layerMemory())))
 * ```
 */
import {
  Context,
  DateTime,
  Effect,
  type FileSystem,
  Layer,
  Option,
  type Path,
  type PlatformError,
  Schema
} from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import type * as Weights from "../weights/Weights.ts"
import * as Checkpoints from "./Checkpoints.ts"
import * as RunEnvironment from "./RunEnvironment.ts"
import { NotARun, OtherConfig, type RunsError, Unreadable, within, withinOrWeights } from "./RunsError.ts"
import * as RunStore from "./RunStore.ts"
import * as StageName from "./StageName.ts"

export { Locked } from "../files/Lock.ts"
export { Environment } from "./RunEnvironment.ts"
export { NotARun, OtherConfig, RunsError, Unreadable } from "./RunsError.ts"
export { StageNameInvalid } from "./StageName.ts"

/** A row of the log: what was measured at one step of a stage. A number that is not finite is written as `null`. */
export const Row = Schema.StructWithRest(
  Schema.Struct({
    stage: Schema.String,
    step: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
  }),
  [
    Schema.Record(Schema.String, Schema.Json)
  ]
)
export type Row = typeof Row.Type

const CONFIG = "config.json"
const CHECKPOINTS = "checkpoints"
const STAGES = "stages"
/** Batches of failed steps. */
const REPLAY = "replay/"

/** The folder of a run that keeps lists of image files. */
export const IMAGE_LISTS = "image-lists"

/** A run in which nothing was done has nothing else. */
const BLANK: ReadonlyArray<string> = [CONFIG, RunEnvironment.ENVIRONMENT, CHECKPOINTS, STAGES, IMAGE_LISTS, Lock.NAME]

const LOG = "log.jsonl"
const TIMINGS = "timings.jsonl"
const stageResult = (stage: string) => `${STAGES}/${stage}.json`
const stageWeights = (stage: string) => `${STAGES}/${stage}.safetensors`

const parseRow = Schema.decodeEffect(Json.text(Row))
const pretty = (value: Json.Json): string => `${JSON.stringify(value, null, 2)}\n`
const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

const ofStage = <A, E, R>(self: Effect.Effect<A, E, R>, stage: string) =>
  Effect.andThen(Effect.annotateCurrentSpan("patchword.stage", stage), self)

/** For what has files of its own. */
const inFiles = <A, E, R>(self: Effect.Effect<A, E, R>, stage: string) =>
  ofStage(Effect.andThen(StageName.check(stage), self), stage)

const fromStore = (store: RunStore.RunStore): Context.Service.Shape<typeof Runs> => {
  const { directory } = store
  const place = Option.getOrElse(directory, () => "in memory")
  const wrapped = within(place)
  const weighed = withinOrWeights(place)

  const rows = Effect.gen(function*() {
    const text = Option.getOrElse(yield* store.read(LOG), () => "")
    return yield* Effect.forEach(lines(text), (line, index) =>
      parseRow(line).pipe(
        Effect.map((row) => ({ line, row })),
        Effect.mapError((error) => new Unreadable({ file: `${LOG}, line ${index + 1},`, problem: error.message }))
      ))
  })

  const environment = Effect.map(
    RunEnvironment.read(store),
    Option.getOrElse(() => ({ computedOn: [], continuedFrom: {}, machine: {} }))
  )

  // A row is there or not: half a line would spoil the next one.
  const append = (name: string, { stage, step, ...rest }: Row) =>
    Effect.uninterruptible(store.append(name, `${JSON.stringify({ stage, step, ...rest })}\n`))

  return {
    directory,
    log: (row) => wrapped(append(LOG, row)),
    timing: Effect.fnUntraced(function*(row: Row) {
      const at = DateTime.formatIso(yield* DateTime.now)
      yield* append(TIMINGS, { ...row, at })
    }, wrapped),
    computesOn: Effect.fn("patchword.Runs.computesOn")(function*(now: ComputedOn.ComputedOn) {
      const known = yield* environment
      const { computedOn: before } = known
      const last = before.at(-1)
      const change = last && ComputedOn.change(last, now)
      if (last !== undefined && change === undefined) return
      yield* RunEnvironment.write(store, { ...known, computedOn: [...before, ComputedOn.of(now)] })
      if (change !== undefined) yield* Effect.logWarning(`run folder ${place}: ${change}`)
    }, wrapped),
    computedOn: wrapped(Effect.map(environment, ({ computedOn }) => computedOn)),
    continues: Effect.fn("patchword.Runs.continues")(
      function*(stage: string, from: ContinuedFrom.ContinuedFrom) {
        const known = yield* environment
        const continuedFrom = { ...known.continuedFrom, [stage]: from }
        yield* RunEnvironment.write(store, { ...known, continuedFrom })
      },
      wrapped,
      ofStage
    ),
    rewind: Effect.fn("patchword.Runs.rewind")(
      function*(stage: string, step: number) {
        const all = yield* rows
        const kept = all.filter(({ row }) => row.stage !== stage || row.step < step)
        if (kept.length < all.length) yield* store.write(LOG, kept.map(({ line }) => `${line}\n`).join(""))
        return kept.filter(({ row }) => row.stage === stage).length
      },
      wrapped,
      ofStage
    ),
    readLog: wrapped(Effect.map(rows, (all) => all.map(({ row }) => row))),
    result: Effect.fn("patchword.Runs.result")(
      (stage: string) => RunStore.readJson(store, stageResult(stage)),
      inFiles,
      wrapped
    ),
    done: Effect.fn("patchword.Runs.done")(
      (stage: string, result: Json.Json) => store.write(stageResult(stage), pretty(result)),
      inFiles,
      wrapped
    ),
    weights: Effect.fn("patchword.Runs.weights")(
      (stage: string) => store.readWeights(stageWeights(stage)),
      (self, name) => inFiles(self, name.startsWith(REPLAY) ? name.slice(REPLAY.length) : name),
      weighed
    ),
    saveWeights: Effect.fn("patchword.Runs.saveWeights")(
      (stage: string, weights: Weights.Weights) => store.writeWeights(stageWeights(stage), weights),
      inFiles,
      weighed
    ),
    saveBatch: Effect.fn("patchword.Runs.saveBatch")(
      (stage: string, step: number, batch: Weights.Weights) => {
        const name = `${REPLAY}${stage}-step-${step}`
        return Effect.as(store.writeBatch(stageWeights(name), batch), name)
      },
      inFiles,
      weighed
    ),
    writeReport: Effect.fn("patchword.Runs.writeReport")(
      function*(json: Json.Json, html: string) {
        yield* store.write("report.json", pretty(json))
        yield* store.write("report.html", html)
      },
      Effect.uninterruptible,
      wrapped
    )
  }
}

/** Whether nothing was done in a run folder. */
const isBlank = Effect.fnUntraced(function*(
  { fs, path }: Files.Files,
  directory: string
): Effect.fn.Return<boolean, PlatformError.PlatformError> {
  const names = yield* fs.readDirectory(directory)
  // Many programs have a config.json: what was not written here is never removed.
  if (!names.includes(STAGES) || !names.includes(RunEnvironment.ENVIRONMENT)) return false
  if (!names.every((name) => BLANK.includes(name))) return false
  const kept = yield* Effect.forEach(
    [CHECKPOINTS, STAGES].filter((name) => names.includes(name)),
    (name) => fs.readDirectory(path.join(directory, name))
  )
  return kept.every((inside) => inside.length === 0)
})

/** Creates the folder, or reopens it if it is of the same configuration. */
const open = Effect.fnUntraced(function*(directory: string, config: Json.Json) {
  const files = yield* Files.make
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const { fs, path } = files
  const store = RunStore.folder(files, context, directory)

  const existed = yield* fs.exists(directory)
  yield* fs.makeDirectory(directory, { recursive: true })
  const names = yield* fs.readDirectory(directory)
  const found = names.filter((name) => !name.startsWith(Lock.NAME) && !name.startsWith(".tmp-"))
  if (!found.includes(CONFIG) && found.length > 0) return yield* new NotARun({ found: found.toSorted() })
  yield* Lock.hold(files, directory)
  yield* files.sweep(directory)
  const remove = (names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => fs.remove(path.join(directory, name), { recursive: true, force: true }), {
      discard: true
    })
  // A process that was killed before it did anything.
  if (yield* isBlank(files, directory)) yield* remove([CONFIG, RunEnvironment.ENVIRONMENT])
  yield* Effect.addFinalizer(() =>
    isBlank(files, directory).pipe(
      Effect.flatMap((blank) => {
        if (!blank) return Effect.void
        return existed
          ? remove(BLANK.filter((name) => name !== Lock.NAME))
          : Effect.ignore(files.removeFolder(directory))
      }),
      Effect.ignore
    )
  )

  // First of all: a folder without a config is no run.
  const own = yield* RunStore.readJson(store, CONFIG)
  if (Option.isNone(own)) yield* store.write(CONFIG, pretty(config))
  else {
    const differences = Json.differences(own.value, config)
    if (differences.length > 0) return yield* new OtherConfig({ differences })
  }
  yield* fs.makeDirectory(path.join(directory, STAGES), { recursive: true })
  yield* files.sweep(path.join(directory, STAGES))

  const now = yield* RunEnvironment.here(files)
  const before = yield* RunEnvironment.read(store)
  if (Option.isNone(before)) yield* store.write(RunEnvironment.ENVIRONMENT, pretty(now))
  else {
    const differences = Json.differences(before.value.machine, now)
    if (differences.length > 0) {
      yield* Effect.logWarning(
        `run folder ${directory}: the environment has changed since the run began, so its numbers may too ` +
          `(${differences.map(({ asked, key, stored }) => `${key}: ${stored} then, ${asked} now`).join("; ")})`
      )
    }
  }

  // A process killed while it appended a row leaves the beginning of a line.
  for (const name of [LOG, TIMINGS]) {
    const text = Option.getOrElse(yield* store.read(name), () => "")
    const whole = text.slice(0, text.lastIndexOf("\n") + 1)
    if (whole.length < text.length) yield* store.write(name, whole)
  }
  return Runs.of(fromStore(store))
}, (self, directory) => self.pipe(Files.onFailure(directory), within(directory)))

/** How a run folder is opened. */
export interface Options extends Checkpoints.Options {
  /** The configuration of the whole run. */
  readonly config: Json.Json
}

/** The folder of one run. */
export class Runs extends Context.Service<Runs, {
  /** The folder; none for a run in memory. */
  readonly directory: Option.Option<string>
  /** Adds a row to the log. Rows must not hold wall-clock figures: those go to `timing`. */
  readonly log: (row: Row) => Effect.Effect<void, RunsError>
  /** Adds a row to the timings, with the present time as `at`. */
  readonly timing: (row: Row) => Effect.Effect<void, RunsError>
  /**
   * Drops the rows of a stage at `step` and beyond from the log. Called with the first step that a resumed stage takes
   * again, it makes the log equal to that of a run which was never interrupted.
   *
   * @returns how many rows of the stage are left.
   */
  readonly rewind: (stage: string, step: number) => Effect.Effect<number, RunsError>
  readonly readLog: Effect.Effect<ReadonlyArray<Row>, RunsError>
  /** Keeps what the run is computed on from here on; warns when it is something else than before. */
  readonly computesOn: (now: ComputedOn.ComputedOn) => Effect.Effect<void, RunsError>
  /** What the run was computed on, one after another; nothing where an earlier version wrote the run. */
  readonly computedOn: Effect.Effect<ReadonlyArray<ComputedOn.ComputedOn>, RunsError>
  /** Keeps the state that a stage goes on from. */
  readonly continues: (stage: string, from: ContinuedFrom.ContinuedFrom) => Effect.Effect<void, RunsError>
  /** The result of a stage, if it is finished. */
  readonly result: (stage: string) => Effect.Effect<Option.Option<Json.Json>, RunsError>
  /** Marks a stage as finished; its weights must have been saved before. */
  readonly done: (stage: string, result: Json.Json) => Effect.Effect<void, RunsError>
  /** The weights that a stage ended with, if they were saved; or a batch, by the name that `saveBatch` gave it. */
  readonly weights: (stage: string) => Effect.Effect<Option.Option<Weights.Weights>, RunsError | Weights.WeightsError>
  readonly saveWeights: (
    stage: string,
    weights: Weights.Weights
  ) => Effect.Effect<void, RunsError | Weights.WeightsError>
  /** Keeps the batch of a failed step beside the weights, whatever it holds; gives its name there. */
  readonly saveBatch: (
    stage: string,
    step: number,
    batch: Weights.Weights
  ) => Effect.Effect<string, RunsError | Weights.WeightsError>
  readonly writeReport: (json: Json.Json, html: string) => Effect.Effect<void, RunsError>
}>()("patchword/layers/Runs") {}

/**
 * A run folder and its checkpoints, on any file system: created, or reopened if it is of the same configuration, and
 * locked against other processes for as long as the layer lives. Where nothing was done, nothing is left.
 *
 * Fails with 73 when the folder belongs to another configuration, holds no run, or is in use.
 */
export const layerNoDeps = (
  directory: string,
  options: Options
): Layer.Layer<
  Runs | Checkpoints.Checkpoints,
  RunsError | Checkpoints.CheckpointsError,
  FileSystem.FileSystem | Path.Path
> =>
  Checkpoints.layerNoDeps(`${directory}/${CHECKPOINTS}`, options).pipe(
    Layer.provideMerge(Layer.effect(Runs, open(directory, options.config)))
  )

/** A run and its checkpoints in memory, for tests and for programs that keep no files. */
export const layerMemory = (options?: Checkpoints.Options): Layer.Layer<Runs | Checkpoints.Checkpoints> =>
  Layer.merge(Layer.sync(Runs, () => fromStore(RunStore.memory())), Checkpoints.layerMemory(options))

/** A run folder and its checkpoints on this machine; see `layerNoDeps`. */
export const layer = (
  directory: string,
  options: Options
): Layer.Layer<Runs | Checkpoints.Checkpoints, RunsError | Checkpoints.CheckpointsError> =>
  layerNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))
