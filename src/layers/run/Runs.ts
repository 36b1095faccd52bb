/**
 * A run folder: everything that a run writes, so that it can be resumed, compared and shown.
 *
 * | file | holds |
 * | --- | --- |
 * | `config.json` | the configuration; a folder is refused to any other one |
 * | `environment.json` | Node.js, machine and package versions with which the run was begun; on what its stages were computed |
 * | `log.jsonl` | one row per logged step; equal for a resumed and for an unbroken run, so it holds no times |
 * | `timings.jsonl` | wall-clock figures in the order in which they were measured, repeated steps included |
 * | `checkpoints/` | see `Checkpoints` |
 * | `stages/` | the result and the weights of every finished stage, by which a resumed run skips it |
 * | `results/` | what evaluations found; see `Results` |
 * | `report.json`, `report.html` | what the demo shows of them |
 * | `lock` | the process that uses the folder |
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
import { Context, DateTime, Effect, type FileSystem, Layer, Option, type Path, Runtime, Schema } from "effect"
import { findPackageJSON } from "node:module"
import * as os from "node:os"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { version } from "../../domain/values/Version.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import * as Weights from "../weights/Weights.ts"
import * as Checkpoints from "./Checkpoints.ts"

export { Locked } from "../files/Lock.ts"

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

/** The folder belongs to a run with another configuration. Exits with 73. */
export class OtherConfig extends Schema.TaggedError<OtherConfig>()("OtherConfig", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  override get message() {
    return `it belongs to a run with another config (${Json.showDifferences(this.differences)}); ` +
      "ask for that config to go on with this run, or choose another folder, where --from or --tokenizer take over " +
      "what a stage of this one has learned"
  }
}

/** The folder holds something else than a run. Exits with 73. */
export class NotARun extends Schema.TaggedError<NotARun>()("NotARun", { found: Schema.Array(Schema.String) }) {
  override readonly [Runtime.errorExitCode] = 73
  override get message() {
    return `it holds ${this.found.slice(0, 3).join(", ")}${this.found.length > 3 ? ", …" : ""} but no config.json, ` +
      "so it is no run folder; choose an empty or a new folder"
  }
}

