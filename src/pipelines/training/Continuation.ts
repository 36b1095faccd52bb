/**
 * Continues training from a state of a stage under another configuration: other learning rates, more steps, other data.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { Files } from "patchword/layers"
 * import { Continuation } from "patchword/pipelines"
 *
 * const opened = Continuation.open("runs/none", { stage: "pretrain" }).pipe(Effect.provide(Files.layerNode))
 * const error = await Effect.runPromise(Effect.flip(opened))
 * assert.match(error.message, /the run runs\/none does not exist/)
 * ```
 */
import { Effect, FileSystem, Option, Path, Record, Runtime, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Model from "../../domain/config/Model.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Checkpoints from "../../layers/run/Checkpoints.ts"
import { Runs, type RunsError } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, SpecOf } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"

const WANTED: Readonly<Record<string, string>> = {
  newest: "no checkpoint",
  previous: "no checkpoint before the newest one",
  finished: "no weights"
}

const Step = Schema.Union([Schema.Number, Schema.Literals(["newest", "previous", "finished"])])

/** A run has no such state of a stage. */
export class NothingToContinue extends TaggedError<NothingToContinue>()("NothingToContinue", {
  run: Schema.String,
  stage: Schema.String,
  wanted: Step,
  /** The steps of the stage's checkpoints. */
  steps: Schema.Array(Schema.Int),
  /** True if the stage has finished, so that its weights exist. */
  finished: Schema.Boolean,
  /** The other stages of the run, if they are known. */
  others: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const { run, stage, wanted } = this
    return `${run} has ${WANTED[wanted] ?? `no checkpoint of step ${wanted}`} of ${stage}`
  }
  get remedy() {
    const { finished, others, steps } = this
    const there = [
      ...(steps.length === 0 ? [] : [`checkpoints of the steps ${steps.join(", ")}`]),
      ...(finished ? ["the weights of the finished stage (finished)"] : [])
    ]
    if (there.length > 0) return `choose from ${there.join(", and ")}`
    return others.length > 0
      ? `choose from the stages ${others.join(", ")}`
      : "choose another run; this one has no state"
  }
}

/** There is no run at the path. */
export class NoRun extends TaggedError<NoRun>()("NoRun", { run: Schema.String, exists: Schema.Boolean }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const problem = this.exists ? "is not a run folder, because it has no config.json" : "does not exist"
    return `the run ${this.run} ${problem}`
  }
  get remedy() {
    return "name the folder of a run to continue from"
  }
}

/** The state belongs to a network of other sizes. */
export class OtherNetwork extends TaggedError<OtherNetwork>()("OtherNetwork", {
  /** The state, in words. */
  source: Schema.String,
  /** The values of the configuration that differ, without those that no size depends on. */
  differences: Schema.Array(Json.Difference),
  reason: Weights.Mismatch
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { differences, reason, source } = this
    const sizes = differences.map(({ asked, key, stored }) => `${key} is ${stored} there, ${asked} here`).join(", ")
    return `${source} is of another network: ${sizes === "" ? reason.finding : sizes}`
  }
  get remedy() {
    return this.differences.length === 0 ? this.reason.remedy : "use the same sizes"
  }
}

/** The state of a run, and the schedule of the continuation. */
export interface From {
  readonly stage: string
  /**
   * The state: a checkpoint by its number of steps, the `newest` one (default), the `previous` one, or the weights of the
   * `finished` stage, with a new optimizer state. After a loss that is not finite, the newest checkpoint is the state that gave
   * it.
   */
  readonly step?: typeof Step.Type
  /** `on` (default) continues with the steps, learning rates and batches after those that were taken. `anew` counts from 0. */
  readonly schedule?: ContinuedFrom.Schedule
}

const Asked = Schema.Struct({ step: Step, schedule: ContinuedFrom.Schedule })

/** The arrays of a state. Those of a checkpoint are named by their paths, those of a finished stage by their official names. */
interface State {
  readonly weights: Weights.Tensors
  readonly optimizer: Weights.Tensors
}

/** The reasons why there is no state to continue from. */
export type ContinuationError =
  | Config.ConfigError
  | NothingToContinue
  | NoRun
  | OtherNetwork
  | Checkpoints.CheckpointsError
  | Weights.WeightsError
  | RunsError

