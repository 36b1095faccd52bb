/**
 * Describes files and folders, and lists the commands that can use them: weights of patchword or of others, ONNX models, runs.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { inspect } from "patchword/pipelines"
 *
 * const error = await Effect.runPromise(Effect.flip(inspect("runs/none")).pipe(Effect.provide(Files.layerNode)))
 * assert.match(error.message, /there is no such file/)
 * ```
 */
import { Effect, Option, Record, Result, Runtime, Schema, Stream } from "effect"
import * as OnnxModel from "../../compiler/onnx/OnnxModel.ts"
import * as Model from "../../domain/config/Model.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Report from "../../domain/evaluation/Report.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { message, TaggedError } from "../../domain/values/TaggedError.ts"
import * as KnownNetworks from "../../domain/weights/KnownNetworks.ts"
import type * as Naming from "../../domain/weights/Naming.ts"
import * as ConfigFiles from "../../layers/files/ConfigFile.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Checkpoints from "../../layers/run/Checkpoints.ts"
import * as CompletionSample from "../../layers/run/CompletionSample.ts"
import * as FidelityResults from "../../layers/run/FidelityResults.ts"
import * as Notes from "../../layers/run/Notes.ts"
import * as Results from "../../layers/run/Results.ts"
import { Environment, evaluationsOf, Row, Unreadable } from "../../layers/run/Runs.ts"
import { MANIFEST } from "../../layers/teacher/FeatureCacheError.ts"
import * as FeatureCacheFolder from "../../layers/teacher/FeatureCacheFolder.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AtlasCheck from "../atlas/AtlasCheck.ts"
import { AtlasDamaged, NoAtlas } from "../atlas/AtlasError.ts"
import * as AtlasIndex from "../atlas/AtlasIndex.ts"
import * as AtlasState from "../atlas/AtlasState.ts"
import * as Decoder from "../trained/Decoder.ts"
import * as Network from "../trained/Network.ts"
import * as RunDigests from "../trained/RunDigests.ts"
import * as Segmenter from "../trained/Segmenter.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as Artifact from "./Artifact.ts"
import * as ModelFolder from "./ModelFolder.ts"
import * as OtherWeights from "./OtherWeights.ts"

const Shape = Schema.Array(Schema.Union([Schema.Int, Schema.String]))
const Port = Schema.Struct({ name: Schema.String, shape: Shape })
const Uses = Schema.Array(Schema.String)

/** A weights file: its numbers, its network and its provenance. */
export const WeightsFile = Schema.TaggedStruct("Weights", {
  path: Schema.String,
  bytes: Schema.Int,
  /** The SHA-256 of the file. */
  digest: Schema.String,
  /** The SHA-256 of the tensors alone. Results name the weights that they were measured with by it. */
  weightsDigest: Schema.optionalKey(Schema.String),
  tensors: Schema.Int,
  parameters: Schema.Int,
  /** Number of elements of each element type, under the file's names. */
  dtypes: Schema.Record(Schema.String, Schema.Int),
  /** The network that the names and the shapes match. */
  looksLike: Schema.optionalKey(Schema.String),
  provenance: Schema.optionalKey(Weights.Provenance),
  /** Why nothing can use them: numbers that are not finite, or missing tensors. They have no uses then. */
  problem: Schema.optionalKey(Schema.String),
  uses: Uses
})

/** An ONNX model. */
export const OnnxFile = Schema.TaggedStruct("Onnx", {
  path: Schema.String,
  bytes: Schema.Int,
  digest: Schema.String,
  producer: Schema.String,
  inputs: Schema.Array(Port),
  outputs: Schema.Array(Port),
  operators: Schema.Int,
  parameters: Schema.Int,
  metadata: Schema.Record(Schema.String, Schema.String),
  uses: Uses
})

