/**
 * The training loop of all stages: it makes batches, takes steps, writes the log and keeps checkpoints.
 *
 * A stage resumes from its newest checkpoint. A batch depends on its step number alone. A run that was killed at any moment and
 * started again therefore ends with the same bytes as an uninterrupted one.
 */
import { Effect, Exit, Fiber, Option, Result, Runtime, Schema, type Scope, Stream } from "effect"
import type * as Config from "../../domain/config/Config.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { Engine, type EngineError, Reason, type TrainHandle } from "../../layers/engine/Engine.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import { Checkpoints, type CheckpointsError } from "../../layers/run/Checkpoints.ts"
import { Progress } from "../../layers/run/Progress.ts"
import { evaluationsOf, Runs, type RunsError } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import type { HostOf, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as DataTiming from "./DataTiming.ts"
import * as Memory from "./Memory.ts"
import { prefetch } from "./Prefetch.ts"
import * as TrainingMetrics from "./TrainingMetrics.ts"

/**
 * A stage stopped because a step failed. The reasons are those of an engine: `Effect.catchReason("TrainingError", "NonFinite",
 * ...)` catches one of them.
 */
export class TrainingError extends TaggedError<TrainingError>()("TrainingError", {
  stage: Schema.String,
  step: Schema.Int,
  /** The name of the failed step's batch in the run folder, for replay. */
  batch: Schema.String,
  reason: Reason,
  /** What takes the step again: the command `patchword replay`, or `Replay.take` in code. Absent if the run has no state before it. */
  replay: Schema.optionalKey(Schema.Literals(["command", "code"]))
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    const { batch, reason, stage, step } = this
    const state = reason._tag === "NonFinite" ? "the state before it as a checkpoint and " : ""
    const failed = "step" in reason ? reason.finding : `step ${step} failed: ${reason.finding}`
    return `${stage}: ${failed}. The run keeps ${state}its batch as stages/${batch}.safetensors`
  }
  get remedy() {
    const { reason, replay } = this
    const again = replay === undefined
      ? ""
      : ` ${replay === "command" ? "\"patchword replay RUN\"" : "Replay.take, in code,"} takes the step again.`
    return `${reason.remedy}.${again} Then start again, with other settings in another run folder`
  }
}

/** The result of an evaluation during training. */
export interface Evaluated {
  /** A row of the log, under the stage `STAGE-validation`. */
  readonly row: Readonly<Record<string, number>>
  /** A value for the next evaluation. It is part of the checkpoints. */
  readonly value: Json.Json
}

/** An evaluation of the state after some steps, before the next one. */
export interface Evaluation<S, E, R> {
  /** Tests whether the state after this number of steps is evaluated. */
  readonly at: (steps: number) => boolean
  /** Evaluates a state. `before` is the value of the evaluation before. A resumed stage may repeat an evaluation. */
  readonly run: (
    state: S,
    about: {
      readonly steps: number
      readonly before: Json.Json | undefined
      readonly computedOn: ComputedOn.History
    }
  ) => Effect.Effect<Evaluated, E, R>
}

/** A step that was taken. */
export interface Watched<B, M> {
  /** The number of steps taken. */
  readonly step: number
  readonly batch: B
  readonly metrics: M
}

/** The parts of a stage that the loop needs. */
export interface Training<S extends AdamW.State<object>, B, M, E1, R1, E2, R2, E3 = never, R3 = never> {
  readonly stage: string
  readonly step: TrainStep<S, B, M>
  /** The identity of the stage's computation. Checkpoints of another one are refused. */
  readonly config: Json.Json
  readonly dataDigest: string
  readonly seed: number
  readonly steps: number
  readonly batchSize: number
  readonly stepsPerEpoch: number
  readonly checkpointEvery: number
  /** The network that is trained, for the batch of a failed step. */
  readonly network?: Pick<Weights.Provenance, "model" | "custom" | "teacherModel">
  /** True if `patchword replay` makes the step from this network. It knows the stages of this package alone. */
  readonly isReplayable?: boolean
  /** Computes the state before the first step. A resumed stage does not run it. */
  readonly initial: Effect.Effect<HostOf<S>, E1, R1>
  /**
   * The number of steps that count as taken at the start, the engines that computed them, and other facts about the first
   * state.
   */
  readonly begin?: {
    readonly step: number
    readonly computedOn: ComputedOn.History
    readonly extra: (step: number) => Json.Json
  }
  /** Makes the batch of a step, a function of the step number alone. */
  readonly batch: (step: number) => Effect.Effect<HostOf<B>, E2, R2>
  /** Receives each batch after its step, when it is no longer used. */
  readonly used?: (batch: HostOf<B>) => void
  /** Copies what the run keeps of a batch, for those who look at it. It is called for few steps, before `used`. */
  readonly sample?: (batch: HostOf<B>) => Weights.Tensors
  /** Returns the metrics of a step, for the progress display and the log. */
  readonly measure: (
    metrics: HostOf<M>,
    step: number
  ) => Effect.Effect<Readonly<Record<string, number>>, Config.ConfigError>
  /** Looks at each step after it is logged, for example to warn of a training that goes wrong. It must be quick. */
  readonly watch?: ((taken: Watched<HostOf<B>, HostOf<M>>) => Effect.Effect<void>) | undefined
  readonly evaluation?: Evaluation<HostOf<S>, E3, R3> | undefined
  /** Returns the settings of a step, for the log. */
  readonly settings: (step: number) => Readonly<Record<string, number>>
}

/** The last evaluation before a checkpoint. */
const Last = Schema.Struct({ evaluation: Schema.Struct({ steps: Schema.Int, value: Schema.Json }) })
type Last = typeof Last.Type["evaluation"]

/** A training on the engine: its step, the number of steps that were taken before, and the engines of all steps. */
interface Resumed<S, B, M> {
  readonly handle: TrainHandle<S, B, M>
  readonly start: number
  /** True if the run has a checkpoint of its state. */
  readonly saved: boolean
  readonly computedOn: ComputedOn.History
  /** The last evaluation, if there was one. */
  readonly evaluated: Last | undefined
}

/** A step that the engine takes when its metrics are asked for, or has taken in before. */
interface Begun<B, M> {
  readonly batch: HostOf<B>
  readonly bytes: number
  readonly number: number
  readonly secondsWaitedForData: number
  readonly metrics: Effect.Effect<HostOf<M>, EngineError>
}

/** Opens the step on the engine, in the state of the newest checkpoint, or in its first state. */
const resume = Effect.fnUntraced(function*<S extends AdamW.State<object>, B, M, E1, R1, E2, R2, E3, R3>(
  options: Training<S, B, M, E1, R1, E2, R2, E3, R3>
) {
  const { begin, config, dataDigest, initial, stage, step, steps } = options
  const engine = yield* Engine
  const runs = yield* Runs
  // The first state is a copy of what the engine holds from here on; nothing may keep it alive.
  const { before, evaluated, handle, saved, start } = yield* Effect.gen(function*() {
    const latest = Option.getOrUndefined(yield* (yield* Checkpoints).latest({ stage, config, dataDigest }))
    const first = begin?.step ?? 0
    const start = latest?.step ?? first
    const state = latest === undefined ? yield* initial : yield* restore<S>(step, AdamW.join(latest), stage)
    const rows = yield* runs.rewind(stage, start + 1)
    if (rows !== start - first) {
      yield* Effect.logWarning(
        `${stage}: the log has ${rows} rows of the ${
          start - first
        } steps of the checkpoint. Some rows were lost or changed. ` +
          "The curves have gaps, but the weights are right"
      )
    }
    const last = Option.getOrUndefined(Schema.decodeUnknownOption(Last)(latest?.extra))?.evaluation
    if (options.evaluation !== undefined) yield* runs.rewind(evaluationsOf(stage), (last?.steps ?? 0) + 1)
    return {
      evaluated: last,
      handle: yield* engine.train(step, state, start),
      start,
      before: (latest ?? begin)?.computedOn ?? [],
      saved: latest !== undefined || begin === undefined
    }
  })
  if (start < steps) yield* runs.computesOn(engine.about)
  if (start > 0 && before.length === 0) {
    yield* Effect.logWarning(
      `${stage}: its checkpoint is of an earlier version and does not name the engine of the first ${start} steps. The ` +
        `others are computed on ${ComputedOn.show(engine.about)}`
    )
  }
  const resumed: Resumed<S, B, M> = {
    handle,
    start,
    saved,
    evaluated,
    computedOn: start < steps ? ComputedOn.extend(before, engine.about, start + 1) : before
  }
  return resumed
})

const restore = <S>(step: { readonly state: object }, tensors: Weights.Tensors, stage: string) =>
  Effect.fromResult(Result.map(
    Weights.conform(step.state, Weights.make(tensors), `${stage} checkpoint`),
    () => Tree.map<HostOf<S>>(step.state, (_, path) => tensors[path])
  ))

/** Makes the function that saves a checkpoint. `logged` is the last step with a row in the log. The state before the `first` step is not saved unless asked. */
const saving = Effect.fnUntraced(function*<S extends AdamW.State<object>, B, M, E1, R1, E2, R2, E3, R3>(
  { begin, config, dataDigest, stage, stepsPerEpoch }: Training<S, B, M, E1, R1, E2, R2, E3, R3>,
  { computedOn, handle, saved: there, start }: Resumed<S, B, M>,
  evaluated: () => Last | undefined
) {
  const checkpoints = yield* Checkpoints
  const { flush } = yield* Runs
  let saved = there ? start : undefined
  return Effect.fn("patchword.train.save")(function*(logged: number, also: "first" | undefined = undefined) {
    const { state, steps: step } = yield* handle.snapshot
    yield* Effect.annotateCurrentSpan({ "patchword.stage": stage, "patchword.step": step })
    // A step whose row could not be logged is taken again.
    if ((step === saved && !(also === "first" && step === 0)) || step !== logged) return
    const { optimizer, weights } = AdamW.split(state)
    const last = evaluated()
    yield* flush
    yield* checkpoints.save({
      stage,
      config,
      dataDigest,
      weights: Weights.flatten(weights),
      optimizer: Weights.flatten(optimizer),
      configDigest: digestOf(config),
      computedOn,
      step,
      epoch: Math.floor(step / stepsPerEpoch),
      extra: Json.merge(begin?.extra(step) ?? {}, last === undefined ? {} : { evaluation: last })
    })
    saved = step
  })
})

const digestOf = (config: Json.Json): string => Files.sha256(Json.canonical(config))

/** Says where the batch of a step comes from. */
const provenanceOf = (
  { config, dataDigest, seed, stage }: Pick<Weights.Provenance, "stage" | "dataDigest" | "seed"> & {
    readonly config: Json.Json
  },
  step: number,
  computedOn: ComputedOn.History
) => new Weights.Provenance({ stage, configDigest: digestOf(config), dataDigest, step, computedOn, seed })

/**
 * Takes all remaining steps of a stage. Returns its last state, and the engines of all steps.
 *
 * Fails as `measure` does, before it logs the step. Fails with `TrainingError` if a step gives a loss that is not finite, or if
 * the engine fails. The batch is saved. For a loss
 * that is not finite, the state before it is saved as well. On interruption the state is saved before the effect ends. If that
 * fails, its error is a defect, in addition to the interruption.
 */
export const train = Effect.fn("patchword.train")(
  function*<S extends AdamW.State<object>, B extends object, M, E1, R1, E2, R2, E3 = never, R3 = never>(
    options: Training<S, B, M, E1, R1, E2, R2, E3, R3>
  ): Effect.fn.Return<
    { readonly state: HostOf<S>; readonly computedOn: ComputedOn.History },
    | E1
    | E2
    | E3
    | Config.ConfigError
    | TrainingError
    | Ranks.RanksError
    | EngineError
    | CheckpointsError
    | RunsError
    | Weights.WeightsError,
    R1 | R2 | R3 | Engine | Checkpoints | Runs | Scope.Scope
  > {
    const { batchSize, checkpointEvery, evaluation, stage, step, steps } = options
    yield* Effect.annotateCurrentSpan({
      "patchword.stage": stage,
      "patchword.steps": steps,
      "patchword.batch_size": batchSize
    })
    yield* Memory.checkFits(stage, step.state as object)
    const { about } = yield* Engine
    const { config, dataDigest, seed } = options
    yield* Ranks.agree(`${stage} stage`, {
      config,
      data: dataDigest,
      engine: ComputedOn.of(about),
      seed,
      batchSize,
      steps
    })
    const runs = yield* Runs
    const progress = yield* Progress
    const resumed = yield* resume(options)
    const { computedOn, handle, start } = resumed
    const engine = yield* Engine
    yield* Effect.annotateCurrentSpan({
      "patchword.engine": engine.name,
      "patchword.run": Option.getOrElse(runs.directory, () => "in memory"),
      "patchword.steps_before": start
    })
    let { evaluated } = resumed
    const save = yield* saving(options, resumed, () => evaluated)
    let logged = start
    // The state that is gone on from may not stay where it is.
    if (!resumed.saved) yield* save(logged)
    if (start > 0) yield* progress.message(`${stage}: goes on after step ${start} of ${steps}`)
    // Who interrupts has no other way to hear that the state is lost.
    yield* Effect.addFinalizer((exit) =>
      Exit.hasInterrupts(exit)
        ? Effect.andThen(
          Effect.orDie(save(logged)),
          progress.message(
            logged === 0
              ? `${stage}: stopped before its first step`
              : `${stage}: stopped after step ${logged} of ${steps}; a checkpoint is kept`
          )
        )
        : Effect.void
    )
    const timing = yield* DataTiming.make
    const recorder = TrainingMetrics.recorder(stage)
    const recordMemory = Effect.ignore(Effect.flatMap(engine.memory, recorder.memory))
    yield* recordMemory
    let timed = start
    const time = Effect.suspend(() => {
      if (logged === timed) return Effect.void
      timed = logged
      const row = { stage, step: logged, total: steps, batchSize, ...timing.row(logged - start) }
      return Effect.catch(runs.timing(row), ({ message }) => Effect.logWarning(`the timings were not kept: ${message}`))
    })
    // Also of the part that an interrupted process took.
    yield* Effect.addFinalizer(() => time)

    const failed = Effect.fnUntraced(function*(number: number, batch: HostOf<B>, reason: Reason) {
      const { isReplayable = false, network } = options
      const kept = Weights.make(
        Weights.flatten(batch),
        new Weights.Provenance({ ...provenanceOf(options, number, computedOn), ...network })
      )
      const name = yield* runs.saveBatch(stage, number, kept)
      // Of a step that only gave no finite loss, the state is that of the step before.
      const isFinite = reason._tag !== "NonFinite"
      if (!isFinite) yield* save(logged, "first")
      return yield* new TrainingError({
        stage,
        step: number,
        batch: name,
        reason,
        ...(!isFinite && { replay: isReplayable ? "command" : "code" })
      })
    })
    const made = (index: number) =>
      Effect.map(options.batch(index), (batch) => ({ batch, bytes: timing.made(batch), number: index + 1 }))
    const isSaved = (number: number): boolean => number % checkpointEvery === 0 && number < steps
    const log = Effect.fnUntraced(function*({ number }: Begun<B, M>, metrics: HostOf<M>) {
      const row = yield* options.measure(metrics, number - 1)
      yield* runs.log({ stage, step: number, ...row, ...options.settings(number - 1) })
      logged = number
      return { metrics, row }
    })
    // Nobody needs it to go on, so a full disk does not stop the stage here.
    const show = (number: number, sample: Weights.Tensors | undefined) =>
      sample === undefined ? Effect.void : Effect.ignore(
        runs.saveSample(stage, Weights.make(sample, provenanceOf(options, number, computedOn))),
        { log: true }
      )
    // A step is in the state and in the log, or in neither: nobody is interrupted between the two.
    const take = Effect.fnUntraced(function*(step: Begun<B, M>) {
      const { batch, metrics, number } = step
      return yield* log(
        step,
        yield* Effect.catchTag(metrics, "EngineError", ({ reason }) => failed(number, batch, reason))
      )
    }, Effect.uninterruptible)
    const finish = Effect.fnUntraced(function*(step: Begun<B, M>) {
      const { batch, bytes, number, secondsWaitedForData } = step
      const { metrics: taken, row: metrics } = yield* take(step)
      if (options.watch !== undefined) yield* options.watch({ step: number, batch, metrics: taken })
      const sample = number === start + 1 || isSaved(number) ? options.sample?.(batch) : undefined
      options.used?.(batch)
      const imagesPerSecond = (number - start) * batchSize / (yield* timing.seconds)
      yield* recorder.step({
        images: batchSize,
        imagesPerSecond,
        loss: metrics["loss"],
        secondsWaitedForData,
        bytesOfBatches: timing.held()
      })
      yield* progress.report({ stage, step: number, total: steps, metrics, imagesPerSecond })
      if (isEvaluated(number)) yield* evaluate(number)
      if (isSaved(number)) {
        yield* save(logged)
        yield* recordMemory
      }
      yield* show(number, sample)
      yield* timing.done(bytes)
      // For those who look at the run while it trains.
      if (timing.due()) yield* time
    })
    const evaluate = Effect.fnUntraced(function*(steps: number) {
      if (evaluation === undefined) return
      const { state } = yield* handle.snapshot
      const { row, value } = yield* evaluation.run(state, { steps, before: evaluated?.value, computedOn })
      // An interruption between the two would leave a second row.
      yield* Effect.uninterruptible(
        Effect.tap(runs.log({ stage: evaluationsOf(stage), step: steps, ...row }), () =>
          Effect.sync(() => {
            evaluated = { steps, value }
          }))
      )
    })
    const isEvaluated = (number: number): boolean => evaluation?.at(number) === true
    // The process was killed or interrupted before this evaluation, or during it.
    if (start > (options.begin?.step ?? 0) && isEvaluated(start) && evaluated?.steps !== start) yield* evaluate(start)
    const begun: Array<Begun<B, M>> = []
    // Steps that the engine has are in its state, so they must get into the log.
    yield* Effect.addFinalizer(() =>
      Effect.ignore(
        Effect.forEach(begun, (step) =>
          Effect.suspend(() =>
            step.number === logged + 1
              ? Effect.flatMap(step.metrics, (metrics) => log(step, metrics))
              : Effect.void
          ))
      )
    )
    yield* prefetch(start, steps - 1, made).pipe(
      Stream.runForEach(Effect.fnUntraced(function*({ batch, bytes, number }) {
        const secondsWaitedForData = yield* timing.begun
        const step = { batch, bytes, number, secondsWaitedForData, metrics: handle.run(batch, number) }
        // A checkpoint or an evaluation is of a state that no later step changes.
        const ahead = isSaved(number) || isEvaluated(number) || number === steps ? 0 : handle.ahead
        if (ahead > 0) {
          const fiber = yield* Effect.forkDetach(step.metrics, { startImmediately: true, uninterruptible: true })
          begun.push({ ...step, metrics: Fiber.join(fiber) })
        }
        while (begun.length > ahead) {
          yield* finish(begun[0]!)
          begun.shift()
        }
        if (ahead === 0) yield* finish(step)
      }))
    )
    return { state: (yield* handle.snapshot).state, computedOn }
  }
)
