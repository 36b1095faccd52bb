/**
 * The loop that every training stage shares: batches in, steps taken, rows logged, checkpoints kept.
 *
 * A stage is resumed from its newest checkpoint, and since a batch depends on its step number alone, a run that was
 * killed at any moment and started again ends with the bytes of one that never stopped.
 */
import { Clock, Effect, Exit, Option, Result, Runtime, Schema, type Scope, Stream } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { Engine, EngineError } from "../../layers/engine/Engine.ts"
import * as Files from "../../layers/files/Files.ts"
import { Checkpoints, type CheckpointsError } from "../../layers/run/Checkpoints.ts"
import { Progress } from "../../layers/run/Progress.ts"
import { Runs, type RunsError } from "../../layers/run/Runs.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import type { HostOf, TrainStep } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Memory from "./Memory.ts"
import { prefetch } from "./Prefetch.ts"

/** A stage had to stop because a step could not be taken. Exits with 70. */
export class TrainingError extends Schema.TaggedError<TrainingError>()("TrainingError", {
  stage: Schema.String,
  step: Schema.Int,
  /** The batch of the failed step, in the run folder, for replay. */
  batch: Schema.String,
  reason: EngineError
}) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    const state = this.reason.reason._tag === "NonFinite" ? "the state before it as a checkpoint and " : ""
    return `${this.stage}: step ${this.step} failed: ${this.reason.message}. The run keeps ${state}its batch as ` +
      `stages/${this.batch}.safetensors; mend what the batch was made of and start the run again, or begin another run with a lower ` +
      "learning rate or a smaller batch"
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
  /** The batch of one step, a function of the step number alone. */
  readonly batch: (step: number) => Effect.Effect<HostOf<B>, E2, R2>
  /** Told of each batch when its step is taken, and nobody reads it any more. */
  readonly used?: (batch: HostOf<B>) => void
  /** The row that a step adds to the log. */
  readonly measure: (metrics: HostOf<M>) => Readonly<Record<string, number>>
}

const bytesOf = (batch: object): number =>
  Object.values(Weights.flatten(batch)).reduce((sum, { data }) => sum + data.byteLength, 0)

/**
 * Takes all steps of a stage that are not taken yet and returns its last state, and what all steps were computed on.
 *
 * Fails with `TrainingError` when a step gives a loss that is not finite or the engine fails; the batch is kept, and in the
 * first case the state before it. On interruption the state is saved before the effect ends; where that fails, its error is a
 * defect beside the interruption.
 */