/** A run: its stages, and the results of evaluations. A stage has its last logged step, and its weights if it is finished. */
export const RunFolder = Schema.TaggedStruct("Run", {
  path: Schema.String,
  stages: Schema.Array(Schema.Struct({
    stage: Schema.String,
    finished: Schema.Boolean,
    /** The state that it continued from, if any. */
    continuedFrom: Schema.optionalKey(ContinuedFrom.ContinuedFrom),
    /** The metrics of the last step, on its own batch. */
    lastBatch: Schema.optionalKey(Row),
    /** The last evaluation during the training. */
    lastEvaluation: Schema.optionalKey(Row),
    weights: Schema.optionalKey(WeightsFile)
  })),
  /** The engines of the stage, in order. */
  computedOn: Schema.Array(ComputedOn.ComputedOn),
  results: Schema.Array(Results.Result),
  uses: Uses
})

/** A folder in the layout of the Hugging Face Hub. */
export const HubFolder = Schema.TaggedStruct("HubFolder", {
  path: Schema.String,
  model: Model.Model,
  weights: WeightsFile,
  provenance: Schema.optionalKey(Weights.Provenance),
  uses: Uses
})

const rows = {
  path: Schema.String,
  bytes: Schema.Int,
  digest: Schema.String,
  images: Schema.Int,
  /** The class names, if the file has them. */
  classes: Schema.optionalKey(Schema.Array(Schema.String)),
  uses: Uses
}

/** A file of codes, with one row of patches for each image. */
export const CodesFile = Schema.TaggedStruct("Codes", { ...rows, patches: Schema.Int })

/** A file of features. The shape is that of one image's features. */
export const FeaturesFile = Schema.TaggedStruct("Features", { ...rows, shape: Schema.Array(Schema.Int) })

/** A checkpoint of a stage. */
export const CheckpointFolder = Schema.TaggedStruct("Checkpoint", {
  path: Schema.String,
  stage: Schema.String,
  step: Schema.Int,
  version: Schema.String,
  computedOn: Schema.optionalKey(ComputedOn.History),
  uses: Uses
})

/** A cache of a teacher's features. */
export const CacheFolder = Schema.TaggedStruct("FeatureCache", {
  path: Schema.String,
  ...FeatureCacheFolder.About.fields,
  images: Schema.Int,
  shards: Schema.Int,
  uses: Uses
})

/** A configuration file, JSON or YAML, for the listed stages. */
export const ConfigFile = Schema.TaggedStruct("Config", {
  path: Schema.String,
  stages: Schema.Array(Schema.String),
  uses: Uses
})

/** The figures of an evaluation. */
export const ResultFile = Schema.TaggedStruct("Result", { path: Schema.String, result: Results.Result, uses: Uses })

/** The rows that a run has logged of its stages, or their timings. */
export const LogFile = Schema.TaggedStruct("Log", {
  path: Schema.String,
  stages: Schema.Array(Schema.Struct({
    stage: Schema.String,
    rows: Schema.Int,
    /** The last row. */
    last: Row
  })),
  uses: Uses
})

/** The report of a demo. */
export const ReportFile = Schema.TaggedStruct("Report", { path: Schema.String, report: Report.Report, uses: Uses })

/** The checkpoints of a run, or of one of its stages. */
export const CheckpointsFolder = Schema.TaggedStruct("Checkpoints", {
  path: Schema.String,
  stages: Schema.Array(Schema.Struct({ stage: Schema.String, steps: Schema.Array(Schema.Int) })),
  uses: Uses
})

/** The atlas of the codes of a run. */
export const AtlasFolder = Schema.TaggedStruct("Atlas", {
  path: Schema.String,
  index: AtlasIndex.AtlasIndex,
  /** Sentences that tell if the run has another tokenizer now. */
  problems: Schema.Array(Schema.String),
  uses: Uses
})

/** Another JSON file of a run. */
export const RunFile = Schema.TaggedStruct("RunFile", {
  path: Schema.String,
  holds: Schema.String,
  content: Schema.Json,
  uses: Uses
})

/** The result of an inspection. */
export const Inspection = Schema.Union([
  WeightsFile,
  OnnxFile,
  RunFolder,
  HubFolder,
  CodesFile,
  FeaturesFile,
  CheckpointFolder,
  CacheFolder,
  ConfigFile,
  ResultFile,
  LogFile,
  ReportFile,
  CheckpointsFolder,
  AtlasFolder,
  RunFile
])
export type Inspection = typeof Inspection.Type

