/**
 * A training stage. It takes steps on batches, writes the log, keeps checkpoints, and resumes. If the run has finished it, it
 * is skipped. The stages of BEiT v2 are such stages, and so is one of your own ([guide](../../../docs/your-own-stage.md)).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Stage } from "patchword/pipelines"
 *
 * const keyOf = Stage.keys("autoencoder", 7)
 * assert.deepStrictEqual(keyOf("rows", 3), { seed: 7, purpose: "autoencoder/rows", epoch: 0, index: 3 })
 * ```
 */
import { Effect, Option, Record, Runtime, Schedule, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Model from "../../domain/config/Model.ts"
import type { OptimizerConfig } from "../../domain/config/OptimizerConfig.ts"
import type { Drawn } from "../../domain/evaluation/Holdout.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Json from "../../domain/values/Json.ts"
import type * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import { dataDifferences } from "../../layers/run/Checkpoints.ts"
import { Progress } from "../../layers/run/Progress.ts"
import { Runs, type RunsError } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Continuation from "./Continuation.ts"
import * as Training from "./Training.ts"

/** The run holds this stage's weights, trained under another configuration. */
export class OtherStage extends TaggedError<OtherStage>()("OtherStage", {
  stage: Schema.String,
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `${this.stage}: the run already holds the result of this stage under another configuration or from other data ` +
      `(${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "choose another run folder: its stages can take the weights of this one"
  }
}

/** The options of a training stage in addition to its configuration. */
export interface StageOptions {
  /** The name of the stage in the run. */
  readonly stage?: string
  /** The split for training; default `train`. */
  readonly split?: string
  /** Steps between checkpoints; default 100. */
  readonly checkpointEvery?: number
  /** A state to continue from, in place of the first one. */
  readonly continueFrom?: Continuation.Continuation | undefined
}

/** The identity of a stage's computation. */
export interface Identity {
  readonly stage: string
  readonly config: Json.Json
  readonly dataDigest: string
  /** The part of the split that is held out. */
  readonly holdout?: Drawn | undefined
  readonly seed: number
  readonly step: number
  /** The model of its weights: a network of BEiT v2, or the name of another one. */
  readonly model: Model.Model | string
  /** The name of the teacher. */
  readonly teacher?: string
  readonly teacherDigest?: string
  readonly continuedFrom?: ContinuedFrom.ContinuedFrom
}

/**
 * Makes the keys of a stage's random numbers, from the purpose, the index of the step or image, and the epoch if it matters.
 */
export const keys = (stage: string, seed: number) => (purpose: string, index: number, epoch = 0): KeyedRandom.Key => ({
  seed,
  purpose: `${stage}/${purpose}`,
  epoch,
  index
})

/** Returns the key of a random draw from its purpose and index, and from its epoch if it matters. */
export type Keys = ReturnType<typeof keys>

/** Converts the configuration of a stage to plain data. */
export const toJson = <A, I extends Json.Json>(schema: Schema.Codec<A, I>, config: A): Json.Json =>
  Schema.encodeSync(schema)(config)

// An earlier version kept digests alone: which key it is, the weights say.
const differencesOf = (
  stored: Json.Json,
  { config, configDigest, continuedFrom, dataDigest }: Pick<Identity, "config" | "continuedFrom" | "dataDigest"> & {
    readonly configDigest: string
  },
  provenance: Option.Option<Weights.Provenance>
): ReadonlyArray<Json.Difference> => {
  const known = Option.getOrUndefined(provenance)
  const model = known?.model === undefined ? known?.custom : Schema.encodeSync(Model.Model)(known.model)
  const found = [
    ...(model === undefined
      ? []
      : Json.differences(
        ContinuedFrom.within(model.config, known?.continuedFrom),
        ContinuedFrom.within(config, continuedFrom)
      )),
    ...(known === undefined ? [] : dataDifferences(known.dataDigest, dataDigest))
  ]
  return found.length > 0 ? found : Json.differences(stored, { configDigest, dataDigest })
}

/** The digests that tell whether a stage was computed before. */
const identityOf = (
  { config, continuedFrom, dataDigest }: Pick<Identity, "config" | "continuedFrom" | "dataDigest">
) => ({
  configDigest: Files.sha256(Json.canonical(ContinuedFrom.within(config, continuedFrom))),
  dataDigest
})

/** Says where weights of a stage come from. */
const provenanceOf = (
  about: Identity,
  { computedOn, name = about.stage, step = about.step }: {
    readonly computedOn?: Weights.Provenance["computedOn"] | undefined
    readonly name?: string
    readonly step?: number
  }
) => {
  const { config, dataDigest: _, holdout, model, ...more } = about
  return new Weights.Provenance({
    ...identityOf(about),
    ...more,
    step,
    ...(holdout && { holdout }),
    ...(typeof model === "string" ? { custom: { name: model, config } } : { model }),
    stage: name,
    ...(computedOn && { computedOn })
  })
}

/** The weights of a stage, and the engines that computed them. */
interface Computed extends Pick<Weights.Provenance, "computedOn"> {
  readonly tensors: Weights.Tensors
  /** Other networks of the stage, by the ending of their names in the run. */
  readonly also?: Readonly<Record<string, Weights.Tensors>>
}

/**
 * Returns the weights of a finished stage from the run. If there are none, runs `compute` and stores its weights in the run.
 */
export const unlessFinished = Effect.fnUntraced(function*<E, R>(
  about: Identity,
  compute: Effect.Effect<Computed, E, R>
) {
  const { stage } = about
  const runs = yield* Runs
  const identity = identityOf(about)
  const finished = yield* runs.result(stage)
  const known = yield* runs.weights(stage)
  if (Option.isSome(finished) && Option.isSome(known)) {
    if (Json.canonical(finished.value) !== Json.canonical(identity)) {
      const differences = differencesOf(finished.value, { ...about, ...identity }, known.value.provenance)
      return yield* new OtherStage({ stage, differences })
    }
    yield* (yield* Progress).message(`${stage}: finished already, so it is not trained again`)
    return known.value.tensors
  }
  const { also = {}, computedOn, tensors } = yield* compute
  yield* Effect.forEach(Object.entries(also), ([ending, other]) => {
    const name = `${stage}-${ending}`
    return runs.saveWeights(name, Weights.make(other, provenanceOf(about, { computedOn, name })))
  }, { discard: true })
  yield* runs.saveWeights(stage, Weights.make(tensors, provenanceOf(about, { computedOn })))
  yield* runs.done(stage, identity)
  return tensors
})

/** Refuses a configuration that asks for something that the stage does not support. */
export const requireConfig = (
  stage: string,
  problems: Readonly<Record<string, readonly [asked: boolean, message: string]>>
): Effect.Effect<void, Config.ConfigError> => {
  const [first, ...rest] = Object.entries(problems)
    .filter(([, [asked]]) => asked)
    .map(([path, [, message]]) => ({ path, message }))
  return first === undefined
    ? Effect.void
    : Effect.fail(new Config.ConfigError({ source: stage, problems: [first, ...rest] }))
}

/** The columns that the log adds to the row of a step. A metric must not have one of these names. */
export const columns: ReadonlyArray<string> = ["stage", "step", "lr", "weightDecay"]

const isWhole = Schema.is(Schema.Int)

/** The result of an evaluation during training, with networks that the run keeps from now on. */
export interface Evaluated extends Training.Evaluated {
  /** Networks of the state, of the stage's model. The run keeps the network `best` as `STAGE-best`, in place of a former one. */
  readonly keep?: Readonly<Record<string, object>>
}

/** An evaluation of a stage's state after some steps: see `Training.Evaluation`. */
export interface Evaluation<S, E, R> extends Pick<Training.Evaluation<S, E, R>, "at"> {
  /** Evaluates a state after a number of steps. `before` is the value of the evaluation before. */
  readonly measure: (state: S, steps: number, before: Json.Json | undefined) => Effect.Effect<Evaluated, E, R>
}

/** The parts of a training stage. */
export interface Stage<C, S extends AdamW.State<object>, B extends object, M, E1, R1, E2, R2, E3 = never, R3 = never>
  extends
    Pick<Identity, "model" | "teacher" | "teacherDigest" | "dataDigest" | "holdout" | "seed">,
    Pick<StageOptions, "checkpointEvery" | "continueFrom">,
    Pick<Weights.Provenance, "teacherModel">,
    Pick<Training.Training<S, B, M, E1, R1, E2, R2>, "isReplayable">
{
  /** The name of the stage in the run. */
  readonly stage: string
  /** The configuration. Checkpoints and results of another configuration are refused. */
  readonly config: C
  /** The schema of the configuration. */
  readonly schema: Schema.Codec<C, Json.Json>
  /** The optimizer: length of the stage, learning rates, weight decay. */
  readonly optimizer: OptimizerConfig
  /** Returns the learning rate of a step, counted from 0; by default that of the optimizer's configuration. */
  readonly rate?: (step: number) => number
  /** Number of steps of one epoch. */
  readonly stepsPerEpoch: number
  readonly step: TrainStep<S, B, M>
  /** Computes the state before the first step. A resumed stage does not run it. */
  readonly initial: Effect.Effect<HostOf<S>, E1, R1>
  /** Makes the batch of a step, a function of the step number alone. `hyper` has the optimizer's numbers of the step. */
  readonly batch: (step: number, hyper: HostOf<AdamW.Hyper>) => Effect.Effect<HostOf<B>, E2, R2>
  /** Receives each batch after its step, when it is no longer used. */
  readonly used?: (batch: HostOf<B>) => void
  /**
   * Copies what the run keeps of a batch, for those who look at it, before `used` receives the batch. It is called after the first
   * step of a process, and at checkpoints. See `SampleBatch`.
   */
  readonly sample?: (batch: HostOf<B>) => Weights.Tensors
  /**
   * Returns the row of a step in the log; by default all metrics that are one number. The log adds {@link columns}, so no metric
   * has one of their names. If an update takes several steps, only the last one has a `gradientNorm`: that of the mean gradient.
   */
  readonly measure?: (metrics: HostOf<M>) => Readonly<Record<string, number>>
  /** Looks at each step after it is logged, for example to warn of a training that goes wrong. It must be quick. */
  readonly watch?: ((taken: Training.Watched<HostOf<B>, HostOf<M>>) => Effect.Effect<void>) | undefined
  /** Selects the weights to keep from the last state, under official names; by default the parameters. */
  readonly trained?: (state: HostOf<S>) => object
  /** Evaluates the state during training, for the log, and to keep the best network. */
  readonly evaluation?: Evaluation<HostOf<S>, E3, R3> | undefined
  /** Selects other networks of the last state, of the same model. The run keeps the network `ema` as `STAGE-ema`. */
  readonly also?: (state: HostOf<S>) => Readonly<Record<string, object>>
}

/** Keeps the networks that an evaluation selects. */
const evaluating = <S, E, R>(
  { at, measure }: Evaluation<S, E, R>,
  about: Identity
): Training.Evaluation<S, E | RunsError | Weights.WeightsError, R | Runs> => ({
  at,
  run: Effect.fnUntraced(function*(state, { before, computedOn, steps }) {
    const { keep = {}, ...evaluated } = yield* measure(state, steps, before)
    const { saveWeights } = yield* Runs
    yield* Effect.forEach(Object.entries(keep), ([ending, network]) => {
      const name = `${about.stage}-${ending}`
      const provenance = provenanceOf(about, { computedOn, name, step: steps })
      return saveWeights(name, Weights.make(Weights.flatten(network), provenance))
    }, { discard: true })
    return evaluated
  })
})

/** Selects the metrics that are one number. */
export const scalars = (metrics: object): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Tree.leaves<HostTensor.Any>(metrics).flatMap(([name, { data, shape }]) =>
      shape.length === 0 ? [[name, data[0]!]] : []
    )
  )

/** Returns the parameters of a state. */
const parametersOf = ({ parameters }: AdamW.State<object>): object => parameters

/**
 * Trains as the optimizer's configuration says, and returns the weights. A stage that the run has finished is not trained
 * again.
 *
 * A stage that was interrupted or killed resumes from its newest checkpoint. It ends with the same bytes as an uninterrupted
 * one.
 *
 * Fails with {@link OtherStage} if the run holds the stage under another configuration, with `StageBusy` if this program trains
 * the stage already, with `TrainingError` if a step gives no
 * finite loss, with `ConfigError` for invalid options and for a metric with the name of one of {@link columns}, with
 * `ConfigError` and `OtherNetwork` if `continueFrom` does not fit, and as `initial`, `batch`, the engine and the run fail.
 */
export const train = <
  C,
  S extends AdamW.State<object>,
  B extends object,
  M,
  E1,
  R1,
  E2,
  R2,
  E3 = never,
  R3 = never
>(
  options: Stage<C, S, B, M, E1, R1, E2, R2, E3, R3>
) =>
  Effect.scoped(Effect.gen(function*() {
    const {
      checkpointEvery = 100,
      continueFrom,
      dataDigest,
      holdout,
      measure = scalars,
      model,
      optimizer,
      schema,
      seed,
      stage,
      step,
      stepsPerEpoch,
      teacher,
      teacherDigest,
      teacherModel,
      also = () => ({}),
      trained = parametersOf
    } = options
    const config = toJson(schema, yield* Config.check(schema, stage)(options.config))
    const { total } = optimizer.steps(stepsPerEpoch)
    const rate = options.rate ?? optimizer.learningRate(stepsPerEpoch)
    const weightDecay = optimizer.weightDecayAt(stepsPerEpoch)
    const { accumulate = 1, batchSize } = optimizer
    const { warmup } = optimizer.steps(stepsPerEpoch)
    const first = continueFrom === undefined ? 0 : Continuation.begin(continueFrom)
    yield* requireConfig(stage, {
      model: [model === "", "expected a name, got \"\""],
      seed: [!isWhole(seed), `expected a whole number, got ${seed}`],
      stepsPerEpoch: [
        !(isWhole(stepsPerEpoch) && stepsPerEpoch >= 1),
        `expected a whole number of steps from 1, got ${stepsPerEpoch}`
      ],
      checkpointEvery: [
        !(checkpointEvery >= 1 && (Number.isInteger(checkpointEvery) || checkpointEvery === Infinity)),
        `expected a whole number of steps from 1, or Infinity for none, got ${checkpointEvery}`
      ],
      "optimizer.warmup": [
        stepsPerEpoch >= 1 && warmup >= total,
        `expected a warmup that is shorter than the ${total} steps of the stage, got ${warmup} steps`
      ],
      "optimizer.duration": [
        stepsPerEpoch >= 1 && first >= total,
        `expected more than the ${first} steps that were taken before, got ${total}; raise it, or continue with the schedule anew`
      ]
    })
    const runs = yield* Runs
    yield* runs.training(stage)
    const updatesAt = (step: number): number => Math.floor(step / accumulate)
    const before = continueFrom === undefined ? 0 : continueFrom.updates - updatesAt(first)
    const initial: Effect.Effect<HostOf<S>, E1 | Continuation.ContinuationError, R1> = continueFrom === undefined
      ? options.initial
      // A state that does not fit leaves no trace in the run.
      : Effect.tap(Continuation.stateOf(continueFrom, step.state, trained, config), () =>
        runs.continues(stage, continueFrom.from))
    const taught = { ...(teacher !== undefined && { teacher }), ...(teacherDigest !== undefined && { teacherDigest }) }
    const continued = continueFrom && { continuedFrom: ContinuedFrom.portable(continueFrom.from) }
    const about: Identity = { stage, config, dataDigest, seed, step: total, model, holdout, ...taught, ...continued }
    const evaluation = options.evaluation && evaluating(options.evaluation, about)
    const last = Training.train({
      ...options,
      evaluation,
      config: ContinuedFrom.within(config, continueFrom?.from),
      network: {
        ...(typeof model === "string" ? { custom: { name: model, config } } : { model }),
        ...(teacherModel && { teacherModel })
      },
      checkpointEvery,
      measure: (metrics, step) => {
        const measured = measure(metrics)
        const taken = columns.find((name) =>
          Object.hasOwn(measured, name)
        )
        const { gradientNorm: _, ...others } = measured
        return Effect.as(
          requireConfig(stage, {
            measure: [
              taken !== undefined,
              `expected a name that is not taken (${columns.join(", ")}), got "${taken}"`
            ]
          }),
          (step + 1) % accumulate === 0 ? measured : others
        )
      },
      settings: (step) => ({ lr: rate(step), weightDecay: weightDecay(step) }),
      initial,
      ...(continueFrom && {
        begin: {
          step: first,
          computedOn: first > 0 ? continueFrom.computedOn : [],
          extra: (step: number) => ({ updates: updatesAt(step) + before })
        }
      }),
      steps: total,
      batchSize,
      batch: (step) => {
        const decay = AdamW.isScheduled(optimizer) ? weightDecay(step) : undefined
        return options.batch(step, AdamW.hyper(step, rate(step), optimizer, before, decay))
      }
    })
    return yield* unlessFinished(
      about,
      Effect.map(last, ({ computedOn, state }): Computed => ({
        tensors: Weights.flatten(trained(state)),
        also: Record.map(also(state), Weights.flatten),
        computedOn
      }))
    )
  }))

/**
 * Trains a stage, and trains it again after a step that is not finite. Each further attempt continues from the checkpoint before
 * that step, under its own name: `stage`, `stage-1`, `stage-2`.
 *
 * `train` gets the number of the attempt, from 0, and the options of the stage. Fails as `train` does after `times` further
 * attempts, and with `ContinuationError` if there is no checkpoint yet.
 */
export const retryNonFinite = <A, E, R>(
  options: { readonly stage: string; readonly times: number },
  train: (attempt: number, options: Pick<StageOptions, "stage" | "continueFrom">) => Effect.Effect<A, E, R>
) => {
  const nameOf = (attempt: number): string => attempt === 0 ? options.stage : `${options.stage}-${attempt}`
  return Effect.gen(function*() {
    const { attempt } = yield* Schedule.CurrentMetadata
    const continueFrom = attempt === 0
      ? undefined
      : yield* Continuation.here({ stage: nameOf(attempt - 1), step: "previous" })
    return yield* train(attempt, { stage: nameOf(attempt), continueFrom })
  }).pipe(
    Effect.retry({
      while: (error) => error instanceof Training.TrainingError && error.reason._tag === "NonFinite",
      times: options.times
    })
  )
}