/** A file of the folder is not what was written. Exits with 65. */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.file} is damaged (${this.problem}); restore it, or begin again in another folder`
  }
}

/** Why a run folder cannot be used. The exit code is that of the reason. */
export class RunsError extends Schema.TaggedError<RunsError>()("RunsError", {
  directory: Schema.String,
  reason: Schema.Union([OtherConfig, NotARun, Lock.Locked, Unreadable, Files.FileError, Weights.WeightsError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return `run folder ${this.directory}: ${this.reason.message}`
  }
}

const CONFIG = "config.json"
const ENVIRONMENT = "environment.json"
const LOG = "log.jsonl"
const TIMINGS = "timings.jsonl"
const stageResult = (stage: string) => `stages/${stage}.json`
const stageWeights = (stage: string) => `stages/${stage}.safetensors`

const parseJson = Schema.decodeEffect(Json.text(Schema.Json))
/** What `environment.json` holds. */
export const Environment = Schema.StructWithRest(
  Schema.Struct({ computedOn: Schema.optionalKey(Schema.Array(ComputedOn.ComputedOn)) }),
  [Schema.Record(Schema.String, Schema.Json)]
)

const parseRow = Schema.decodeEffect(Json.text(Row))
const pretty = (value: Json.Json): string => `${JSON.stringify(value, null, 2)}\n`
const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

/** Where a run keeps its files, by names relative to its folder. */
interface Store {
  readonly directory: Option.Option<string>
  readonly read: (name: string) => Effect.Effect<Option.Option<string>, Files.FileError>
  readonly write: (name: string, text: string) => Effect.Effect<void, Files.FileError>
  readonly append: (name: string, text: string) => Effect.Effect<void, Files.FileError>
  readonly readWeights: (name: string) => Effect.Effect<Option.Option<Weights.Weights>, Weights.WeightsError>
  readonly writeWeights: (name: string, weights: Weights.Weights) => Effect.Effect<void, Weights.WeightsError>
  readonly writeBatch: (name: string, batch: Weights.Weights) => Effect.Effect<void, Weights.WeightsError>
}

const wrap = (directory: string) =>
  Effect.mapError((reason: RunsError["reason"]) => new RunsError({ directory, reason }))

const readJson = Effect.fnUntraced(function*(store: Store, name: string) {
  const text = yield* store.read(name)
  if (Option.isNone(text)) return Option.none()
  return Option.some(
    yield* parseJson(text.value).pipe(
      Effect.mapError((error) => new Unreadable({ file: name, problem: error.message }))
    )
  )
})

/** What was the environment, and on what the run has computed so far. */
const readEnvironment = Effect.fnUntraced(function*(store: Store) {
  const text = yield* readJson(store, ENVIRONMENT)
  if (Option.isNone(text)) return Option.none()
  const { computedOn = [], ...machine } = yield* Schema.decodeUnknownEffect(Environment)(text.value).pipe(
    Effect.mapError((error) => new Unreadable({ file: ENVIRONMENT, problem: error.message }))
  )
  return Option.some({ computedOn, machine })
})

const fromStore = (store: Store): Context.Service.Shape<typeof Runs> => {
  const { directory } = store
  const place = Option.getOrElse(directory, () => "in memory")
  const wrapped = wrap(place)

  const rows = Effect.gen(function*() {
    const text = Option.getOrElse(yield* store.read(LOG), () => "")
    return yield* Effect.forEach(lines(text), (line, index) =>
      parseRow(line).pipe(
        Effect.map((row) => ({ line, row })),
        Effect.mapError((error) => new Unreadable({ file: `${LOG}, line ${index + 1},`, problem: error.message }))
      ))
  })

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
    computesOn: Effect.fn("Runs.computesOn")(function*(now: ComputedOn.ComputedOn) {
      const known = yield* readEnvironment(store)
      const { computedOn: before, machine } = Option.getOrElse(known, () => ({ computedOn: [], machine: {} }))
      const last = before.at(-1)
      const change = last && ComputedOn.change(last, now)
      if (last !== undefined && change === undefined) return
      yield* store.write(ENVIRONMENT, pretty({ ...machine, computedOn: [...before, ComputedOn.of(now)] }))
      if (change !== undefined) yield* Effect.logWarning(`run folder ${place}: ${change}`)
    }, wrapped),
    computedOn: wrapped(
      Effect.map(readEnvironment(store), Option.match({ onNone: () => [], onSome: ({ computedOn }) => computedOn }))
    ),
    rewind: Effect.fn("Runs.rewind")(function*(stage: string, step: number) {
      const all = yield* rows
      const kept = all.filter(({ row }) => row.stage !== stage || row.step < step)
      if (kept.length < all.length) yield* store.write(LOG, kept.map(({ line }) => `${line}\n`).join(""))
      return kept.filter(({ row }) => row.stage === stage).length
    }, wrapped),
    readLog: wrapped(Effect.map(rows, (all) => all.map(({ row }) => row))),
    result: Effect.fn("Runs.result")((stage: string) => wrapped(readJson(store, stageResult(stage)))),
    done: Effect.fn("Runs.done")((stage: string, result: Json.Json) =>
      wrapped(store.write(stageResult(stage), pretty(result)))
    ),
    weights: Effect.fn("Runs.weights")((stage: string) => wrapped(store.readWeights(stageWeights(stage)))),
    saveWeights: Effect.fn("Runs.saveWeights")((stage: string, weights: Weights.Weights) =>
      wrapped(store.writeWeights(stageWeights(stage), weights))
    ),
    saveBatch: Effect.fn("Runs.saveBatch")((name: string, batch: Weights.Weights) =>
      wrapped(store.writeBatch(stageWeights(name), batch))
    ),
    writeReport: Effect.fn("Runs.writeReport")(
      function*(json: Json.Json, html: string) {
        yield* store.write("report.json", pretty(json))
        yield* store.write("report.html", html)
      },
      Effect.uninterruptible,
      wrapped
    )
  }
}

const PACKAGES = [
  "effect",
  "@effect/platform-node",
  "@tensorflow/tfjs",
  "@tensorflow/tfjs-node",
  "onnxruntime-node",
  "sharp",
  "pure-rand"
]

const Manifest = Json.text(Schema.Struct({ version: Schema.String }))

/** The machine and the versions that matter for the numbers. Packages that are not installed are left out. */
const environment = Effect.fnUntraced(function*({ fs }: Files.Files) {
  const versions = yield* Effect.forEach(
    PACKAGES,
    (name) =>
      Effect.try({ try: () => findPackageJSON(name, import.meta.url), catch: () => undefined }).pipe(
        Effect.flatMap((file) => file === undefined ? Effect.fail(undefined) : fs.readFileString(file)),
        Effect.flatMap(Schema.decodeEffect(Manifest)),
        Effect.map((manifest) => [[name, manifest.version]] as const),
        Effect.catch(() => Effect.succeed([]))
      )
  )
  const cpus = os.cpus()
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    packages: { patchword: version, ...Object.fromEntries(versions.flat()) }
  } satisfies Json.Json
})

const folderStore = (
  files: Files.Files,
  context: Context.Context<FileSystem.FileSystem | Path.Path>,
  directory: string
): Store => {
  const { fs, path } = files
  const at = (name: string) => path.join(directory, name)
  return {
    directory: Option.some(directory),
    read: (name) => Files.ifThere(files.readText(at(name))),
    write: (name, text) => files.write(at(name), text),
    append: (name, text) => Files.onFailure(at(name))(fs.writeFileString(at(name), text, { flag: "a" })),
    readWeights: (name) =>
      Weights.read(at(name)).pipe(
        Effect.map(Option.some),
        Effect.catchIf(
          ({ reason }) => reason._tag === "FileError" && reason.kind === "missing",
          () => Effect.succeedNone
        ),
        Effect.provideContext(context)
      ),
    writeWeights: (name, weights) => Effect.provideContext(Weights.write(at(name), weights), context),
    writeBatch: (name, batch) => Effect.provideContext(Weights.writeBatch(at(name), batch), context)
  }
}

const memoryStore = (): Store => {
  const texts = new Map<string, string>()
  const weights = new Map<string, Weights.Weights>()
  return {
    directory: Option.none(),
    read: (name) => Effect.sync(() => Option.fromNullishOr(texts.get(name))),
    write: (name, text) => Effect.sync(() => void texts.set(name, text)),
    append: (name, text) => Effect.sync(() => void texts.set(name, (texts.get(name) ?? "") + text)),
    readWeights: (name) => Effect.sync(() => Option.fromNullishOr(weights.get(name))),
    writeWeights: (name, value) => Effect.sync(() => void weights.set(name, value)),
    writeBatch: (name, value) => Effect.sync(() => void weights.set(name, value))
  }
}

/** Creates the folder, or reopens it if it is of the same configuration. */
const open = Effect.fnUntraced(function*(directory: string, config: Json.Json) {
  const files = yield* Files.make
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const { fs, path } = files
  const store = folderStore(files, context, directory)

  yield* fs.makeDirectory(directory, { recursive: true })
  const names = yield* fs.readDirectory(directory)
  const found = names.filter((name) => !name.startsWith(Lock.NAME) && !name.startsWith(".tmp-"))
  if (!found.includes(CONFIG) && found.length > 0) return yield* new NotARun({ found: found.toSorted() })
  yield* Lock.hold(files, directory)
  yield* files.sweep(directory)

  // First of all: a folder without a config is no run.
  const own = yield* readJson(store, CONFIG)
  if (Option.isNone(own)) yield* store.write(CONFIG, pretty(config))
  else {
    const differences = Json.differences(own.value, config)
    if (differences.length > 0) return yield* new OtherConfig({ differences })
  }
  yield* fs.makeDirectory(path.join(directory, "stages"), { recursive: true })
  yield* files.sweep(path.join(directory, "stages"))

  const now = yield* environment(files)
  const before = yield* readEnvironment(store)
  if (Option.isNone(before)) yield* store.write(ENVIRONMENT, pretty(now))
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
}, (self, directory) => self.pipe(Files.onFailure(directory), wrap(directory)))

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
  /** The result of a stage, if it is finished. */
  readonly result: (stage: string) => Effect.Effect<Option.Option<Json.Json>, RunsError>
  /** Marks a stage as finished; its weights must have been saved before. */
  readonly done: (stage: string, result: Json.Json) => Effect.Effect<void, RunsError>
  /** The weights that a stage ended with, if they were saved. */
  readonly weights: (stage: string) => Effect.Effect<Option.Option<Weights.Weights>, RunsError>
  readonly saveWeights: (stage: string, weights: Weights.Weights) => Effect.Effect<void, RunsError>
  /** Keeps the batch of a failed step beside the weights, whatever it holds. */
  readonly saveBatch: (name: string, batch: Weights.Weights) => Effect.Effect<void, RunsError>
  readonly writeReport: (json: Json.Json, html: string) => Effect.Effect<void, RunsError>
}>()("patchword/layers/Runs") {}

/**
 * A run folder and its checkpoints, on any file system: created, or reopened if it is of the same configuration, and
 * locked against other processes for as long as the layer lives.
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
  Checkpoints.layerNoDeps(`${directory}/checkpoints`, options).pipe(
    Layer.provideMerge(Layer.effect(Runs, open(directory, options.config)))
  )

/** A run and its checkpoints in memory, for tests and for programs that keep no files. */
export const layerMemory = (options?: Checkpoints.Options): Layer.Layer<Runs | Checkpoints.Checkpoints> =>
  Layer.merge(Layer.sync(Runs, () => fromStore(memoryStore())), Checkpoints.layerMemory(options))

/** A run folder and its checkpoints on this machine; see `layerNoDeps`. */
export const layer = (
  directory: string,
  options: Options
): Layer.Layer<Runs | Checkpoints.Checkpoints, RunsError | Checkpoints.CheckpointsError> =>
  layerNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))