/** The file is of no known kind. */
export class Unknown extends TaggedError<Unknown>()("Unknown", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.problem
  }
  get remedy() {
    return "give safetensors, a checkpoint of PyTorch, an ONNX model, a configuration, a run folder or a file in it, a cache of " +
      "features, or a folder in the layout of the Hugging Face Hub"
  }
}

/** A path cannot be inspected. `reason` has the cause, and its exit code. */
export class InspectError extends TaggedError<InspectError>()("InspectError", {
  path: Schema.String,
  reason: Schema.Union([Unknown, Unreadable, NoAtlas, AtlasDamaged, Artifact.NoStage, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { path, reason } = this
    return reason._tag === "Unreadable" || reason._tag === "FileError" ? reason.finding : `${path}: ${reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

const NETWORK = ["features, probe, knn", "teacher of a tokenizer (--teacher run:…)", "export --what features, patches"]

const USES: Readonly<Record<Model.Kind, ReadonlyArray<string>>> = {
  Tokenizer: ["encode images to codes", "pretrain --tokenizer", "export --what codes", ...NETWORK],
  Backbone: ["finetune --from", ...NETWORK],
  Classifier: ["predict", "finetune --from", "features, probe, knn", "export --what logits, features"]
}

/** The uses of a tokenizer whose quantizer was given in code. */
const OWN: ReadonlyArray<string> = ["Artifact.tokenizer(path, { quantizer }), in code"]

const ofOwnQuantizer = (model: Model.Model): boolean =>
  model._tag === "Tokenizer" && model.config.codebook.quantizer?.kind === "own"

const usesOfModel = (model: Model.Model): ReadonlyArray<string> => ofOwnQuantizer(model) ? OWN : USES[model._tag]

/** The uses of the network of a custom stage. */
const CUSTOM: ReadonlyArray<string> = ["Artifact.custom, in code"]

/** The uses of the networks of custom stages of this library, by their names. */
const OF_STAGES: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  [Decoder.NAME, ["decoder evaluate", "complete --decoder"]],
  [Segmenter.NAME, ["predict", "export --what segmentation"]]
])

const FOREIGN: Readonly<Record<Naming.Network, ReadonlyArray<string>>> = {
  clip: ["teacher of a tokenizer (--teacher clip:…)"],
  dino: ["teacher of a tokenizer (--teacher dino:…)"],
  classifier: ["finetune --from"],
  pretrained: ["finetune --from"],
  tokenizer: ["Weights.read, into a tokenizer"]
}

const NEAR = 0.5

const usesOf = (
  shapes: KnownNetworks.Shapes,
  { custom, model }: Pick<Weights.Provenance, "custom" | "model"> = {}
): ReadonlyArray<string> => {
  if (model !== undefined) return usesOfModel(model)
  if (custom !== undefined) return OF_STAGES.get(custom.name) ?? CUSTOM
  const [nearest] = KnownNetworks.recognise(shapes)
  return nearest === undefined || nearest.share < NEAR ? [] : FOREIGN[nearest.known.network]
}

const size = (shape: ReadonlyArray<number>): number => shape.reduce((product, dim) => product * dim, 1)

const Classes = Json.text(Schema.Array(Schema.String))

/** The description that a checkpoint stores of itself. A stage that continues from it checks the rest. */
const State = Json.text(Schema.Struct({
  state: Schema.Struct({
    stage: Schema.String,
    step: Schema.Int,
    version: Schema.String,
    computedOn: Schema.optionalKey(ComputedOn.History)
  })
}))

/** Says what a file of a run's present batch holds; undefined for other files. */
const ofBatch = (path: string): string | undefined =>
  /[/\\]samples[/\\][^/\\]+$/.test(path)
    ? "some images of the present batch of a stage, with their masks and codes"
    : /[/\\]samples[/\\]predicted[/\\][^/\\]+$/.test(path)
    ? "predicted codes of the present batch of a stage"
    : undefined

const weighed = (
  path: string,
  file: { readonly bytes: number; readonly digest: string },
  tensors: Readonly<Record<string, { readonly dtype: string; readonly shape: ReadonlyArray<number> }>>,
  provenance: Option.Option<Weights.Provenance>
) => {
  const listed = Object.values(tensors)
  const dtypes: Record<string, number> = {}
  for (const { dtype, shape } of listed) dtypes[dtype] = (dtypes[dtype] ?? 0) + size(shape)
  const shapes = Record.map(tensors, ({ shape }) => shape)
  const known = Option.getOrUndefined(provenance)
  const model = known?.model
  const looksLike = ofBatch(path) ??
    (model?._tag === "Tokenizer" ? Tokenizer.describe(model.config) : KnownNetworks.describe(shapes))
  return WeightsFile.make({
    path,
    ...file,
    tensors: listed.length,
    parameters: listed.reduce((sum, { shape }) => sum + size(shape), 0),
    dtypes,
    ...(looksLike === undefined ? {} : { looksLike }),
    ...(known === undefined ? {} : { provenance: known }),
    uses: usesOf(shapes, known)
  })
}

/** Tells why no command can use weights; undefined if nothing is wrong. */
const problemOf = (tensors: Weights.Tensors, model: Model.Model | undefined) =>
  Weights.finite(tensors).pipe(
    Effect.andThen(
      // Nobody but a quantizer knows which arrays it has.
      model === undefined || ofOwnQuantizer(model)
        ? Effect.void
        : Effect.mapError(
          Effect.fromResult(Network.check(model, tensors)),
          (error) => error._tag === "WeightsError" ? error.reason : error
        )
    ),
    Effect.as(undefined),
    Effect.catch((error) => Effect.succeed(message(error)))
  )

const makeInspect = Effect.gen(function*() {
  const files = yield* Files.make
  const { fs, path } = files

  const sizeOf = (given: string) =>
    Files.onFailure(given)(Effect.map(fs.stat(given), ({ size: bytes }) => Number(bytes)))

  const file = Effect.fnUntraced(function*(given: string) {
    yield* files.regular(given)
    const parts: Array<Uint8Array> = []
    const onnx = given.endsWith(".onnx")
    const hash = Files.hasher()
    yield* Stream.runForEach(fs.stream(given, { chunkSize: 2 ** 20 }), (part) =>
      Effect.sync(() => {
        hash.update(part)
        if (onnx) parts.push(part)
      }))
    return { about: { bytes: yield* sizeOf(given), digest: hash.digest("hex") }, content: Buffer.concat(parts) }
  }, (self, given) => Files.onFailure(given)(self))

  const weights = Effect.fnUntraced(function*(given: string) {
    const { provenance, tensors: listed } = yield* Effect.mapError(
      Weights.list(given),
      (error) =>
        error.reason._tag === "Unrecognised"
          ? new Unknown({ problem: `${error.reason.finding}, and its name does not end in .onnx` })
          : error
    )
    const read = yield* Effect.result(files.readTensors(given))
    // A checkpoint of PyTorch is another kind of file, and safetensors of others may have element types that nothing here computes with.
    if (Option.isNone(provenance) && Result.isFailure(read)) {
      return weighed(given, (yield* file(given)).about, listed, provenance)
    }
    // Whoever reads the tensors gets the digest of the file from the same pass.
    const { sha256, tensors } = yield* Effect.mapError(
      Effect.fromResult(read),
      (reason) => new Weights.WeightsError({ source: given, reason })
    )
    const found = weighed(given, { bytes: yield* sizeOf(given), digest: sha256 }, listed, provenance)
    const problem = yield* problemOf(tensors, Option.getOrUndefined(provenance)?.model)
    return {
      ...found,
      ...(Option.isSome(provenance) ? { weightsDigest: yield* Weights.digest(tensors) } : {}),
      ...(problem === undefined ? {} : { problem, uses: [] })
    }
  })

  const rowsOf = Effect.fnUntraced(function*(given: string) {
    const header = Option.getOrUndefined(yield* Effect.option(files.readHeader(given)))
    const of = (name: string) => header?.entries.find((entry) => entry.name === name)?.shape
    const [codes, features, labels] = [of("codes"), of("features"), of("labels")]
    const shape = codes ?? features
    if (header === undefined || shape === undefined || labels === undefined) return undefined
    const [images = 0, ...each] = shape
    const classes = Schema.decodeOption(Classes)(header.metadata.classes ?? "")
    const { about } = yield* file(given)
    const found = {
      path: given,
      ...about,
      images,
      ...(Option.isSome(classes) && { classes: classes.value }),
      uses: ["rows in the order of the images, with their labels"]
    }
    return codes === undefined
      ? FeaturesFile.make({ ...found, shape: each })
      : CodesFile.make({ ...found, patches: each[0] ?? 1 })
  })

  const checkpoint = Effect.fnUntraced(function*(given: string) {
    const text = yield* Effect.option(files.readText(path.join(given, "state.json")))
    const found = Option.flatMap(text, Schema.decodeOption(State))
    if (Option.isNone(found)) return undefined
    const { state: { computedOn, stage, step, version } } = found.value
    return CheckpointFolder.make({
      path: given,
      stage,
      step,
      version,
      ...(computedOn !== undefined && { computedOn }),
      uses: [
        "run its stage again to continue",
        `a stage of another run (--continue ${path.join(given, "..", "..", "..")}@${step})`
      ]
    })
  })

  const cache = Effect.fnUntraced(function*(given: string) {
    const text = yield* Effect.option(files.readText(path.join(given, MANIFEST)))
    const found = Option.flatMap(text, Schema.decodeOption(FeatureCacheFolder.Manifest))
    if (Option.isNone(found)) return undefined
    const { about, shards } = found.value
    return CacheFolder.make({
      path: given,
      ...about,
      images: FeatureCacheFolder.images(shards),
      shards: shards.length,
      uses: [`teacher of a tokenizer (--teacher cache:${given})`]
    })
  })

  /** Describes the folder of an atlas, or its description. */
  const atlas = Effect.fnUntraced(function*(given: string) {
    const folder = path.basename(given) === AtlasIndex.INDEX ? path.dirname(given) : given
    if (path.basename(folder) !== AtlasIndex.FOLDER) return undefined
    const text = yield* Files.ifThere(files.readText(path.join(folder, AtlasIndex.INDEX)))
    if (Option.isNone(text)) {
      const told = yield* AtlasState.unfinished(files, folder)
      return told.scanned === null ? undefined : yield* told
    }
    const index = yield* AtlasState.parse(text.value)
    yield* AtlasCheck.all(files, folder, index)
    return AtlasFolder.make({
      path: folder,
      index,
      problems: OtherWeights.sentences([OtherWeights.atlas(index)], yield* RunDigests.of(path.dirname(folder))),
      uses: ["what the codes of a tokenizer mean (Atlas.open, in code)"]
    })
  })

  const config = Effect.fnUntraced(function*(given: string) {
    if (!/\.(json|ya?ml)$/.test(given)) return undefined
    const found = yield* Effect.option(ConfigFiles.read(Schema.Record(Schema.String, Schema.Json), given))
    const stages = Object.keys(Option.getOrElse(found, () => ({}))).filter((key) => Object.hasOwn(Preset.fields, key))
    return stages.length === 0
      ? undefined
      : ConfigFile.make({ path: given, stages, uses: [`any command that trains or evaluates (--config ${given})`] })
  })

  const rowsIn = (given: string, text: string) =>
    // A process that is killed, or at work, may leave the beginning of a line.
    Effect.forEach(text.split("\n").slice(0, -1), (line, i) =>
      Effect.mapError(
        Schema.decodeEffect(Json.text(Row))(line),
        (error) => new Unreadable({ file: `${given}, line ${i + 1},`, problem: Explain.of(error) })
      ))

  const log = Effect.fnUntraced(function*(given: string) {
    if (!given.endsWith(".jsonl")) return undefined
    if (path.basename(given) === Notes.FILE) {
      const { notes, tags } = yield* Notes.read(path.dirname(given))
      const content = { tags, notes: notes.map(({ at, id, text }) => ({ id, at, text })) }
      return RunFile.make({ path: given, holds: "the tags and notes of a run", content, uses: [] })
    }
    const byStage = Map.groupBy(yield* rowsIn(given, yield* files.readText(given)), ({ stage }) => stage)
    const stages = [...byStage].map(([stage, rows]) => ({ stage, rows: rows.length, last: rows.at(-1)! }))
    return LogFile.make({ path: given, stages, uses: [] })
  })

  /** Describes a JSON file that a run wrote. */
  const written = Effect.fnUntraced(function*(given: string) {
    if (!given.endsWith(".json")) return undefined
    const text = yield* files.readText(given)
    const result = yield* Effect.option(Results.parse(text))
    if (Option.isSome(result)) return ResultFile.make({ path: given, result: result.value, uses: [] })
    const report = Schema.decodeOption(Report.ReportJson)(text)
    if (Option.isSome(report)) return ReportFile.make({ path: given, report: report.value, uses: [] })
    const [name, folder] = [path.basename(given), path.basename(path.dirname(given))]
    const holds = name === "environment.json"
      ? "the machine and the engines of a run"
      : name === "state.json"
      ? "the description of a checkpoint"
      : name === "health.json"
      ? "the health of a run, as patchword doctor found it"
      : name === "look.json"
      ? "pictures of what a network sees"
      : folder === "stages"
      ? "the digests of a finished stage"
      : folder === Results.FOLDER && Option.isSome(yield* Effect.option(FidelityResults.parse(text)))
      ? "figures of pictures that networks draw"
      : undefined
    const sample = folder === CompletionSample.FOLDER
      ? Option.getOrUndefined(yield* Effect.option(CompletionSample.parse(text)))
      : undefined
    if (sample !== undefined) {
      const { shown, ...content } = sample
      const described = "completed images, with figures"
      return RunFile.make({
        path: given,
        holds: described,
        content: { ...content, shown: shown.map(({ name }) => name) },
        uses: []
      })
    }
    const content = Schema.decodeOption(Json.text(Schema.Json))(text)
    return holds === undefined || Option.isNone(content)
      ? undefined
      : RunFile.make({ path: given, holds, content: content.value, uses: [] })
  })

  /** Lists the checkpoints under the folder of a run for them, or under that of a stage. */
  const checkpoints = Effect.fnUntraced(function*(given: string) {
    const parent = path.dirname(given)
    const [root, one] = path.basename(given) === "checkpoints"
      ? [given, undefined]
      : path.basename(parent) === "checkpoints"
      ? [parent, path.basename(given)]
      : []
    if (root === undefined) return undefined
    const { steps } = yield* Checkpoints.reading(root)
    const names = one === undefined ? yield* fs.readDirectory(root) : [one]
    const stages = yield* Effect.forEach(names.toSorted(), (stage) =>
      Effect.map(
        Effect.orElseSucceed(steps(stage), (): ReadonlyArray<number> => []),
        (found) => ({ stage, steps: found })
      ))
    const kept = stages.filter(({ steps }) => steps.length > 0)
    return kept.length === 0 ? undefined : CheckpointsFolder.make({
      path: given,
      stages: kept,
      uses: kept.flatMap(({ stage, steps }) =>
        steps.map((step) => `${stage}: --continue ${path.dirname(root)}@${step}`)
      )
    })
  }, (self, given) => Files.onFailure(given)(self))

  const onnx = Effect.fnUntraced(function*(given: string) {
    const { about, content } = yield* file(given)
    const found = yield* Effect.fromResult(Result.try({
      try: () => OnnxModel.describe(content),
      catch: () => new Unknown({ problem: "this is not an ONNX model, or it is damaged" })
    }))
    const patches = found.outputs.map(({ name }) => name).filter((name, i) =>
      found.outputs[i]!.shape.length === 3 && !found.integers.includes(name)
    )
    return OnnxFile.make({
      path: given,
      ...about,
      producer: found.producer,
      inputs: found.inputs,
      outputs: found.outputs,
      operators: found.nodes,
      parameters: found.parameters,
      metadata: found.metadata,
      uses: patches.map((name) => `teacher of a tokenizer (--teacher onnx:${given}#${name})`)
    })
  })

  const run = Effect.fnUntraced(function*(given: string) {
    const text = (name: string) =>
      Effect.map(Effect.option(files.readText(path.join(given, name))), Option.getOrElse(() => ""))
    const rows = yield* rowsIn(path.join(given, "log.jsonl"), yield* text("log.jsonl"))
    const names = yield* Effect.orElseSucceed(fs.readDirectory(path.join(given, "stages")), () => [])
    const saved = names.filter((name) => name.endsWith(".safetensors")).map((name) => name.slice(0, -12))
    const results = yield* Results.read(given)
    const begun = results.length > 0 || (yield* fs.exists(path.join(given, "environment.json")))
    if (rows.length === 0 && saved.length === 0 && !begun) {
      return yield* new Unknown({ problem: "this folder is no run" })
    }
    const { computedOn = [], continuedFrom = {} } = yield* Effect.mapError(
      Schema.decodeEffect(Json.text(Environment))((yield* text("environment.json")) || "{}"),
      (error) => new Unreadable({ file: path.join(given, "environment.json"), problem: Explain.of(error) })
    )
    const logged = [...rows.map(({ stage }) => stage), ...saved]
    const evaluations = new Set(logged.map(evaluationsOf))
    const known = new Set(logged.filter((stage) => !evaluations.has(stage)))
    const stages = yield* Effect.forEach(
      known,
      Effect.fnUntraced(function*(stage) {
        const finished = saved.includes(stage)
        const from = Record.get(continuedFrom, stage)
        const lastBatch = rows.findLast((row) => row.stage === stage)
        const lastEvaluation = rows.findLast((row) => row.stage === evaluationsOf(stage))
        return {
          stage,
          finished,
          ...(Option.isSome(from) && { continuedFrom: from.value }),
          ...(lastBatch === undefined ? {} : { lastBatch }),
          ...(lastEvaluation === undefined ? {} : { lastEvaluation }),
          ...(finished ? { weights: yield* weights(path.join(given, "stages", `${stage}.safetensors`)) } : {})
        }
      })
    )
    const uses = stages.flatMap((one) =>
      "weights" in one ? one.weights.uses.map((use) => `${one.stage}: ${use}`) : [`${one.stage}: run again to continue`]
    )
    return RunFolder.make({ path: given, stages, computedOn, results, uses })
  }, (self, given) => Files.onFailure(given)(self))

  return {
    atlas,
    onnx,
    run,
    weights,
    rowsOf,
    checkpoint,
    checkpoints,
    cache,
    config,
    log,
    written,
    kindOf: (given: string) => Files.onFailure(given)(fs.stat(given))
  }
})

