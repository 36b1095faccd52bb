/**
 * A run folder holds everything that a run writes. So the run can be resumed, compared and shown.
 *
 * | file | holds |
 * | --- | --- |
 * | `config.json` | the configuration; the folder is refused for any other one, except for stages that have not begun |
 * | `environment.json` | versions of Node.js and packages, and the machine, at the beginning of the run; the engines that computed its stages; the states that these continued from |
 * | `log.jsonl` | one row per logged step; a resumed run has the same rows as an unbroken one, so there are no times |
 * | `timings.jsonl` | wall-clock figures in the order of their measurement, with those of repeated steps |
 * | `checkpoints/` | see `Checkpoints` |
 * | `programs/` | the programs that the engine XLA compiled for the run, so that it goes on with the same ones |
 * | `image-lists/` | lists of the files of image folders, so that the next start need not list them again |
 * | `stages/` | the result and the weights of every finished stage; a resumed run skips these stages |
 * | `results/` | results of evaluations; see `Results` and `FidelityResults` |
 * | `completion/` | a few completed images of each split; see `CompletionSample` |
 * | `atlas/` | what the codes of the tokenizer mean: `index.json`, arrays, and pictures of patches; `scan.safetensors` while it is made |
 * | `health.json` | the last diagnosis of `patchword doctor` |
 * | `look/` | pictures of what the networks see; see `LookFolder` |
 * | `report.json`, `report.html` | the demo's report on them |
 * | `samples/` | some images of the present batch of each stage, with their masks and codes; see `SampleBatch` |
 * | `notes.jsonl` | tags and notes of people; see `Notes` |
 * | `lock` | the process that uses the folder; after a taking by force `lock-2`, `lock-3`, …, see {@link Options} |
 *
 * A run that has done nothing leaves no folder: it has no row, no checkpoint and no result.
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
  Exit,
  type FileSystem,
  Layer,
  Option,
  type Path,
  type PlatformError,
  Schema,
  type Scope
} from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import type * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as CompiledPrograms from "../files/CompiledPrograms.ts"
import { Fences } from "../files/Fence.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import type * as Weights from "../weights/Weights.ts"
import * as Checkpoints from "./Checkpoints.ts"
import * as FailedBatch from "./FailedBatch.ts"
import * as Results from "./Results.ts"
import * as RunEnvironment from "./RunEnvironment.ts"
import * as RunKeeper from "./RunKeeper.ts"
import {
  FolderGone,
  NotARun,
  OtherConfig,
  type RunsError,
  StageBusy,
  Unreadable,
  within,
  withinOrWeights
} from "./RunsError.ts"
import * as RunStore from "./RunStore.ts"
import * as StageName from "./StageName.ts"

export { Superseded } from "../files/Fence.ts"
export { Locked, TakeOver } from "../files/Lock.ts"
export { Environment } from "./RunEnvironment.ts"
export { FolderGone, NotARun, OtherConfig, RunsError, StageBusy, Unreadable } from "./RunsError.ts"
export { StageNameInvalid } from "./StageName.ts"

/** A row of the log: the metrics of one step of a stage. Numbers that are not finite are written as `null`. */
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

/** Returns the name under which the log has the evaluations of a stage during its training. */
export const evaluationsOf = (stage: string): string => `${stage}-validation`

const CONFIG = "config.json"
const CHECKPOINTS = "checkpoints"
/** Folder of a run for the results and the weights of finished stages. */
export const STAGES = "stages"
/** Folder of a run for some images of the present batch of each stage. */
export const SAMPLES = "samples"
/** Folder of a run for compiled programs. */
const PROGRAMS = "programs"

/** Folder of a run for lists of image files. */
export const IMAGE_LISTS = "image-lists"

/** The only files of a run that has done nothing, in the order of their removal: without the last, the folder is not a run. */
const BLANK: ReadonlyArray<string> = [
  PROGRAMS,
  IMAGE_LISTS,
  CHECKPOINTS,
  STAGES,
  RunEnvironment.ENVIRONMENT,
  CONFIG
]

const LOG = "log.jsonl"
const TIMINGS = "timings.jsonl"
const stageResult = (stage: string) => `${STAGES}/${stage}.json`
const stageWeights = (stage: string) => `${STAGES}/${stage}.safetensors`

const parseRow = Schema.decodeEffect(Json.text(Row))
const pretty = (value: Json.Json): string => `${JSON.stringify(value, null, 2)}\n`
const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

