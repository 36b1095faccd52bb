import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Stage from "../../src/pipelines/training/Stage.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { optimizer } from "./kit.ts"
import { line, LineConfig } from "./line.ts"

const config = new LineConfig({ optimizer: optimizer({ duration: 2, warmup: 0 }) })

interface Changes {
  readonly model?: string
  readonly seed?: number
  readonly stepsPerEpoch?: number
  readonly optimizer?: OptimizerConfig
  readonly measure?: () => Readonly<Record<string, number>>
}

const { batch, name, run, state } = Steps.regression

const named = (metric: string): TrainStep<Steps.State, Steps.Batch, Readonly<Record<string, Tensor<[]>>>> => ({
  name,
  state,
  batch,
  run: (state, batch) => {
    const { metrics: { loss }, state: next } = run(state, batch)
    return { metrics: { loss, [metric]: loss }, state: next }
  }
})

const train = (changes: Changes, metric = "error") =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Stage.train({
      ...line,
      config,
      optimizer: config.optimizer,
      step: named(metric),
      batch: (step, hyper) => Effect.sync(() => ({ ...Steps.batch(step), hyper })),
      ...changes
    }))
    assert(error._tag === "ConfigError")
    assert.deepStrictEqual(yield* (yield* Runs.Runs).readLog, [])
    return error.message
  }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))

describe("a stage of one's own", () => {
  layer(Engine.layerReference)((it) => {
    it.effect.each(["stage", "step", "lr", "weightDecay"])(
      "has no metric with the name of the log's column %s",
      (taken) =>
        Effect.gen(function*() {
          const said = "line: measure: expected a name that is not taken " +
            `(stage, step, lr, weightDecay), got "${taken}"; correct this and run again`
          assert.strictEqual(yield* train({}, taken), said)
          assert.strictEqual(yield* train({ measure: () => ({ loss: 1, [taken]: 1 }) }), said)
        })
    )

    it.effect("is trained once at a time in a program", () =>
      Effect.gen(function*() {
        const training = Stage.train({
          ...line,
          config,
          optimizer: config.optimizer,
          step: named("error"),
          batch: (step, hyper) => Effect.as(Effect.yieldNow, { ...Steps.batch(step), hyper })
        })
        const [first, second] = yield* Effect.all([Effect.exit(training), Effect.flip(training)], { concurrency: 2 })
        assert.isTrue(Exit.isSuccess(first))
        assert(second._tag === "RunsError" && second.reason._tag === "StageBusy")
        assert.match(second.message, /the stage line is being trained by this program already; wait for it/)
        assert.lengthOf(yield* (yield* Runs.Runs).readLog, 2)
        yield* training
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect.each<readonly [Changes, string]>([
      [{ model: "" }, "model: expected a name, got \"\""],
      [{ seed: Number.NaN }, "seed: expected a whole number, got NaN"],
      [{ seed: 0.5 }, "seed: expected a whole number, got 0.5"],
      [{ stepsPerEpoch: 0 }, "stepsPerEpoch: expected a whole number of steps from 1, got 0"],
      [
        { stepsPerEpoch: 0, optimizer: new OptimizerConfig({ ...config.optimizer, unit: "epochs" }) },
        "stepsPerEpoch: expected a whole number of steps from 1, got 0"
      ],
      [{ stepsPerEpoch: 1.5 }, "stepsPerEpoch: expected a whole number of steps from 1, got 1.5"]
    ])("is checked before its first step: %#", ([changes, said]) =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* train(changes),
          `line: ${said}; correct this and run again`
        )
      }))
  })
})
