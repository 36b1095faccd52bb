/**
 * The results of stages, opened again: a tokenizer, a backbone or a classifier from a weights file or a run.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { Artifact } from "patchword/pipelines"
 *
 * const error = await Effect.runPromise(Effect.flip(Artifact.backbone("runs/none").pipe(Effect.provide(Files.layerNode))))
 * assert.match(error.message, /runs\/none/)
 * ```
 */
import { Effect, FileSystem, Option, Path, Runtime, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import type * as Model from "../../domain/config/Model.ts"
import type * as Json from "../../domain/values/Json.ts"
import * as Suggest from "../../domain/values/Suggest.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Network from "../trained/Network.ts"
import * as Segmenter from "../trained/Segmenter.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as ModelFolder from "./ModelFolder.ts"

/** The file does not name the model of its weights. */
export class NotAnArtifact extends TaggedError<NotAnArtifact>()("NotAnArtifact", {}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return "the file does not say which network its weights are of"
  }
  get remedy() {
    return "use a file that a stage of patchword wrote " +
      "(RUN/stages/STAGE.safetensors), or a folder in the layout of the Hugging Face Hub"
  }
}

/** The weights belong to another kind of model. */
export class OtherKind extends TaggedError<OtherKind>()("OtherKind", {
  expected: Schema.String,
  found: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `these are the weights of a ${this.found.toLowerCase()}, not of a ${this.expected.toLowerCase()}`
  }
  get remedy() {
    return "name another run, stage or file"
  }
}

/** A run has no weights of the kind. */
export class NotInRun extends TaggedError<NotInRun>()("NotInRun", {
  expected: Schema.String,
  stages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const stages = this.stages.length === 0 ? "no finished stage" : this.stages.join(", ")
    return `the run holds no ${this.expected.toLowerCase()} (it holds ${stages})`
  }
  get remedy() {
    return "finish the stage first, or name a file"
  }
}

/** A run has no finished stage of the name. */
export class NoStage extends TaggedError<NoStage>()("NoStage", {
  stage: Schema.String,
  /** The finished stages. */
  stages: Schema.Array(Schema.String),
  /** True if the stage has checkpoints. */
  begun: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const { begun, stage, stages } = this
    const held = stages.length === 0 ? "no finished stage" : stages.join(", ")
    return begun ? `the stage "${stage}" is not finished` : `the run has no stage "${stage}" (it holds ${held})`
  }
  get remedy() {
    if (this.begun) return "run the stage again to finish it"
    return this.stages.length === 0 ? "finish the stage first" : `choose ${Suggest.either(this.stages)}`
  }
}