/**
 * Inspects a path, or the stage of a run at `RUN/STAGE`. Fails with 66 if nothing is there, with 65 if it is damaged or of no known kind, with 74 if it cannot be
 * read.
 */
export const inspect = Effect.fn("patchword.inspect")(
  function*(path: string) {
    const { atlas, cache, checkpoint, checkpoints, config, kindOf, log, onnx, rowsOf, run, weights, written } =
      yield* makeInspect
    const given = yield* Artifact.stageFile(path)
    const { type } = yield* kindOf(given)
    const hub = type === "Directory" ? yield* ModelFolder.weightsOf(given) : Option.none()
    if (Option.isSome(hub)) {
      const { model, provenance } = yield* ModelFolder.describe(given)
      // Nobody but a quantizer knows which arrays it has.
      if (!ofOwnQuantizer(model)) yield* ModelFolder.read(given)
      const found: Inspection = HubFolder.make({
        path: given,
        model,
        weights: yield* weights(hub.value),
        ...(provenance === undefined ? {} : { provenance }),
        uses: usesOfModel(model)
      })
      return found
    }
    const found: Inspection = type === "Directory"
      ? (yield* atlas(given)) ?? (yield* checkpoint(given)) ?? (yield* checkpoints(given)) ?? (yield* cache(given)) ??
        (yield* run(given))
      : given.endsWith(".onnx")
      ? yield* onnx(given)
      : (yield* log(given)) ?? (yield* atlas(given)) ?? (yield* written(given)) ?? (yield* config(given)) ??
        (yield* rowsOf(given)) ??
        (yield* weights(given))
    return found
  },
  (self, path) =>
    Effect.mapError(self, (error) => {
      switch (error._tag) {
        case "ModelFolderError":
        case "ResultsError":
        case "WeightsError":
          return error
        default:
          return new InspectError({ path, reason: error })
      }
    })
)