const ofStage = <A, E, R>(self: Effect.Effect<A, E, R>, stage: string) =>
  Effect.andThen(Effect.annotateCurrentSpan("patchword.stage", stage), self)

/** Checks the stage's name, for operations on files of a stage. */
const inFiles = <A, E, R>(self: Effect.Effect<A, E, R>, stage: string) =>
  ofStage(Effect.andThen(StageName.check(stage), self), stage)

const fromStore = (
  store: RunStore.RunStore,
  { begin, store: keep }: RunKeeper.RunKeeper = RunKeeper.NOBODY
): Context.Service.Shape<typeof Runs> => {
  const { directory } = store
  const place = Option.getOrElse(directory, () => "in memory")
  const wrapped = within(place)
  const weighed = withinOrWeights(place)

  const rows = Effect.gen(function*() {
    const text = Option.getOrElse(yield* store.read(LOG), () => "")
    return yield* Effect.forEach(lines(text), (line, index) =>
      parseRow(line).pipe(
        Effect.map((row) => ({ line, row })),
        Effect.mapError((error) => new Unreadable({ file: LOG, problem: `line ${index + 1}: ${Explain.of(error)}` }))
      ))
  })

  const environment = Effect.map(
    RunEnvironment.read(store),
    Option.getOrElse(() => ({ computedOn: [], continuedFrom: {}, machine: {} }))
  )

  // A row is written as a whole, because half a line would corrupt the next one.
  const append = (name: string, { stage, step, ...rest }: Row) =>
    store.append(name, `${JSON.stringify({ stage, step, ...rest })}\n`).pipe(
      // A file that is missing is made, so only its folder can be.
      Effect.catchIf(
        (error) => error._tag === "FileError" && error.kind === "missing",
        () => Effect.fail(new FolderGone())
      )
    )

  const busy = new Set<string>()
  const training = (stage: string) =>
    Effect.acquireRelease(
      Effect.suspend(() =>
        busy.has(stage) ? Effect.fail(new StageBusy({ stage })) : Effect.sync(() => void busy.add(stage))
      ),
      () => Effect.sync(() => busy.delete(stage))
    )

  return {
    directory,
    training: (stage) => wrapped(training(stage)),
    log: (row) => wrapped(append(LOG, row)),
    timing: Effect.fnUntraced(function*(row: Row) {
      const at = DateTime.formatIso(yield* DateTime.now)
      yield* append(TIMINGS, { ...row, at })
    }, wrapped),
    computesOn: Effect.fn("patchword.Runs.computesOn")(function*(now: ComputedOn.ComputedOn) {
      // The first step may take minutes, and the engine is known in most runs.
      yield* begin
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
    flush: wrapped(store.flush(LOG)),
    done: Effect.fn("patchword.Runs.done")(
      (stage: string, result: Json.Json) =>
        store.flush(LOG).pipe(Effect.andThen(store.write(stageResult(stage), pretty(result))), Effect.andThen(keep)),
      inFiles,
      wrapped
    ),
    weights: Effect.fn("patchword.Runs.weights")(
      (stage: string) => store.readWeights(stageWeights(stage)),
      (self, name) =>
        inFiles(self, name.startsWith(`${FailedBatch.FOLDER}/`) ? name.slice(FailedBatch.FOLDER.length + 1) : name),
      weighed
    ),
    saveWeights: Effect.fn("patchword.Runs.saveWeights")(
      (stage: string, weights: Weights.Weights) => store.writeWeights(stageWeights(stage), weights),
      inFiles,
      weighed
    ),
    saveBatch: Effect.fn("patchword.Runs.saveBatch")(
      (stage: string, step: number, batch: Weights.Weights) => {
        const name = FailedBatch.nameOf(stage, step)
        return Effect.as(Effect.andThen(store.writeBatch(stageWeights(name), batch), keep), name)
      },
      inFiles,
      weighed
    ),
    saveSample: Effect.fn("patchword.Runs.saveSample")(
      (stage: string, batch: Weights.Weights) => store.writeBatch(`${SAMPLES}/${stage}.safetensors`, batch),
      inFiles,
      weighed
    ),
    writeReport: Effect.fn("patchword.Runs.writeReport")(
      function*(json: Json.Json, html: string) {
        yield* store.write("report.json", pretty(json))
        yield* store.write("report.html", html)
        yield* keep
      },
      Effect.uninterruptible,
      wrapped
    )
  }
}

/** Tests whether the folders of a run for checkpoints and stages hold nothing. */
const holdsNothing = (
  { fs, path }: Files.Files,
  directory: string,
  names: ReadonlyArray<string>
): Effect.Effect<boolean, PlatformError.PlatformError> =>
  Effect.map(
    Effect.forEach(
      [CHECKPOINTS, STAGES].filter((name) => names.includes(name)),
      (name) => fs.readDirectory(path.join(directory, name))
    ),
    (inside) => inside.every(({ length }) => length === 0)
  )

/** Tests whether nothing was done in a run folder. */
const isBlank = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string
): Effect.fn.Return<boolean, PlatformError.PlatformError> {
  const names = yield* files.fs.readDirectory(directory)
  // Many programs have a config.json. Files that patchword did not write are never removed.
  if (!names.includes(STAGES) || !names.includes(RunEnvironment.ENVIRONMENT)) return false
  return names.every((name) => BLANK.includes(name) || Lock.isLock(name)) &&
    (yield* holdsNothing(files, directory, names))
})

