import { afterAll } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit, ManagedRuntime, Scope } from "effect"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Laws from "../../src/laws/index.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { Checkpoints } from "../../src/layers/run/Checkpoints.ts"
import * as Stage from "../../src/pipelines/training/Stage.ts"
import { optimizer } from "../pipelines/kit.ts"
import { line, LineConfig } from "../pipelines/line.ts"
import { refuses } from "./kit.ts"

const STEPS = 4

const runtime = ManagedRuntime.make(Engine.layerReference)
afterAll(() => runtime.dispose())

const config = new LineConfig({ optimizer: optimizer({ duration: STEPS, warmup: 1 }) })

const fitting = (batch: (step: number) => ReturnType<typeof Steps.batch>) => (options: Stage.StageOptions) =>
  Stage.train({
    ...line,
    ...options,
    config,
    optimizer: config.optimizer,
    step: Steps.regression,
    batch: (step, hyper) => Effect.sync(() => ({ ...batch(step), hyper }))
  })

const right = fitting(Steps.batch)

const drifting = () => {
  let drawn = 0
  return fitting(() => Steps.batch(drawn++))
}

const open = Effect.flatMap(Engine.Engine, (engine) => engine.infer(Steps.affine, Steps.weights()))

const leaking = (options: Stage.StageOptions) =>
  Effect.gen(function*() {
    yield* Scope.provide(open, yield* Scope.make())
    return yield* right(options)
  })

type Around = (closed: Effect.Effect<void>) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const closing = (around: Around) => (options: Stage.StageOptions) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const closed = Scope.close(scope, Exit.void)
    yield* around(closed)(Effect.flatMap(Scope.provide(open, scope), (handle) => handle.run(Steps.x())))
    return yield* right(options)
  })

const afterwards = closing((closed) => Effect.tap(() => closed))

const unlessFailed = closing((closed) => (self) => Effect.onInterrupt(Effect.tap(self, () => closed), () => closed))

const unlessInterrupted = closing((closed) => (self) =>
  Effect.catchDefect(Effect.tap(self, () => closed), (defect) => Effect.andThen(closed, Effect.die(defect)))
)

const littering = (options: Stage.StageOptions) =>
  Effect.onInterrupt(right(options), () => Effect.sync(() => tf.scalar(1)))

const forgetful = (options: Stage.StageOptions) =>
  Effect.gen(function*() {
    const checkpoints = yield* Checkpoints
    return yield* Effect.provideService(right(options), Checkpoints, {
      ...checkpoints,
      latest: () => Effect.succeedNone
    })
  })

refuses("a stage", (train: typeof right) => Laws.stage(runtime, { train, steps: STEPS }), right, {
  "ends with the same bytes and the same log after interruptions at any point": {
    mutant: drifting(),
    said: /loss of \d of the log is \d\S* but must be \d\S*\nexample: \{"traps":\[\{"point":"\w+ \w+","call":\d\}\],/
  },
  "leaves nothing alive after interruption or failure": [
    {
      mutant: leaking,
      said: /the memory held after an interruption in infer is \{"handles":\d+,.*\nexample: \{"checkpointEvery":1\}/
    },
    { mutant: afterwards, said: /the memory held after an interruption in infer is \{"handles":/ },
    { mutant: unlessFailed, said: /the memory held after a failure before runInference is \{"handles":/ },
    { mutant: unlessInterrupted, said: /the memory held after an interruption in infer is \{"handles":/ },
    {
      mutant: littering,
      said: /the memory held after an interruption in \w+ is .*"ours":\d+\}/
    }
  ],
  "repeats no step that it has taken": {
    mutant: forgetful,
    said: /the number of steps with an interruption in report 1 is 5 but must be 4\nexample: 1/
  }
})
