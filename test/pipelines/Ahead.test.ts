import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Result } from "effect"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Laws from "../../src/laws/index.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Stage from "../../src/pipelines/training/Stage.ts"
import { holds } from "../laws/kit.ts"
import { present, reference, xla } from "../layers/engine/engines.ts"
import { optimizer } from "./kit.ts"
import { line, LineConfig } from "./line.ts"

const STEPS = 6

const config = new LineConfig({ optimizer: optimizer({ duration: STEPS, warmup: 1 }) })

const fitting = (options: Stage.StageOptions, brokenAt = Infinity) =>
  Stage.train({
    ...line,
    ...options,
    config,
    optimizer: config.optimizer,
    step: Steps.regression,
    batch: (step, hyper) =>
      Effect.sync(() => ({
        ...Steps.batch(step),
        ...(step + 1 === brokenAt && { x: Steps.values([4, 3], () => NaN) }),
        hyper
      }))
  })

const taking = (ahead: () => number, layer: Layer.Layer<Engine.Engine, Engine.EngineError>) =>
  Layer.provide(
    Layer.effect(
      Engine.Engine,
      Effect.map(Engine.Engine, (own): Engine.Engine["Service"] => ({
        ...own,
        train: (step, initial, steps) =>
          Effect.map(own.train(step, initial, steps), (handle) => ({ ...handle, ahead: ahead() }))
      }))
    ),
    Layer.fresh(layer)
  )

for (const { layer, name } of present([reference, xla])) {
  let ahead = 1
  const runtime = ManagedRuntime.make(taking(() => ahead, layer))
  afterAll(() => runtime.dispose())
  holds(
    `a stage that gives ${name} its steps ahead`,
    Laws.stage(runtime, { train: fitting, steps: STEPS })
  )

  describe(`steps ahead on ${name}`, () => {
    const ended = (steps: number, checkpointEvery: number, brokenAt: number) =>
      runtime.runPromise(
        Effect.gen(function*() {
          ahead = steps
          const result = yield* Effect.result(fitting({ checkpointEvery }, brokenAt))
          const { latest } = yield* Checkpoints
          const runs = yield* Runs.Runs
          return {
            result: Result.mapError(result, ({ message }) => message),
            log: yield* runs.readLog,
            batch: yield* runs.weights(`replay/line-step-${brokenAt}`),
            next: yield* runs.weights(`replay/line-step-${brokenAt + 1}`),
            saved: yield* latest({ stage: "line", config: Stage.toJson(LineConfig, config), dataDigest: "lines" })
          }
        }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
      )

    it.each([1, 3, 4, 6, Infinity])("leave the same when step %s is not finite", async (brokenAt) => {
      for (const checkpointEvery of [2, 100]) {
        const found = await ended(1, checkpointEvery, brokenAt)
        assert.deepStrictEqual(found, await ended(0, checkpointEvery, brokenAt))
        assert.strictEqual(found.log.length, Math.min(STEPS, brokenAt - 1))
        const told = Result.isFailure(found.result) ? found.result.failure : ""
        assert.strictEqual(told.includes(" Replay.take, in code, takes the step again"), brokenAt <= STEPS)
        assert.notInclude(told, "patchword replay")
      }
    })
  })
}
