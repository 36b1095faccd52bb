import { afterAll } from "@effect/vitest"
import { Effect, ManagedRuntime, Schema, Scope } from "effect"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Laws from "../../src/laws/index.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Stage from "../../src/pipelines/training/Stage.ts"
import { optimizer } from "../pipelines/kit.ts"
import { refuses } from "./kit.ts"

const STEPS = 4

const runtime = ManagedRuntime.make(Engine.layerReference)
afterAll(() => runtime.dispose())

class LineConfig extends Schema.Class<LineConfig>("LineConfig")({ optimizer: OptimizerConfig }) {}

const config = new LineConfig({ optimizer: optimizer({ duration: STEPS, warmup: 1 }) })

const fitting = (batch: (step: number) => ReturnType<typeof Steps.batch>) => (options: Stage.StageOptions) =>
  Stage.train({
    stage: "line",
    ...options,
    model: "Line",
    config,
    schema: LineConfig,
    dataDigest: "lines",
    seed: 0,
    optimizer: config.optimizer,
    stepsPerEpoch: 2,
    step: Steps.regression,
    initial: Effect.sync(() => Steps.initial()),
    batch: (step, hyper) => Effect.sync(() => ({ ...batch(step), hyper }))
  })

const right = fitting(Steps.batch)

const drifting = () => {
  let drawn = 0
  return fitting(() => Steps.batch(drawn++))
}

const leaking = (options: Stage.StageOptions) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Scope.provide((yield* Engine.Engine).infer(Steps.affine, Steps.weights()), scope)
    return yield* right(options)
  })

const forgetful = (options: Stage.StageOptions) =>
  Effect.gen(function*() {
    const checkpoints = yield* Checkpoints
    return yield* Effect.provideService(right(options), Checkpoints, {
      ...checkpoints,
      latest: () => Effect.succeedNone
    })
  })

refuses("a stage", (train: typeof right) => Laws.stage(runtime, { train, steps: STEPS }), right, {
  "ends with the same bytes and the same log, wherever it was interrupted": {
    mutant: drifting(),
    said: /loss of \d of the log is \d\S* but must be \d\S*\nexample: \{"traps":\[\{"point":"\w+ \w+","call":\d\}\],/
  },
  "leaves nothing alive where it was interrupted": {
    mutant: leaking,
    said: /what the engine holds after the interruption before latest, call 1, is \{"handles":\d+,/
  },
  "takes no step again that it has taken": {
    mutant: forgetful,
    said: /the number of steps after 1 of 4 is 4 but must be 3\nexample: 1/
  }
})