/** Tests whether a folder holds no more than a start or an end of a run can leave that was killed. */
const isRest = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string,
  names: ReadonlyArray<string>
): Effect.fn.Return<boolean, PlatformError.PlatformError> {
  return names.every((name) => name === CHECKPOINTS || name === STAGES) &&
    (yield* holdsNothing(files, directory, names))
})

/** Returns the members of the configuration whose stages have left a checkpoint, weights or a result in a run folder. */
const begun = Effect.fnUntraced(function*(
  { fs, path }: Files.Files,
  directory: string,
  stages: Readonly<Record<string, string>>
): Effect.fn.Return<ReadonlyArray<string>, PlatformError.PlatformError> {
  const namesIn = Effect.fnUntraced(function*(name: string) {
    const folder = path.join(directory, name)
    return (yield* fs.exists(folder)) ? (yield* fs.readDirectory(folder)).filter((one) => !one.startsWith(".")) : []
  })
  const saved = yield* Effect.filter(
    yield* namesIn(CHECKPOINTS),
    (stage) => Effect.map(namesIn(path.join(CHECKPOINTS, stage)), ({ length }) => length > 0)
  )
  const left = [...saved, ...yield* namesIn(STAGES), ...yield* namesIn(Results.FOLDER)]
  // Stages of one configuration have names such as `finetune` and `finetune-random`, and their files endings.
  return Object.entries(stages).flatMap(([member, stage]) =>
    left.some((name) => name === stage || /^[-.]/.test(name.slice(stage.length)) && name.startsWith(stage))
      ? [member]
      : []
  )
})

/** Replaces members of a configuration by those of another one. */
const replaced = (config: Json.Json, by: Json.Json, keys: ReadonlyArray<string>): Json.Json =>
  Json.isObject(config) && Json.isObject(by)
    ? { ...config, ...Object.fromEntries(keys.flatMap((key) => by[key] === undefined ? [] : [[key, by[key]]])) }
    : config

