/** Ends a stage at a chosen point, by interruption or failure. */
import { Context, Deferred, Effect, Fiber, Option } from "effect"
import type { Arbitrary } from "fast-check"
import { Engine } from "../layers/engine/Engine.ts"
import { Checkpoints } from "../layers/run/Checkpoints.ts"
import { Progress } from "../layers/run/Progress.ts"
import { Runs } from "../layers/run/Runs.ts"
import { Teacher } from "../layers/teacher/Teacher.ts"
import type { HostOf, Inference, TrainStep } from "../shapes/Step.ts"
import { fc } from "./FastCheck.ts"

const calls = ["latest", "rewind", "run", "log", "report", "snapshot", "save", "saveWeights", "done"] as const

/** A point at which a stage ends: before or during the `call`th call of a service's function. */
export interface Trap {
  readonly point: string
  readonly call: number
}

/** Returns an arbitrary of points in a stage of `steps` steps. */
export const traps = (steps: number): Arbitrary<Trap> =>
  fc.record({
    point: fc.tuple(fc.constantFrom("before", "in"), fc.constantFrom(...calls)).map((words) => words.join(" ")),
    call: fc.integer({ min: 1, max: steps })
  })

type Around = <A, E, R>(point: string, self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Wraps every service call of a stage in `around`. */
export const watching = Effect.fnUntraced(function*(around: Around) {
  const engine = yield* Engine
  const runs = yield* Runs
  const checkpoints = yield* Checkpoints
  const progress = yield* Progress
  const teacher = yield* Effect.serviceOption(Teacher)
  const watched = Context.make(Engine, {
    ...engine,
    train: <S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>, steps?: number) =>
      Effect.map(around("train", engine.train(step, initial, steps)), ({ ahead, run, snapshot }) => ({
        ahead,
        run: (batch: HostOf<B>, number?: number) => around("run", run(batch, number)),
        snapshot: around("snapshot", snapshot)
      })),
    infer: <W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) =>
      Effect.map(around("infer", engine.infer(inference, weights)), ({ run }) => ({
        run: (batch: HostOf<B>) => around("runInference", run(batch))
      }))
  }).pipe(
    Context.add(Runs, {
      ...runs,
      log: (row) => around("log", runs.log(row)),
      rewind: (stage, step) => around("rewind", runs.rewind(stage, step)),
      saveBatch: (stage, step, batch) => around("saveBatch", runs.saveBatch(stage, step, batch)),
      saveWeights: (stage, weights) => around("saveWeights", runs.saveWeights(stage, weights)),
      done: (stage, result) => around("done", runs.done(stage, result))
    }),
    Context.add(Checkpoints, {
      ...checkpoints,
      save: (snapshot) => around("save", checkpoints.save(snapshot)),
      latest: (request) => around("latest", checkpoints.latest(request))
    }),
    Context.add(Progress, { ...progress, report: (report) => around("report", progress.report(report)) })
  )
  const all = Option.match(teacher, {
    onNone: () => watched,
    onSome: (service) =>
      Context.add(watched, Teacher, {
        ...service,
        features: (images, nameOf) => around("features", service.features(images, nameOf))
      })
  })
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateContext(self, (context: Context.Context<R>) => Context.merge(context, all))
})

const ended = (failing: boolean) =>
  Effect.fnUntraced(function*<A, E, R>(trap: Trap, self: Effect.Effect<A, E, R>) {
    const reached = yield* Deferred.make<void>()
    const requested = yield* Deferred.make<void>()
    let calls = 0
    const end = failing ? Effect.die(new Error(`a failure ${trap.point}`)) : Deferred.await(requested)
    const pass = (point: string) =>
      Effect.suspend(() =>
        point === trap.point && ++calls === trap.call
          ? Effect.uninterruptible(Effect.andThen(Deferred.succeed(reached, undefined), end))
          : Effect.void
      )
    const around: Around = (point, call) =>
      Effect.andThen(pass(`before ${point}`), Effect.uninterruptible(Effect.andThen(pass(`in ${point}`), call)))
    const watch = yield* watching(around)
    const fiber = yield* Effect.forkChild(watch(self), { startImmediately: true })
    const met = yield* Effect.raceFirst(
      Effect.as(Deferred.await(reached), true),
      Effect.as(Fiber.await(fiber), false)
    )
    if (!failing) fiber.interruptUnsafe()
    yield* Deferred.succeed(requested, undefined)
    yield* Fiber.await(fiber)
    return met
  })

/** Starts a stage, interrupts it at a point and waits for its end. Returns false if it ends without reaching the point. */
export const interruptedAt = ended(false)

/** Does the same as {@link interruptedAt}, with a defect in place of the interruption. */
export const failedAt = ended(true)
