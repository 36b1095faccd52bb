import { Effect } from "effect"
import * as Signals from "../../src/cli/terminal/Signals.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Stage from "../../src/pipelines/training/Stage.ts"
import { optimizer } from "../pipelines/kit.ts"
import { line, LineConfig } from "../pipelines/line.ts"

const [folder, , , steps] = process.argv.slice(2)
const duration = Number(steps)
const config = new LineConfig({ optimizer: optimizer({ duration, warmup: 1 }) })

Stage.train({
  ...line,
  checkpointEvery: duration / 4,
  config,
  optimizer: config.optimizer,
  step: Steps.regression,
  batch: (step, hyper) => Effect.sync(() => ({ ...Steps.batch(step), hyper }))
}).pipe(
  Effect.provide([Engine.layerXla(), Runs.layer(folder!, { config: { test: "resume" } })]),
  Signals.runMain(["pretrain"])
)
