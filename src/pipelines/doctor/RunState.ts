/** The states of a run that can be examined: tokenizers and pretrained networks, with the checkpoint before each. */
import { Effect, FileSystem, Option, Path, Result, Runtime, Schema, Stream } from "effect"
import * as Model from "../../domain/config/Model.ts"
import { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Checkpoints from "../../layers/run/Checkpoints.ts"
import { Row } from "../../layers/run/Runs.ts"
import { Unreadable, within } from "../../layers/run/RunsError.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Network from "../trained/Network.ts"
import { NoRun } from "../training/Continuation.ts"

/** A run has no tokenizer and no pretrained network, so there is nothing to examine. */
export class NothingToExamine extends TaggedError<NothingToExamine>()("NothingToExamine", {
  directory: Schema.String,
  stages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const held = this.stages.length === 0 ? "no stage" : this.stages.join(", ")
    return `run folder ${this.directory}: it holds no tokenizer and no pretrained network (it holds ${held})`
  }
  get remedy() {
    return "train one of the two in it, and wait for the first checkpoint"
  }
}

type Examined = Exclude<Model.Model, { readonly _tag: "Classifier" }>

/** A stage of a run in its newest state. */
export interface RunState {
  readonly stage: string
  /** Number of steps that the state has learned from. */
  readonly step: number
  readonly finished: boolean
  /** SHA-256 of the weights of the teacher or the tokenizer that it learned from; undefined if it is not known. */
  readonly taughtBy: string | undefined
  readonly network: Examined & { readonly tensors: Weights.Tensors }
  /** The checkpoint before the state, if one is kept. */
  readonly before?: { readonly step: number; readonly tensors: Weights.Tensors }
}

/** Returns the arrays of a checkpoint under their official names. */
const official = (weights: Weights.Tensors): Weights.Tensors =>
  Object.fromEntries(
    Object.entries(weights).flatMap(([path, tensor]) =>
      path.startsWith("parameters.")
        ? [[path.slice("parameters.".length), tensor]]
        : path.startsWith("quantize.")
        ? [[path, tensor]]
        : []
    )
  )

/** Returns the second digest of a stage's data: that of its teacher or its tokenizer. */
const teacherOf = (dataDigest: string): string | undefined => dataDigest.split(" ")[1]

const widthOf = (tensors: Weights.Tensors, name: string): number => Number(tensors[name]?.shape[0] ?? 0)

/** Returns the model of a checkpoint, which has only its configuration. */
const modelOf = (config: Json.Json, tensors: Weights.Tensors): Examined | undefined => {
  const teacherWidth = widthOf(tensors, "decode_task_layer.2.weight")
  const codes = widthOf(tensors, "lm_head.weight")
  const tokenizer = Schema.decodeUnknownOption(TokenizerConfig)(config)
  if (Option.isSome(tokenizer) && teacherWidth > 0) {
    return Model.Tokenizer.make({ config: tokenizer.value, teacherWidth })
  }
  const backbone = Schema.decodeUnknownOption(PretrainConfig)(config)
  return Option.isSome(backbone) && codes > 0 ? Model.Backbone.make({ config: backbone.value, codes }) : undefined
}

/** Checks that the arrays are those of the network. A quantizer that was given in code is not there to be asked. */
const checked = (network: RunState["network"], source: string) => {
  const isOwn = network._tag === "Tokenizer" && network.config.codebook.quantizer?.kind === "own"
  return isOwn ? Effect.void : Effect.fromResult(Network.check(network, network.tensors, source))
}

/** Opens the files of a run, to read one state at a time. */
const opened = Effect.fnUntraced(function*(run: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isThere = (name: string) => Effect.orElseSucceed(fs.exists(name), () => false)
  if (!(yield* isThere(path.join(run, "config.json")))) return yield* new NoRun({ run, exists: yield* isThere(run) })
  const namesIn = (folder: string) =>
    Effect.orElseSucceed(fs.readDirectory(path.join(run, folder)), (): ReadonlyArray<string> => [])
  const finished = (yield* namesIn("stages")).flatMap((name) => /^([^.].*)\.safetensors$/.exec(name)?.[1] ?? [])
  const begun = (yield* namesIn("checkpoints")).filter((name) => !name.startsWith("."))
  const checkpoints = yield* Checkpoints.reading(path.join(run, "checkpoints"))
  const stepsOf = (stage: string) => begun.includes(stage) ? checkpoints.steps(stage) : Effect.succeed([])
  const fileOf = (stage: string) => path.join(run, "stages", `${stage}.safetensors`)

  /** The model and the step of a stage, without its arrays; undefined if it is of another kind, or has no state yet. */
  const about = Effect.fnUntraced(function*(stage: string) {
    if (finished.includes(stage)) {
      const known = Option.getOrUndefined(yield* Weights.readProvenance(fileOf(stage)))
      const model = known?.model
      return known === undefined || model === undefined || model._tag === "Classifier"
        ? undefined
        : { stage, step: known.step, finished: true, taughtBy: teacherOf(known.dataDigest), model }
    }
    const step = (yield* stepsOf(stage)).at(-1)
    if (step === undefined) return undefined
    const { config, dataDigest, weights } = yield* checkpoints.read(stage, step)
    const model = modelOf(config, official(weights))
    return model && { stage, step, finished: false, taughtBy: teacherOf(dataDigest), model }
  })

  const load = Effect.fnUntraced(function*(known: About) {
    const { finished, model, stage, step, taughtBy } = known
    const at = (step: number) => Effect.map(checkpoints.read(stage, step), ({ weights }) => official(weights))
    const source = finished ? fileOf(stage) : `step ${step} of ${stage}`
    const tensors = finished ? (yield* Weights.read(source)).tensors : yield* at(step)
    const network = { ...model, tensors }
    yield* checked(network, source)
    // Only codes are compared with those of an earlier state.
    const steps = model._tag === "Tokenizer" ? yield* stepsOf(stage) : []
    const older = steps.findLast((one) => one < step)
    const state: RunState = {
      stage,
      step,
      finished,
      taughtBy,
      network,
      ...(older === undefined ? {} : { before: { step: older, tensors: yield* at(older) } })
    }
    return state
  })

  return { stages: [...new Set([...finished, ...begun])].toSorted(), about, load }
})

interface About extends Pick<RunState, "stage" | "step" | "finished" | "taughtBy"> {
  readonly model: Examined
}

/**
 * Reads the states of a run's tokenizers and pretrained networks, tokenizers first, and calls `use` with one after another. So the
 * arrays of one stage are in memory at a time. The run is only read, and may still be training.
 */
export const each = Effect.fnUntraced(
  function*<A, E, R>(run: string, use: (state: RunState) => Effect.Effect<A, E, R>) {
    const { about, load, stages } = yield* opened(run)
    const all = (yield* Effect.forEach(stages, about)).filter((one) => one !== undefined)
    if (all.length === 0) return yield* new NothingToExamine({ directory: run, stages })
    const order = ({ model }: About): number => model._tag === "Tokenizer" ? 0 : 1
    return yield* Effect.forEach(all.toSorted((a, b) => order(a) - order(b)), (one) => Effect.flatMap(load(one), use))
  }
)

const parseRow = Schema.decodeEffect(Json.text(Row))

/** The columns of the log that figures are of. */
const COLUMNS = ["step", "lr", "usage", "perplexity", "cosine", "gradientNorm", "loss_1", "accuracy_1"] as const

/**
 * Reads the columns of the log that figures are of, by stage. The last line may be incomplete, since the run may be at work. Fails
 * with `Unreadable` if another one is damaged.
 */
export const readLog = Effect.fnUntraced(function*(run: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(run, "log.jsonl")
  const byStage = new Map<string, Array<Readonly<Record<string, unknown>>>>()
  let pending: string | undefined
  let line = 0
  const take = Effect.fnUntraced(function*(text: string) {
    line++
    const { stage, ...row } = yield* Effect.mapError(
      parseRow(text),
      (error) => new Unreadable({ file: "log.jsonl", problem: `line ${line}: ${Explain.of(error)}` })
    )
    const kept = Object.fromEntries(COLUMNS.flatMap((name) => name in row ? [[name, row[name]]] : []))
    const rows = byStage.get(stage) ?? []
    rows.push(kept)
    byStage.set(stage, rows)
  })
  if (!(yield* Files.onFailure(file)(fs.exists(file)))) return byStage
  yield* fs.stream(file).pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runForEach((text) =>
      Effect.suspend(() => {
        const before = pending
        pending = text
        return before === undefined || before === "" ? Effect.void : take(before)
      })
    ),
    Files.onFailure(file)
  )
  // Only the last line may be half of one.
  if (pending !== undefined && Result.isSuccess(Json.parse(pending))) yield* take(pending)
  return byStage
}, (self, run) => within(run)(self))
