/**
 * Checkpoints: the full state of a stage, so that an interrupted stage continues as if it had never stopped.
 *
 * A checkpoint is a folder `<stage>/step-00000400` with `weights.safetensors`, `optimizer.safetensors` and `state.json`.
 * The folder is written under a temporary name, flushed to the disk and renamed: a process that is killed at any moment
 * leaves the old or the new checkpoint. `state.json` records the SHA-256 of the other files and of itself. A damaged
 * checkpoint is an error. It is never skipped, because that would lose steps silently.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Option } from "effect"
 * import { Checkpoints, Weights } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const checkpoints = yield* Checkpoints.Checkpoints
 *   const request = { stage: "pretrain", config: { lr: 0.001 }, dataDigest: "d" }
 *   yield* checkpoints.save({ ...request, configDigest: "c", step: 400, epoch: 3, computedOn: [], weights: {}, optimizer: {}, extra: {} })
 *   const latest = yield* checkpoints.latest(request)
 *   assert.strictEqual(Option.getOrThrow(latest).step, 400)
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Checkpoints.layerMemory())))
 * ```
 */
import { Context, Effect, type FileSystem, Layer, Option, type Path, Ref, Runtime, Schema } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { version } from "../../domain/values/Version.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../files/Files.ts"
import type { Tensors } from "../weights/Weights.ts"
import * as RunKeeper from "./RunKeeper.ts"
import * as StageName from "./StageName.ts"

/** The stage, configuration and data that a checkpoint belongs to. */
export interface Request {
  readonly stage: string
  readonly config: Json.Json
  readonly dataDigest: string
}

/** The full state of a stage after `step` steps. */
export interface Snapshot extends Request {
  /** Number of training steps so far. */
  readonly step: number
  /** Epoch of the next step. */
  readonly epoch: number
  readonly configDigest: string
  /** The engines that computed the steps. They are unknown for checkpoints of earlier versions. */
  readonly computedOn: ComputedOn.History
  readonly weights: Tensors
  readonly optimizer: Tensors
  /** Counters and sums of metrics. Numbers must be finite. */
  readonly extra: Json.Json
}