/** A state to continue from. */
export interface Continuation {
  readonly from: ContinuedFrom.ContinuedFrom
  /** Number of updates in the moments of the optimizer. */
  readonly updates: number
  readonly computedOn: ComputedOn.History
  /** The configuration that the state was trained with, if it is known. */
  readonly config: unknown
  /** Reads the arrays. They are read when needed, so nothing holds them while the stage trains. */
  readonly state: Effect.Effect<State, ContinuationError>
}

/** Returns the number of steps that count as taken. */
export const begin = (continuation: Continuation): number =>
  continuation.from.schedule === "on" ? continuation.from.step : 0

const Updates = Schema.Struct({ updates: Schema.Int })
const Accumulating = Schema.Struct({ optimizer: Schema.Struct({ accumulate: Schema.Int }) })

/**
 * Returns the number of updates of a checkpoint. A continued stage stores it. For other stages it follows from the
 * configuration.
 */
const updatesOf = ({ config, extra, step }: Checkpoints.Snapshot): number =>
  Option.match(Schema.decodeUnknownOption(Updates)(extra), {
    onSome: ({ updates }) => updates,
    onNone: () =>
      Math.floor(
        step / Option.match(Schema.decodeUnknownOption(Accumulating)(config), {
          onNone: () => 1,
          onSome: ({ optimizer }) => optimizer.accumulate
        })
      )
  })

/** The source of states. */
interface Source {
  readonly run?: string
  readonly checkpoints: Pick<Checkpoints.Checkpoints["Service"], "read" | "steps">
  readonly finished: Effect.Effect<Option.Option<Weights.Weights>, Weights.WeightsError | RunsError>
  readonly stages: Effect.Effect<ReadonlyArray<string>>
}

interface Found extends State, Pick<Continuation, "updates" | "computedOn" | "config"> {
  readonly step: number
}

const found = Effect.fnUntraced(function*(
  { checkpoints, finished, run, stages }: Source,
  { schedule = "on", stage, step = "newest" }: From
) {
  yield* Config.decode(Asked, `continuing ${stage}`)({ step, schedule })
  const steps = yield* checkpoints.steps(stage)
  const missing = Effect.gen(function*() {
    const others = (yield* stages).filter((name) => name !== stage)
    const whole = Option.isSome(yield* finished)
    return yield* new NothingToContinue({ run: run ?? "the run", stage, wanted: step, steps, finished: whole, others })
  })
  const kept = Effect.fnUntraced(function*(step: number) {
    const snapshot = yield* checkpoints.read(stage, step)
    const { computedOn, config, optimizer, weights } = snapshot
    const one: Found = { weights, optimizer, computedOn, config, step, updates: updatesOf(snapshot) }
    return one
  })
  const whole = Effect.gen(function*() {
    const { provenance, tensors } = Option.getOrUndefined(yield* finished) ?? (yield* missing)
    const known = Option.getOrUndefined(provenance)
    const { computedOn = [], step = 0 } = known ?? {}
    const model = known?.model && Schema.encodeSync(Model.Model)(known.model)
    const config = (model ?? known?.custom)?.config
    const one: Found = { weights: tensors, optimizer: {}, computedOn, config, step, updates: 0 }
    return one
  })
  const place = step === "finished" || (typeof step === "number" && steps.includes(step))
    ? step
    : typeof step === "number"
    ? yield* missing
    : steps.at(step === "newest" ? -1 : -2) ?? (yield* missing)
  const state: Effect.Effect<Found, ContinuationError> = place === "finished" ? whole : kept(place)
  const { computedOn, config, step: taken, updates, weights } = yield* state
  const continuation: Continuation = {
    from: {
      ...(run !== undefined && { run }),
      stage,
      step: taken,
      state: step === "finished" ? "finished" : "checkpoint",
      digest: yield* Weights.digest(weights),
      schedule
    },
    updates,
    computedOn,
    config,
    state
  }
  return continuation
})

/**
 * Opens a state of a stage in a run folder. The run is only read, and may still be training. The state must exist until the
 * stage that continues from it has finished.
 *
 * Fails with 64 if `step` or `schedule` is none of these, with 66 if there is no such state, with 65 if it is damaged, with 74 if it cannot be read.
 */