export const train = Effect.fn("train")(function*<S extends AdamW.State<object>, B extends object, M, E1, R1, E2, R2>(
  options: Training<S, B, M, E1, R1, E2, R2>
): Effect.fn.Return<
  { readonly state: HostOf<S>; readonly computedOn: ComputedOn.History },
  E1 | E2 | TrainingError | EngineError | CheckpointsError | RunsError | Weights.WeightsError,
  R1 | R2 | Engine | Checkpoints | Runs | Scope.Scope
> {
  const { batchSize, config, dataDigest, seed, stage, step, steps, stepsPerEpoch } = options
  yield* Memory.checkFits(stage, step.state as object)
  const engine = yield* Engine
  const checkpoints = yield* Checkpoints
  const runs = yield* Runs
  const progress = yield* Progress
  const request = { stage, config, dataDigest }
  const digest = Files.sha256(Json.canonical(config))

  // The first state is a copy of what the engine holds from here on; nothing may keep it alive.
  const { before, handle, start } = yield* Effect.gen(function*() {
    const latest = yield* checkpoints.latest(request)
    const taken = Option.match(latest, { onNone: () => 0, onSome: (snapshot) => snapshot.step })
    const initial = Option.isNone(latest)
      ? yield* options.initial
      : yield* Effect.fromResult(restore<S>(step, AdamW.join(latest.value), stage))
    const rows = yield* runs.rewind(stage, taken + 1)
    if (rows !== taken) {
      yield* Effect.logWarning(
        `${stage}: the log has ${rows} rows of the ${taken} steps that the checkpoint holds, so some were lost or changed; ` +
          "its curves have gaps, and the weights are right all the same"
      )
    }
    return {
      handle: yield* engine.train(step, initial, taken),
      start: taken,
      before: Option.match(latest, { onNone: () => [], onSome: (snapshot) => snapshot.computedOn })
    }
  })
  if (start < steps) yield* runs.computesOn(engine.about)
  if (start > 0 && before.length === 0) {
    yield* Effect.logWarning(
      `${stage}: its checkpoint, of an earlier version, does not say what the first ${start} steps were computed on; the ` +
        `others are on ${ComputedOn.show(engine.about)}`
    )
  }
  const computedOn = start < steps ? ComputedOn.extend(before, engine.about, start + 1) : before

  let logged = start
  let saved = start
  const save = Effect.fn("train.save")(function*() {
    const { state, steps: taken } = yield* handle.snapshot
    // A step whose row could not be logged is taken again.
    if (taken === saved || taken !== logged) return
    const { optimizer, weights } = AdamW.split(state)
    yield* checkpoints.save({
      ...request,
      weights: Weights.flatten(weights),
      optimizer: Weights.flatten(optimizer),
      configDigest: digest,
      computedOn,
      step: taken,
      epoch: Math.floor(taken / stepsPerEpoch),
      extra: {}
    })
    saved = taken
  })
  // Who interrupts has no other way to hear that the state is lost.
  yield* Effect.addFinalizer((exit) => Exit.hasInterrupts(exit) ? Effect.orDie(save()) : Effect.void)

  const keep = Effect.fnUntraced(function*(number: number, batch: HostOf<B>, reason: EngineError) {
    const name = `replay/${stage}-step-${number}`
    const provenance = new Weights.Provenance({
      stage,
      configDigest: digest,
      dataDigest,
      step: number,
      computedOn,
      seed
    })
    yield* runs.saveBatch(name, Weights.make(Weights.flatten(batch), provenance))
    // Of a step that only gave no finite loss, the state is that of the step before.
    if (reason.reason._tag === "NonFinite") yield* save()
    return yield* new TrainingError({ stage, step: number, batch: name, reason })
  })

  // What the run says of its data: how long steps waited for their batches, and how much memory these took at most.
  const began = yield* Clock.currentTimeMillis
  let free = began
  let waited = 0
  let held = 0
  let most = 0
  const made = Effect.fnUntraced(function*(index: number) {
    const batch = yield* options.batch(index)
    const bytes = bytesOf(batch)
    held += bytes
    most = Math.max(most, held)
    return { batch, bytes, number: index + 1 }
  })
  // Also of the part that an interrupted process took.
  yield* Effect.addFinalizer(() =>
    logged === start ? Effect.void : runs.timing({
      stage,
      step: logged,
      seconds: (free - began) / 1000,
      steps: logged - start,
      secondsWaitedForData: waited / 1000,
      megabytesOfBatches: most / 1e6
    }).pipe(Effect.ignore({ log: true }))
  )

  // A step is in the state and in the log, or in neither: nobody is interrupted between the two.
  const take = Effect.fnUntraced(function*(number: number, batch: HostOf<B>) {
    const metrics = yield* handle.run(batch).pipe(
      Effect.catchTag("EngineError", (reason) => keep(number, batch, reason))
    )
    const row = options.measure(metrics)
    yield* runs.log({ stage, step: number, ...row })
    logged = number
    return row
  }, Effect.uninterruptible)
  yield* prefetch(start, steps - 1, made).pipe(
    Stream.runForEach(Effect.fnUntraced(function*({ batch, bytes, number }) {
      waited += (yield* Clock.currentTimeMillis) - free
      const row = yield* take(number, batch)
      options.used?.(batch)
      const elapsed = ((yield* Clock.currentTimeMillis) - began) / 1000
      const imagesPerSecond = (number - start) * batchSize / elapsed
      yield* progress.report({ stage, step: number, total: steps, metrics: row, imagesPerSecond })
      if (number % options.checkpointEvery === 0 && number < steps) yield* save()
      held -= bytes
      free = yield* Clock.currentTimeMillis
    }))
  )
  return { state: (yield* handle.snapshot).state, computedOn }
})

const restore = <S>(step: { readonly state: object }, tensors: Weights.Tensors, stage: string) =>
  Result.map(
    Weights.conform(step.state, Weights.make(tensors), `${stage} checkpoint`),
    () => Tree.map<HostOf<S>>(step.state, (_, path) => tensors[path])
  )
