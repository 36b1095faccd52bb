/**
 * The loop that every training stage shares: batches in, steps taken, rows logged, checkpoints kept.
 *
 * A stage is resumed from its newest checkpoint, and since a batch depends on its step number alone, a run that was
 * killed at any moment and started again ends with the bytes of one that never stopped.
 */
import { Effect, Exit, Option, Result, Runtime, Schema, type Scope, Stream } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { Engine, type EngineError, Reason, type TrainHandle } from "../../layers/engine/Engine.ts"
import * as Files from "../../layers/files/Files.ts"
import { Checkpoints, type CheckpointsError } from "../../layers/run/Checkpoints.ts"
import { Progress } from "../../layers/run/Progress.ts"
import { Runs, type RunsError } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import type { HostOf, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as DataTiming from "./DataTiming.ts"
import * as Memory from "./Memory.ts"
import { prefetch } from "./Prefetch.ts"
import * as TrainingMetrics from "./TrainingMetrics.ts"

/**
 * A stage had to stop because a step could not be taken: `Effect.catchReason("TrainingError", "NonFinite", ...)` catches one
 * of the reasons, which are those of an engine. Exits with 70.
 */
export class TrainingError extends Schema.TaggedError<TrainingError>()("TrainingError", {
  stage: Schema.String,
  step: Schema.Int,
  /** The batch of the failed step, in the run folder, for replay. */
  batch: Schema.String,
  reason: Reason
}) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    const { batch, reason, stage, step } = this
    const state = reason._tag === "NonFinite" ? "the state before it as a checkpoint and " : ""
    const failed = "step" in reason ? reason.message : `step ${step} failed: ${reason.message}`
    return `${stage}: ${failed}. The run keeps ${state}its batch as stages/${batch}.safetensors; mend what that was made of and ` +
      "start again, or begin another run with other settings"
  }
}

/** What a stage tells the loop. */
export interface Training<S extends AdamW.State<object>, B, M, E1, R1, E2, R2> {
  readonly stage: string
  readonly step: TrainStep<S, B, M>
  /** What identifies the stage's computation: a checkpoint of anything else is refused. */
  readonly config: Json.Json
  readonly dataDigest: string
  readonly seed: number
  readonly steps: number
  readonly batchSize: number
  readonly stepsPerEpoch: number
  readonly checkpointEvery: number
  /** The state before the first step; not asked for on resume. */
  readonly initial: Effect.Effect<HostOf<S>, E1, R1>
  /** Steps that count as taken before the first, what they were computed on, and what else is known of a step's state. */
  readonly begin?: {
    readonly step: number
    readonly computedOn: ComputedOn.History
    readonly extra: (step: number) => Json.Json
  }
  /** The batch of one step, a function of the step number alone. */
  readonly batch: (step: number) => Effect.Effect<HostOf<B>, E2, R2>
  /** Told of each batch when its step is taken, and nobody reads it any more. */
  readonly used?: (batch: HostOf<B>) => void
  /** What a step shows, and adds to the log. */
  readonly measure: (metrics: HostOf<M>, step: number) => Readonly<Record<string, number>>
  /** What the log says of a step besides: how it was taken. */
  readonly settings: (step: number) => Readonly<Record<string, number>>
}

/** A training on the engine: its step, how many steps were taken before, and what all steps are computed on. */
interface Resumed<S, B, M> {
  readonly handle: TrainHandle<S, B, M>
  readonly start: number
  /** Whether the run has its state. */
  readonly saved: boolean
  readonly computedOn: ComputedOn.History
}

/** Puts the step on the engine, in the state of the newest checkpoint or else in its first one. */
const resume = Effect.fnUntraced(function*<S extends AdamW.State<object>, B, M, E1, R1, E2, R2>(
  { begin, config, dataDigest, initial, stage, step, steps }: Training<S, B, M, E1, R1, E2, R2>
) {
  const engine = yield* Engine
  const runs = yield* Runs
  // The first state is a copy of what the engine holds from here on; nothing may keep it alive.
  const { before, handle, saved, start } = yield* Effect.gen(function*() {
    const latest = Option.getOrUndefined(yield* (yield* Checkpoints).latest({ stage, config, dataDigest }))
    const first = begin?.step ?? 0
    const start = latest?.step ?? first
    const state = latest === undefined ? yield* initial : yield* restore<S>(step, AdamW.join(latest), stage)
    const rows = yield* runs.rewind(stage, start + 1)
    if (rows !== start - first) {
      yield* Effect.logWarning(
        `${stage}: the log has ${rows} rows of the ${
          start - first
        } steps that the checkpoint holds, so some were lost or changed; ` +
          "its curves have gaps, and the weights are right all the same"
      )
    }
    return {
      handle: yield* engine.train(step, state, start),
      start,
      before: (latest ?? begin)?.computedOn ?? [],
      saved: latest !== undefined || begin === undefined
    }
  })
  if (start < steps) yield* runs.computesOn(engine.about)
  if (start > 0 && before.length === 0) {
    yield* Effect.logWarning(
      `${stage}: its checkpoint, of an earlier version, does not say what the first ${start} steps were computed on; the ` +
        `others are on ${ComputedOn.show(engine.about)}`
    )
  }
  const resumed: Resumed<S, B, M> = {
    handle,
    start,
    saved,
    computedOn: start < steps ? ComputedOn.extend(before, engine.about, start + 1) : before
  }
  return resumed
})