export const open: (
  run: string,
  from: From
) => Effect.Effect<Continuation, ContinuationError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.Continuation.open"
)(
  function*(run, from) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const isThere = (name: string) => Effect.orElseSucceed(fs.exists(name), () => false)
    if (!(yield* isThere(path.join(run, "config.json")))) return yield* new NoRun({ run, exists: yield* isThere(run) })
    const namesIn = (folder: string) =>
      Effect.orElseSucceed(fs.readDirectory(path.join(run, folder)), (): ReadonlyArray<string> => [])
    const stages = Effect.gen(function*() {
      const finished = (yield* namesIn("stages")).flatMap((name) => /^(.+)\.safetensors$/.exec(name)?.[1] ?? [])
      return [...new Set([...finished, ...(yield* namesIn("checkpoints"))])].toSorted()
    })
    const finished = Weights.read(path.join(run, "stages", `${from.stage}.safetensors`)).pipe(
      Effect.map(Option.some),
      Effect.catchIf(
        ({ reason }) => reason._tag === "FileError" && reason.kind === "missing",
        () => Effect.succeedNone
      ),
      Effect.provideContext(context)
    )
    const checkpoints = yield* Checkpoints.reading(path.join(run, "checkpoints"))
    return yield* found({ run, checkpoints, finished, stages }, from)
  }
)

/** Opens a state of another stage of the same run, such as after a step without a finite loss. Fails as {@link open} does. */
export const here: (
  from: From
) => Effect.Effect<Continuation, ContinuationError, Checkpoints.Checkpoints | Runs> = Effect.fn(
  "patchword.Continuation.here"
)(
  function*(from) {
    const { weights } = yield* Runs
    const checkpoints = yield* Checkpoints.Checkpoints
    return yield* found({ checkpoints, finished: weights(from.stage), stages: Effect.succeed([]) }, from)
  }
)

/** Matches the members of a configuration that no size of a network depends on. */
const WITHOUT_SIZES = /^(seed|optimizer|augment|sampling|continuedFrom)\b/

/** Leaves out the moving average of the weights where the step keeps none, or begins it with the weights. */
const withEma = (spec: object, weights: Weights.Tensors): Weights.Tensors => {
  const kept = Record.filter(weights, (_, path) => !path.startsWith("ema."))
  const wanted = Tree.leaves(spec).flatMap(([path]) => path.startsWith("ema.") ? [path] : [])
  return {
    ...kept,
    ...Object.fromEntries(wanted.flatMap((path) => {
      const begun = weights[path] ?? kept[path.replace("ema.", "parameters.")]
      return begun === undefined ? [] : [[path, { ...begun, data: begun.data.slice() }] as const]
    }))
  }
}

/**
 * Makes the first state of a step that continues from another state. Missing optimizer arrays are zeros. A missing moving average
 * of the weights begins with them.
 *
 * Fails with {@link OtherNetwork} if the networks differ in size. `config` belongs to the step.
 */
export const stateOf = Effect.fnUntraced(function*<S extends AdamW.State<object>>(
  continuation: Continuation,
  spec: SpecOf<S>,
  trained: (state: HostOf<S>) => object,
  config: Json.Json
): Effect.fn.Return<HostOf<S>, ContinuationError> {
  const { from, state } = continuation
  const zeros = Object.fromEntries(
    Tree.leaves(AdamW.split(spec).optimizer).map(([path, { shape }]) => [path, HostTensor.zeros(shape, "float32")])
  )
  // Which part of the state has which official name, the function itself says.
  const placed = Tree.leaves<Tree.Leaf & { readonly path: string }>(
    trained(Tree.map<HostOf<S>>(spec as object, (leaf, path) => ({ ...leaf, path })))
  )
  const pathOf = new Map(placed.map(([name, { path }]) => [name, path]))
  const { optimizer, weights } = yield* state
  const tensors: Weights.Tensors = {
    ...zeros,
    ...Record.filter(optimizer, (_, path) => !path.startsWith("mean.") || Object.hasOwn(zeros, path)),
    ...withEma(
      spec,
      from.state === "finished" ? Record.mapKeys(weights, (name) => pathOf.get(name) ?? name) : weights
    )
  }
  const source = `step ${from.step} of ${from.stage}${from.run === undefined ? "" : ` in ${from.run}`}`
  yield* Effect.fromResult(Weights.conform(spec as object, Weights.make(tensors), source)).pipe(
    Effect.mapError((error) => {
      const { reason } = error
      if (reason._tag !== "Mismatch") return error
      const stored = continuation.config
      const differences = Schema.is(Schema.Json)(stored)
        ? Json.differences(stored, config).filter(({ key }) => !WITHOUT_SIZES.test(key))
        : []
      return new OtherNetwork({ source, differences, reason })
    })
  )
  return Tree.map<HostOf<S>>(spec as object, (_, path) => tensors[path])
})