/** A run has several models of the kind. */
export class SeveralInRun extends TaggedError<SeveralInRun>()("SeveralInRun", {
  expected: Schema.String,
  stages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the run holds more than one ${this.expected.toLowerCase()}`
  }
  get remedy() {
    return `name one: ${Suggest.either(this.stages.map((stage) => `RUN/${stage}`))}`
  }
}

/** The result of a stage cannot be opened. `reason` has the cause, and its exit code. */
export class ArtifactError extends TaggedError<ArtifactError>()("ArtifactError", {
  path: Schema.String,
  reason: Schema.Union([
    NotAnArtifact,
    OtherKind,
    NotInRun,
    NoStage,
    SeveralInRun,
    Config.ConfigError,
    Files.FileError,
    Tokenizer.OtherQuantizer
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { path, reason } = this
    return reason._tag === "FileError" ? reason.finding : `${path}: ${reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Tests whether a run holds several networks of the kind that was to be opened. */
export const isSeveral = (error: OpenError): error is ArtifactError & { readonly reason: SeveralInRun } =>
  error.reason._tag === "SeveralInRun"

/** The errors of opening a network. Errors with reasons of their own are not wrapped. */
export type OpenError = ArtifactError | ModelFolder.ModelFolderError | Weights.WeightsError

/**
 * A network with its weights, under their official names. It comes from a stage of a run, from a file that kept its header, or
 * from a folder in the layout of the Hugging Face Hub. Such a folder may have no provenance.
 */
export type Artifact<K extends Model.Kind = Model.Kind> = Extract<Model.Model, { readonly _tag: K }> & Given & {
  readonly tensors: Weights.Tensors
  readonly provenance?: Weights.Provenance
}

/** The part of a tokenizer that a file does not hold: a quantizer given in code. */
export type Given = Pick<Tokenizer.Tokenizer, "quantizer">

const ENDING = ".safetensors"

const kindOf = (known: Weights.Provenance | undefined): string | undefined => known?.model?._tag ?? known?.custom?.name

/** Lists the names of the finished stages of a run. */
const finishedOf = Effect.fnUntraced(function*(run: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.join(run, "stages")
  const there = yield* Files.onFailure(folder)(fs.exists(folder))
  const names = there ? yield* Files.onFailure(folder)(fs.readDirectory(folder)) : []
  return names.filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length)).toSorted()
})

/** Lists the finished stages of a run by name, with their models. */
const stagesOf = Effect.fnUntraced(function*(run: string) {
  return yield* Effect.forEach(
    yield* finishedOf(run),
    (stage) =>
      Effect.map(Effect.flatMap(fileOf(run, stage), Weights.readProvenance), (provenance) => ({
        stage,
        ours: Option.getOrUndefined(provenance)?.model !== undefined,
        kind: kindOf(Option.getOrUndefined(provenance))
      }))
  )
})

const fileOf = (run: string, stage: string) =>
  Effect.map(Path.Path, (path) => path.join(run, "stages", `${stage}${ENDING}`))

/** Returns the weights file of `RUN/STAGE`, and any other path as it is. Fails with `NoStage` if the run has no such stage. */
export const stageFile = Effect.fnUntraced(function*(given: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isThere = (file: string) => Effect.orElseSucceed(fs.exists(file), () => false)
  if (yield* isThere(given)) return given
  const [run, stage] = [path.dirname(given), path.basename(given)]
  const inRun = yield* fileOf(run, stage)
  if (yield* isThere(inRun)) return inRun
  const isRun = (yield* isThere(path.join(run, "config.json"))) && (yield* isThere(path.join(run, "stages")))
  if (!isRun) return given
  return yield* new NoStage({
    stage,
    stages: yield* finishedOf(run),
    begun: yield* isThere(path.join(run, "checkpoints", stage))
  })
})

/** Finds the file of a path: the file itself, the run's only stage of the kind, or `RUN/STAGE`. */
const locate = Effect.fnUntraced(function*(given: string, kind: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.option(fs.stat(given))
  if (Option.isNone(info) || info.value.type !== "Directory") return yield* stageFile(given)
  const stages = yield* stagesOf(given)
  const fitting = stages.filter((one) => kind === undefined ? one.ours : one.kind === kind)
  const [only, ...more] = fitting.map(({ stage }) => stage)
  const expected = kind ?? "Network"
  if (only === undefined) return yield* new NotInRun({ expected, stages: stages.map(({ stage }) => stage) })
  return more.length === 0
    ? yield* fileOf(given, only)
    : yield* new SeveralInRun({ expected, stages: [only, ...more] })
})

const within = (path: string) =>
  Effect.mapError((error: ArtifactError["reason"] | ModelFolder.ModelFolderError | Weights.WeightsError) =>
    error._tag === "ModelFolderError" || error._tag === "WeightsError"
      ? error
      : new ArtifactError({ path, reason: error })
  )

const inFile = Effect.fnUntraced(function*(file: string, { quantizer }: Given, expected = "network of BEiT v2") {
  const { provenance, tensors } = yield* Weights.read(file)
  const known = Option.getOrUndefined(provenance)
  if (known?.custom !== undefined) return yield* new OtherKind({ expected, found: known.custom.name })
  if (known?.model === undefined) return yield* new NotAnArtifact({})
  const { model } = known
  const official = yield* Weights.official(Weights.make(tensors), Network.namesOf(model), { source: file })
  const given = model._tag === "Tokenizer" && quantizer !== undefined ? { quantizer } : {}
  yield* Effect.fromResult(Network.check({ ...model, ...given }, official.tensors, file))
  return { ...model, ...given, tensors: official.tensors, provenance: known }
})

const opened = Effect.fnUntraced(function*<K extends Model.Kind>(
  given: string,
  kind: K | undefined,
  more: Given = {}
) {
  const inRun = Effect.flatMap(locate(given, kind), (file) => inFile(file, more, kind))
  const path = yield* Path.Path
  const folder = path.dirname(given)
  const found: Artifact = Option.isSome(yield* ModelFolder.weightsOf(given))
    ? yield* ModelFolder.read(given, more)
    : Option.contains(yield* ModelFolder.weightsOf(folder), path.join(folder, path.basename(given)))
    // The file alone does not say what the configuration beside it does; one of another network does not count.
    ? yield* Effect.catchIf(ModelFolder.read(folder, more), ({ reason }) => reason._tag === "OtherModel", () => inRun)
    : yield* inRun
  if (!isOf(found, kind)) return yield* new OtherKind({ expected: kind!, found: found._tag })
  return found as Artifact<K>
}, (self, given) => within(given)(self))

const isOf = (model: Model.Model, kind: Model.Kind | undefined): boolean => kind === undefined || model._tag === kind

/**
 * Opens the network at a path: a weights file, a run folder with one such stage, `RUN/STAGE`, or a folder in the layout of the
 * Hugging Face Hub.
 *
 * Fails with 66 if there is none, with 65 if the file is damaged, does not name its model, or holds other weights than the
 * model has, with 64 if the run holds several.
 */
export const open = (
  path: string
): Effect.Effect<Artifact, OpenError, FileSystem.FileSystem | Path.Path> => opened(path, undefined)

/**
 * Opens the tokenizer at a path. Fails as {@link open} does, and with 65 if it is another model, or was trained with a
 * quantizer that is not given.
 */
export const tokenizer = (
  path: string,
  given: Given = {}
): Effect.Effect<Artifact<"Tokenizer">, OpenError, FileSystem.FileSystem | Path.Path> =>
  opened(path, "Tokenizer", given)

/** Opens the backbone at a path. Fails as {@link tokenizer} does. */
export const backbone = (
  path: string
): Effect.Effect<Artifact<"Backbone">, OpenError, FileSystem.FileSystem | Path.Path> => opened(path, "Backbone")

/** Opens the classifier at a path. Fails as {@link tokenizer} does. */
export const classifier = (
  path: string
): Effect.Effect<Artifact<"Classifier">, OpenError, FileSystem.FileSystem | Path.Path> => opened(path, "Classifier")

/**
 * Opens the network at a path that a classifier can be trained from: its backbone, or else its classifier. Fails as {@link
 * backbone} does.
 */
export const trained = (
  path: string
): Effect.Effect<Artifact<"Backbone"> | Artifact<"Classifier">, OpenError, FileSystem.FileSystem | Path.Path> =>
  Effect.catchIf(
    backbone(path),
    ({ reason }) => reason._tag === "NotInRun" || (reason._tag === "OtherKind" && reason.found === "Classifier"),
    (error) => Effect.mapError(classifier(path), (other) => other.reason._tag === "NotInRun" ? error : other)
  )

/** The network of a custom stage, with its weights under the names that the stage gave them. */
export interface Custom<C> {
  readonly config: C
  readonly tensors: Weights.Tensors
  readonly provenance: Weights.Provenance
}

/**
 * Opens the network of a custom stage at a path, by the name that the stage gave it as `model`. Fails as {@link tokenizer}
 * does, and with 64 if the schema does not fit its configuration.
 */
export const custom: <C>(
  path: string,
  name: string,
  schema: Schema.Codec<C, Json.Json>
) => Effect.Effect<Custom<C>, OpenError, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function*<C>(path: string, name: string, schema: Schema.Codec<C, Json.Json>) {
    const file = yield* locate(path, name)
    const { provenance, tensors } = yield* Weights.read(file)
    const known = Option.getOrUndefined(provenance)
    const found = kindOf(known)
    if (known === undefined || found === undefined) return yield* new NotAnArtifact({})
    if (known.custom?.name !== name) return yield* new OtherKind({ expected: name, found })
    const config = yield* Config.decode(schema, file)(known.custom.config)
    return { config, tensors, provenance: known }
  },
  (self, path) => within(path)(self)
)

/** A segmenter with its weights, from a stage of a run or from a file. */
export interface SegmenterArtifact extends Segmenter.Segmenter {
  readonly _tag: "Segmenter"
  readonly provenance: Weights.Provenance
}

/** Opens the segmenter at a path. Fails as {@link custom} does. */
export const segmenter = (
  path: string
): Effect.Effect<SegmenterArtifact, OpenError, FileSystem.FileSystem | Path.Path> =>
  Effect.map(
    custom(path, Segmenter.NAME, Segmenter.Described),
    ({ config, provenance, tensors }) => ({ _tag: "Segmenter", ...config, tensors, provenance })
  )

/**
 * Opens the network at a path that predicts: its classifier, or else its segmenter. Fails as {@link classifier} does.
 */
export const predicting = (
  path: string
): Effect.Effect<
  Artifact<"Classifier"> | SegmenterArtifact,
  OpenError,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.catchIf(
    classifier(path),
    ({ reason }) => reason._tag === "NotInRun" || (reason._tag === "OtherKind" && reason.found === Segmenter.NAME),
    (error) => Effect.mapError(segmenter(path), (other) => other.reason._tag === "NotInRun" ? error : other)
  )
