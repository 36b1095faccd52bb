import { Deferred, Effect, Fiber } from "effect"
import { Engine } from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import { Runs } from "../../src/layers/run/Runs.ts"
import { Teacher } from "../../src/layers/teacher/Teacher.ts"
import type { HostOf, Inference, TrainStep } from "../../src/shapes/Step.ts"
import { recording } from "./kit.ts"

export interface Trap {
  readonly point: string
  readonly call: number
}

type Around = <A, E, R>(point: string, self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const watched = Effect.fnUntraced(function*(around: Around) {
  const engine = yield* Engine
  const runs = yield* Runs
  const checkpoints = yield* Checkpoints
  const teacher = yield* Teacher
  const progress = recording([], () => around("report", Effect.void))
  return <A, E, R>(self: Effect.Effect<A, E, R>) =>
    self.pipe(
      Effect.provideService(Engine, {
        ...engine,
        train: <S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>, steps?: number) =>
          Effect.map(engine.train(step, initial, steps), ({ run, snapshot }) => ({
            run: (batch: HostOf<B>) => around("run", run(batch)),
            snapshot: around("snapshot", snapshot)
          })),
        infer: <W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) =>
          Effect.map(engine.infer(inference, weights), ({ run }) => ({
            run: (batch: HostOf<B>) => around("infer", run(batch))
          }))
      }),
      Effect.provideService(Runs, {
        ...runs,
        log: (row) => around("log", runs.log(row)),
        rewind: (stage, step) => around("rewind", runs.rewind(stage, step)),
        saveBatch: (name, batch) => around("saveBatch", runs.saveBatch(name, batch)),
        saveWeights: (stage, weights) => around("saveWeights", runs.saveWeights(stage, weights)),
        done: (stage, result) => around("done", runs.done(stage, result))
      }),
      Effect.provideService(Checkpoints, {
        ...checkpoints,
        save: (snapshot) => around("save", checkpoints.save(snapshot)),
        latest: (request) => around("latest", checkpoints.latest(request))
      }),
      Effect.provideService(Teacher, {
        ...teacher,
        features: (images, nameOf) => around("features", teacher.features(images, nameOf))
      }),
      Effect.provideService(Progress, progress)
    )
})

export const interruptedAt = Effect.fnUntraced(function*<A, E, R>(trap: Trap, self: Effect.Effect<A, E, R>) {
  const reached = yield* Deferred.make<void>()
  const requested = yield* Deferred.make<void>()
  let calls = 0
  const pass = (point: string) =>
    Effect.suspend(() =>
      point === trap.point && ++calls === trap.call
        ? Effect.uninterruptible(Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(requested)))
        : Effect.void
    )
  const around: Around = (point, call) =>
    Effect.andThen(pass(`before ${point}`), Effect.uninterruptible(Effect.andThen(pass(`in ${point}`), call)))
  const watch = yield* watched(around)
  const fiber = yield* Effect.forkChild(watch(self), { startImmediately: true })
  const met = yield* Effect.raceFirst(
    Effect.as(Deferred.await(reached), true),
    Effect.as(Fiber.await(fiber), false)
  )
  fiber.interruptUnsafe()
  yield* Deferred.succeed(requested, undefined)
  yield* Fiber.await(fiber)
  return met
})