/** Creates the folder, or opens it again for the same configuration. */
const open = Effect.fnUntraced(function*(directory: string, { config, stages = {}, ...given }: Options) {
  const takeOver = given.takeOver ?? (yield* Lock.TakeOver)
  // A taking by force replaces an own fence, if this very program held the folder.
  const others = (yield* Fences).filter(({ folder }) => folder !== directory)
  const outer = yield* Effect.provideService(Files.make, Fences, others)
  const { fs, path } = outer

  const existed = yield* fs.exists(directory)
  const discard = yield* outer.beginFolder(directory)
  const names = yield* fs.readDirectory(directory)
  const found = names.filter((name) => !Lock.isLock(name) && !name.startsWith(".tmp-"))
  if (!found.includes(CONFIG) && !(yield* isRest(outer, directory, found))) {
    return yield* new NotARun({ found: found.toSorted() })
  }
  const fence = yield* Lock.hold(outer, directory, { force: takeOver })
  const fences = [...others, fence]
  const context = Context.add(yield* Effect.context<FileSystem.FileSystem | Path.Path>(), Fences, fences)
  const files = yield* Effect.provideContext(Files.make, context)
  const store = yield* RunStore.folder(files, context, directory, [LOG, TIMINGS])
  if (fence.number > 1) yield* files.expel(directory, fence.number)
  yield* files.sweep(directory)
  const remove = (names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => fs.remove(path.join(directory, name), { recursive: true, force: true }), {
      discard: true
    })
  // Its files are of a process that was killed before it did anything. They are replaced.
  const isNew = yield* isBlank(files, directory)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(fence.check, isBlank(files, directory)).pipe(
      Effect.flatMap((blank) => {
        if (!blank) return Effect.void
        return existed
          ? remove(BLANK)
          : discard
      }),
      Effect.ignore
    )
  )

  // The configuration is written first, because a folder without it is not a run.
  const own = isNew ? Option.none() : yield* RunStore.readJson(store, CONFIG)
  if (Option.isNone(own)) yield* store.write(CONFIG, pretty(config))
  else {
    const started = yield* begun(files, directory, stages)
    const others = Object.keys(stages).filter((member) => !started.includes(member))
    const now = replaced(own.value, config, others)
    const differences = Json.differences(now, config)
    if (differences.length > 0) return yield* new OtherConfig({ differences })
    const changes = Json.differences(own.value, now)
    if (changes.length > 0) {
      yield* store.write(CONFIG, pretty(now))
      // A command that is refused later, say for its images, changes nothing.
      yield* Effect.addFinalizer((exit) =>
        Exit.isSuccess(exit) ? Effect.void : begun(files, directory, stages).pipe(
          Effect.flatMap((started) =>
            store.write(
              CONFIG,
              pretty(replaced(now, own.value, others.filter((member) => !started.includes(member))))
            )
          ),
          Effect.ignore
        )
      )
      yield* Effect.logInfo(
        `run folder ${directory}: takes other settings for what has not begun (${Json.showChanges(changes)})`
      )
    }
  }
  yield* files.makeFolder(path.join(directory, STAGES))
  for (const { name, type } of yield* fs.readDirectoryEntries(directory)) {
    if (type === "Directory") yield* files.sweep(path.join(directory, name))
  }
  yield* Files.ifThere(files.sweep(path.join(directory, STAGES, FailedBatch.FOLDER)))

  const now = yield* RunEnvironment.here(files)
  const before = isNew ? Option.none() : yield* RunEnvironment.read(store)
  if (Option.isNone(before)) yield* store.write(RunEnvironment.ENVIRONMENT, pretty(now))
  else {
    const differences = Json.differences(before.value.machine, now)
    if (differences.length > 0) {
      yield* Effect.logWarning(
        `run folder ${directory}: the environment has changed since the run began, so numbers can differ ` +
          `(${differences.map(({ asked, key, stored }) => `${key}: ${stored} then, ${asked} now`).join("; ")})`
      )
    }
  }

  // A process that was killed during a write leaves an incomplete line. An older owner may still write to the former file. A loss of
  // power can leave zeros in place of what was not flushed, and these rows are repeated.
  for (const name of [LOG, TIMINGS]) {
    const found = yield* store.read(name)
    const text = Option.getOrElse(found, () => "")
    const [written = ""] = text.split("\0", 1)
    const whole = written.slice(0, written.lastIndexOf("\n") + 1)
    if (whole.length < text.length || (Option.isSome(found) && fence.number > 1)) yield* store.write(name, whole)
  }
  const keeper = yield* RunKeeper.of(directory)
  return Context.make(Runs, fromStore(RunStore.kept(store, keeper), keeper)).pipe(
    Context.add(Fences, fences),
    Context.add(CompiledPrograms.Folders, [`${directory}/${PROGRAMS}`])
  )
}, (self, directory) => self.pipe(Files.onFailure(directory), within(directory)))

/** Options of a run folder. */
export interface Options extends Checkpoints.Options {
  /** Configuration of the whole run. */
  readonly config: Json.Json
  /**
   * The members of the configuration that are the settings of stages or of evaluations, each with the first word of the names of
   * these: `{ segmentation: "segment" }` is of `segment` and of `segment-frozen`. The folder takes other settings for those that
   * have left nothing in it.
   */
  readonly stages?: Readonly<Record<string, string>>
  /**
   * Takes the folder from any owner, also from one of another machine or one that is stopped; default `TakeOver`. The former owner
   * can write nothing more into the folder: it fails with `FileError` of the kind `superseded` (see `Files.isSuperseded`). It is
   * for programs that distribute work and know that the owner has lost its right, say because its lease has run out. People
   * wait for the other process, or end it.
   */
  readonly takeOver?: boolean
}