const restore = <S>(step: { readonly state: object }, tensors: Weights.Tensors, stage: string) =>
  Effect.fromResult(Result.map(
    Weights.conform(step.state, Weights.make(tensors), `${stage} checkpoint`),
    () => Tree.map<HostOf<S>>(step.state, (_, path) => tensors[path])
  ))

/** What keeps the state as a checkpoint; `logged` is the last step with a row in the log. */
const saving = Effect.fnUntraced(function*<S extends AdamW.State<object>, B, M, E1, R1, E2, R2>(
  { begin, config, dataDigest, stage, stepsPerEpoch }: Training<S, B, M, E1, R1, E2, R2>,
  { computedOn, handle, saved: there, start }: Resumed<S, B, M>
) {
  const checkpoints = yield* Checkpoints
  let saved = there ? start : undefined
  return Effect.fn("patchword.train.save")(function*(logged: number) {
    const { state, steps: step } = yield* handle.snapshot
    yield* Effect.annotateCurrentSpan({ "patchword.stage": stage, "patchword.step": step })
    // A step whose row could not be logged is taken again.
    if (step === saved || step !== logged) return
    const { optimizer, weights } = AdamW.split(state)
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
      extra: begin?.extra(step) ?? {}
    })
    saved = step
  })
})

const digestOf = (config: Json.Json): string => Files.sha256(Json.canonical(config))

/** Keeps the batch of a step that could not be taken, for replay; gives its name in the run. */
const saveBatch = Effect.fnUntraced(function*(
  { config, dataDigest, seed, stage }: Pick<Weights.Provenance, "stage" | "dataDigest" | "seed"> & {
    readonly config: Json.Json
  },
  step: number,
  batch: object,
  computedOn: ComputedOn.History
) {
  const configDigest = digestOf(config)
  const provenance = new Weights.Provenance({ stage, configDigest, dataDigest, step, computedOn, seed })
  return yield* (yield* Runs).saveBatch(stage, step, Weights.make(Weights.flatten(batch), provenance))
})

/**
 * Takes all steps of a stage that are not taken yet and returns its last state, and what all steps were computed on.
 *
 * Fails with `TrainingError` when a step gives a loss that is not finite or the engine fails; the batch is kept, and in the
 * first case the state before it. On interruption the state is saved before the effect ends; where that fails, its error is a
 * defect beside the interruption.
 */
export const train = Effect.fn("patchword.train")(
  function*<S extends AdamW.State<object>, B extends object, M, E1, R1, E2, R2>(
    options: Training<S, B, M, E1, R1, E2, R2>
  ): Effect.fn.Return<
    { readonly state: HostOf<S>; readonly computedOn: ComputedOn.History },
    E1 | E2 | TrainingError | EngineError | CheckpointsError | RunsError | Weights.WeightsError,
    R1 | R2 | Engine | Checkpoints | Runs | Scope.Scope
  > {
    const { batchSize, checkpointEvery, stage, step, steps } = options
    yield* Effect.annotateCurrentSpan({
      "patchword.stage": stage,
      "patchword.steps": steps,
      "patchword.batch_size": batchSize
    })
    yield* Memory.checkFits(stage, step.state as object)
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
    const save = yield* saving(options, resumed)
    let logged = start
    // The state that is gone on from may not stay where it is.
    if (!resumed.saved) yield* save(logged)
    // Who interrupts has no other way to hear that the state is lost.
    yield* Effect.addFinalizer((exit) => Exit.hasInterrupts(exit) ? Effect.orDie(save(logged)) : Effect.void)
    const timing = yield* DataTiming.make
    const recorder = TrainingMetrics.recorder(stage)
    const recordMemory = Effect.ignore(Effect.flatMap(engine.memory, recorder.memory))
    yield* recordMemory
    // Also of the part that an interrupted process took.
    yield* Effect.addFinalizer(() =>
      logged === start
        ? Effect.void
        : Effect.ignore(runs.timing({ stage, step: logged, ...timing.row(logged - start) }), { log: true })
    )

    const failed = Effect.fnUntraced(function*(number: number, batch: HostOf<B>, reason: Reason) {
      const name = yield* saveBatch(options, number, batch, computedOn)
      // Of a step that only gave no finite loss, the state is that of the step before.
      if (reason._tag === "NonFinite") yield* save(logged)
      return yield* new TrainingError({ stage, step: number, batch: name, reason })
    })
    const made = (index: number) =>
      Effect.map(options.batch(index), (batch) => ({ batch, bytes: timing.made(batch), number: index + 1 }))
    // A step is in the state and in the log, or in neither: nobody is interrupted between the two.
    const take = Effect.fnUntraced(function*(number: number, batch: HostOf<B>) {
      const metrics = yield* Effect.catchTag(
        handle.run(batch),
        "EngineError",
        ({ reason }) => failed(number, batch, reason)
      )
      const row = options.measure(metrics, number - 1)
      yield* runs.log({ stage, step: number, ...row, ...options.settings(number - 1) })
      logged = number
      return row
    }, Effect.uninterruptible)
    yield* prefetch(start, steps - 1, made).pipe(
      Stream.runForEach(Effect.fnUntraced(function*({ batch, bytes, number }) {
        const secondsWaitedForData = yield* timing.begun
        const metrics = yield* take(number, batch)
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
        if (number % checkpointEvery === 0 && number < steps) {
          yield* save(logged)
          yield* recordMemory
        }
        yield* timing.done(bytes)
      }))
    )
    return { state: (yield* handle.snapshot).state, computedOn }
  }
)