/** A file of a checkpoint differs from what was saved. */
export class Damaged extends TaggedError<Damaged>()("Damaged", {
  folder: Schema.String,
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.folder}: ${this.file} is damaged (${this.problem})`
  }
  get remedy() {
    return "delete this folder to continue from the checkpoint before it, or from the beginning if there is none"
  }
}

/** The checkpoint was saved under another configuration or from other data. */
export class Foreign extends TaggedError<Foreign>()("Foreign", {
  folder: Schema.String,
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `${this.folder}: the checkpoint belongs to another run (${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "use its settings to continue from it, delete the folder to start the stage again, or choose another run folder"
  }
}

/** There is no checkpoint of this step. */
export class Missing extends TaggedError<Missing>()("Missing", {
  folder: Schema.String,
  steps: Schema.Array(Schema.Int)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `${this.folder}: there is no such checkpoint`
  }
  get remedy() {
    return this.steps.length === 0 ? "train the stage first" : `choose from the saved steps ${this.steps.join(", ")}`
  }
}

/** A checkpoint cannot be saved or loaded. The exit code is that of the reason. */
export class CheckpointsError extends TaggedError<CheckpointsError>()("CheckpointsError", {
  reason: Schema.Union([Damaged, Foreign, Missing, StageName.StageNameInvalid, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { reason } = this
    return reason._tag === "StageNameInvalid" ? reason.finding : `checkpoint ${reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

const WEIGHTS = "weights.safetensors"
const OPTIMIZER = "optimizer.safetensors"
const STATE = "state.json"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const State = Schema.Struct({
  format: Schema.Literal(1),
  version: Schema.String,
  stage: Schema.String,
  step: Count,
  epoch: Count,
  configDigest: Schema.String,
  dataDigest: Schema.String,
  computedOn: Schema.optionalKey(ComputedOn.History),
  files: Schema.Struct({ [WEIGHTS]: Schema.String, [OPTIMIZER]: Schema.String }),
  config: Schema.Json,
  extra: Schema.Json
})

const Sealed = Json.text(Schema.Struct({ sha256: Schema.String, state: Schema.JsonObject }), { space: 2 })

/**
 * Returns the differences between two digests of a stage's data: images, the teacher, tokenizer or first weights, and the images
 * that choose the best network.
 */
export const dataDifferences = (stored: string, asked: string): ReadonlyArray<Json.Difference> => {
  const of = (digest: string) => {
    const [images = "", source, validation] = digest.split(" ")
    return {
      images,
      ...(source === undefined ? {} : { "teacher, tokenizer or first weights": source }),
      ...(validation === undefined ? {} : { "validation images": validation })
    }
  }
  return Json.differences(of(stored), of(asked))
}

const checkOwner = (folder: string, stored: Request, asked: Request): Effect.Effect<void, CheckpointsError> => {
  const differences = [
    ...Json.differences(stored.config, asked.config),
    ...dataDifferences(stored.dataDigest, asked.dataDigest)
  ]
  return differences.length === 0
    ? Effect.void
    : Effect.fail(new CheckpointsError({ reason: new Foreign({ folder, differences }) }))
}

const folderName = (step: number): string => `step-${String(step).padStart(8, "0")}`

const FOLDER = /^step-(\d{8,})$/

const failed = (reason: CheckpointsError["reason"]): CheckpointsError => new CheckpointsError({ reason })

type Shape = Context.Service.Shape<typeof Checkpoints>

const newest = (steps: Shape["steps"], load: Shape["load"]): Shape["latest"] =>
  Effect.fn("patchword.Checkpoints.latest")(function*(request) {
    yield* Effect.annotateCurrentSpan("patchword.stage", request.stage)
    const step = (yield* steps(request.stage)).at(-1)
    return step === undefined ? Option.none() : Option.some(yield* load({ ...request, step }))
  })

/** Options of checkpoints. */
export interface Options {
  /** Number of checkpoints that are kept per stage; default 2. Older ones are removed after each save. */
  readonly keep?: number
}

/** The checkpoints of one run. */
export class Checkpoints extends Context.Service<Checkpoints, {
  /**
   * Saves a checkpoint atomically, then removes the oldest ones beyond `keep`. Fails with `FileError`. The older
   * checkpoints then stay intact.
   */
  readonly save: (snapshot: Snapshot) => Effect.Effect<void, CheckpointsError>
  /**
   * Loads the newest checkpoint of a stage, if there is one. Fails with `Damaged` if it is damaged, and with `Foreign` if
   * it was saved under another configuration or from other data.
   */
  readonly latest: (request: Request) => Effect.Effect<Option.Option<Snapshot>, CheckpointsError>
  /** Loads the checkpoint of one step. Fails with `Missing` if there is none, else as `latest` does. */
  readonly load: (request: Request & { readonly step: number }) => Effect.Effect<Snapshot, CheckpointsError>
  /** Loads the checkpoint of one step, for any configuration and data. Fails with `Missing` or `Damaged`. */
  readonly read: (stage: string, step: number) => Effect.Effect<Snapshot, CheckpointsError>
  /** Returns the steps at which a stage has checkpoints, in ascending order. */
  readonly steps: (stage: string) => Effect.Effect<ReadonlyArray<number>, CheckpointsError>
  /** Removes all checkpoints of a stage. Fails with `FileError`. */
  readonly clear: (stage: string) => Effect.Effect<void, CheckpointsError>
}>()("patchword/layers/Checkpoints") {}

/** Reads the checkpoints of a folder without any change to it. */
const reader = (files: Files.Files, directory: string) => {
  const { fs, path } = files
  const at = (stage: string, step: number) => path.join(directory, stage, folderName(step))
  const steps = Effect.fn("patchword.Checkpoints.steps")(function*(stage: string) {
    yield* Effect.annotateCurrentSpan("patchword.stage", stage)
    yield* StageName.check(stage)
    const folder = path.join(directory, stage)
    if (!(yield* fs.exists(folder))) return []
    return (yield* fs.readDirectory(folder))
      .flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
      .map(Number)
      .filter(Number.isSafeInteger)
      .toSorted((a, b) => a - b)
  }, (self, stage) => self.pipe(Files.onFailure(path.join(directory, stage)), Effect.mapError(failed)))
  /** Reads a checkpoint. `check` can refuse it before its tensors are read. */
  const read = Effect.fn("patchword.Checkpoints.load")(function*(
    stage: string,
    step: number,
    check: (stored: Request, folder: string) => Effect.Effect<void, CheckpointsError> = () => Effect.void
  ) {
    yield* Effect.annotateCurrentSpan({ "patchword.stage": stage, "patchword.step": step })
    yield* StageName.check(stage)
    const folder = at(stage, step)
    if (!(yield* Files.onFailure(folder)(fs.exists(folder)))) {
      return yield* new Missing({ folder, steps: yield* steps(stage) })
    }
    const damaged = (file: string, problem: string) => new Damaged({ folder, file, problem })
    // A file that exists but cannot be read (permissions, a failing disk) is not damaged.
    const unreadable = (file: string) => (error: Files.FileError | Safetensors.SafetensorsError) =>
      error instanceof Files.FileError && error.kind !== "missing" ? error : damaged(file, error.finding)

    const sealed = yield* files.readText(path.join(folder, STATE)).pipe(
      Effect.mapError(unreadable(STATE)),
      Effect.flatMap((text) =>
        Effect.mapError(Schema.decodeEffect(Sealed)(text), (error) => damaged(STATE, error.message))
      )
    )
    if (Files.sha256(Json.canonical(sealed.state)) !== sealed.sha256) {
      return yield* damaged(STATE, "it does not have the SHA-256 that it records")
    }
    const state = yield* Schema.decodeUnknownEffect(State)(sealed.state).pipe(
      Effect.mapError((error) => damaged(STATE, error.message))
    )
    if (state.stage !== stage || state.step !== step) {
      return yield* damaged(STATE, `it is of step ${state.step} of ${state.stage}`)
    }
    yield* check(state, folder)
    const tensors = Effect.fnUntraced(function*(file: typeof WEIGHTS | typeof OPTIMIZER) {
      const read = yield* Effect.mapError(files.readTensors(path.join(folder, file)), unreadable(file))
      return read.sha256 === state.files[file]
        ? read.tensors
        : yield* damaged(file, `it does not have the SHA-256 that ${STATE} records`)
    })
    const { computedOn = [], files: _files, format: _format, version: _version, ...rest } = state
    const snapshot: Snapshot = {
      ...rest,
      computedOn,
      weights: yield* tensors(WEIGHTS),
      optimizer: yield* tensors(OPTIMIZER)
    }
    return snapshot
  }, Effect.mapError((error) => error instanceof CheckpointsError ? error : failed(error)))
  return { at, steps, read }
}

/** Reads the checkpoints of another run without any change to it. That run may be in progress. */
export const reading = (
  directory: string
): Effect.Effect<Pick<Shape, "steps" | "read">, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Files.make, (files) => {
    const { read, steps } = reader(files, directory)
    return { steps, read }
  })

/**
 * Keeps checkpoints in a folder, on any file system. Only one process at a time may write. The lock of the run folder
 * ensures this.
 */
export const layerNoDeps = (
  directory: string,
  options: Options = {}
): Layer.Layer<Checkpoints, CheckpointsError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Checkpoints,
    Effect.gen(function*() {
      const files = yield* Files.make
      const { fs, path } = files
      const { at, read, steps } = reader(files, directory)
      const { store: keep } = yield* RunKeeper.of(directory)

      const save = Effect.fn("patchword.Checkpoints.save")(function*(snapshot: Snapshot) {
        const { computedOn, config, configDigest, dataDigest, epoch, extra, optimizer, stage, step, weights } = snapshot
        yield* Effect.annotateCurrentSpan({ "patchword.stage": stage, "patchword.step": step })
        yield* StageName.check(stage)
        yield* files.writeFolder(
          at(stage, step),
          Effect.fnUntraced(function*(folder) {
            const digests = {
              [WEIGHTS]: yield* files.writeParts(path.join(folder, WEIGHTS), Safetensors.encodeParts(weights)),
              [OPTIMIZER]: yield* files.writeParts(path.join(folder, OPTIMIZER), Safetensors.encodeParts(optimizer))
            }
            const state = State.make({
              format: 1,
              version,
              stage,
              step,
              epoch,
              configDigest,
              dataDigest,
              computedOn,
              files: digests,
              config,
              extra
            })
            const text = Schema.encodeSync(Sealed)({ sha256: Files.sha256(Json.canonical(state)), state })
            yield* files.writeParts(path.join(folder, STATE), [new TextEncoder().encode(text)])
          })
        )
        const older = (yield* steps(stage)).filter((saved) => saved !== step)
        for (const old of older.slice(0, Math.max(0, older.length - (options.keep ?? 2) + 1))) {
          yield* files.removeFolder(at(stage, old))
        }
        yield* keep
      }, Effect.mapError((error) => error instanceof CheckpointsError ? error : failed(error)))

      const load: Shape["load"] = (request) =>
        read(request.stage, request.step, (state, folder) => checkOwner(folder, state, request))

      yield* Effect.gen(function*() {
        yield* files.makeFolder(directory)
        for (const { name, type } of yield* fs.readDirectoryEntries(directory)) {
          if (type === "Directory") yield* files.sweep(path.join(directory, name))
        }
      }).pipe(Files.onFailure(directory), Effect.mapError(failed))

      const clear = Effect.fn("patchword.Checkpoints.clear")(function*(stage: string) {
        yield* Effect.annotateCurrentSpan("patchword.stage", stage)
        yield* StageName.check(stage)
        const folder = path.join(directory, stage)
        if (yield* Files.onFailure(folder)(fs.exists(folder))) yield* files.removeFolder(folder)
        yield* keep
      }, Effect.mapError((error) => error instanceof CheckpointsError ? error : failed(error)))

      return Checkpoints.of({
        save,
        latest: newest(steps, load),
        load,
        read: (stage, step) => read(stage, step),
        steps,
        clear
      })
    })
  )

/** Keeps checkpoints in memory, for tests and for runs without files. */
export const layerMemory = (options: Options = {}): Layer.Layer<Checkpoints> =>
  Layer.effect(
    Checkpoints,
    Effect.gen(function*() {
      const saved = yield* Ref.make<ReadonlyArray<Snapshot>>([])
      const of = (stage: string) =>
        Effect.andThen(Effect.mapError(StageName.check(stage), failed), Ref.get(saved)).pipe(
          Effect.map((all) => all.filter((one) => one.stage === stage).toSorted((a, b) => a.step - b.step))
        )
      const steps = (stage: string) => Effect.map(of(stage), (all) => all.map(({ step }) => step))
      const save = Effect.fnUntraced(function*(snapshot: Snapshot) {
        yield* Effect.mapError(StageName.check(snapshot.stage), failed)
        yield* Ref.update(saved, (all) => {
          const own = all.filter(({ stage, step }) => stage === snapshot.stage && step !== snapshot.step)
            .toSorted((a, b) => a.step - b.step)
          const rest = all.filter(({ stage }) => stage !== snapshot.stage)
          return [...rest, ...own.slice(Math.max(0, own.length - (options.keep ?? 2) + 1)), structuredClone(snapshot)]
        })
      })
      const nameOf = (stage: string, step: number) => `${stage}/${folderName(step)}`
      const read = Effect.fnUntraced(function*(stage: string, step: number) {
        const snapshot = (yield* of(stage)).find((one) => one.step === step)
        if (snapshot !== undefined) return structuredClone(snapshot)
        return yield* failed(new Missing({ folder: nameOf(stage, step), steps: yield* steps(stage) }))
      })
      const load: Shape["load"] = (request) =>
        Effect.tap(
          read(request.stage, request.step),
          (snapshot) => checkOwner(nameOf(request.stage, request.step), snapshot, request)
        )
      const clear = (stage: string) =>
        Effect.andThen(
          Effect.mapError(StageName.check(stage), failed),
          Ref.update(saved, (all) => all.filter((one) => one.stage !== stage))
        )
      return Checkpoints.of({ save, latest: newest(steps, load), load, read, steps, clear })
    })
  )

/** Keeps checkpoints in a folder of this machine. */
export const layer = (directory: string, options?: Options): Layer.Layer<Checkpoints, CheckpointsError> =>
  layerNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))