/** The folder of one run. */
export class Runs extends Context.Service<Runs, {
  /** Path of the folder; none for a run in memory. */
  readonly directory: Option.Option<string>
  /** Marks a stage as being trained until the scope closes. Fails with `StageBusy` if it is marked already. */
  readonly training: (stage: string) => Effect.Effect<void, RunsError, Scope.Scope>
  /** Adds a row to the log. Rows must not hold wall-clock figures; those go to `timing`. */
  readonly log: (row: Row) => Effect.Effect<void, RunsError>
  /**
   * Flushes the log to the disk. A checkpoint is saved after it, because a row that is lost with the power is repeated only if the
   * checkpoint is from before.
   */
  readonly flush: Effect.Effect<void, RunsError>
  /** Adds a row to the timings, with the present time as `at`. */
  readonly timing: (row: Row) => Effect.Effect<void, RunsError>
  /**
   * Removes the rows of a stage at `step` and later from the log. A resumed stage calls it with the first step that it
   * repeats. The log is then equal to that of an unbroken run.
   *
   * @returns the number of rows of the stage that are left.
   */
  readonly rewind: (stage: string, step: number) => Effect.Effect<number, RunsError>
  readonly readLog: Effect.Effect<ReadonlyArray<Row>, RunsError>
  /** Records the engine that the run uses from now on. Logs a warning if it differs from the engine before. */
  readonly computesOn: (now: ComputedOn.ComputedOn) => Effect.Effect<void, RunsError>
  /** Returns the engines that the run was computed on, in order. It is empty for runs of earlier versions. */
  readonly computedOn: Effect.Effect<ReadonlyArray<ComputedOn.ComputedOn>, RunsError>
  /** Records the state that a stage continues from. */
  readonly continues: (stage: string, from: ContinuedFrom.ContinuedFrom) => Effect.Effect<void, RunsError>
  /** Returns the result of a stage, if the stage is finished. */
  readonly result: (stage: string) => Effect.Effect<Option.Option<Json.Json>, RunsError>
  /** Marks a stage as finished. Its weights must have been saved before. */
  readonly done: (stage: string, result: Json.Json) => Effect.Effect<void, RunsError>
  /** Returns the final weights of a stage, if they were saved. With a name from `saveBatch`, returns that batch. */
  readonly weights: (stage: string) => Effect.Effect<Option.Option<Weights.Weights>, RunsError | Weights.WeightsError>
  readonly saveWeights: (
    stage: string,
    weights: Weights.Weights
  ) => Effect.Effect<void, RunsError | Weights.WeightsError>
  /** Saves the batch of a failed step next to the weights, also if it holds NaN or infinity. Returns its name there. */
  readonly saveBatch: (
    stage: string,
    step: number,
    batch: Weights.Weights
  ) => Effect.Effect<string, RunsError | Weights.WeightsError>
  /** Saves some images of a stage's present batch, for those who look at the run. They replace the former ones. */
  readonly saveSample: (
    stage: string,
    batch: Weights.Weights
  ) => Effect.Effect<void, RunsError | Weights.WeightsError>
  readonly writeReport: (json: Json.Json, html: string) => Effect.Effect<void, RunsError>
}>()("patchword/layers/Runs") {}

/**
 * Opens a run folder and its checkpoints, on any file system. The folder is created, or opened again for the same
 * configuration. It is locked against other processes while the layer lives. If nothing was done, nothing is left.
 *
 * Fails with `OtherConfig` if the folder belongs to another configuration (see {@link Options}), with `NotARun` if it holds no run, and with
 * `Locked` if it is in use.
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
    Layer.provideMerge(Layer.effectContext(open(directory, options)))
  )

/** Keeps a run and its checkpoints in memory, for tests and for programs without files. */
export const layerMemory = (options?: Checkpoints.Options): Layer.Layer<Runs | Checkpoints.Checkpoints> =>
  Layer.merge(Layer.sync(Runs, () => fromStore(RunStore.memory())), Checkpoints.layerMemory(options))

/** Opens a run folder and its checkpoints on this machine; see `layerNoDeps`. */
export const layer = (
  directory: string,
  options: Options
): Layer.Layer<Runs | Checkpoints.Checkpoints, RunsError | Checkpoints.CheckpointsError> =>
  layerNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))
