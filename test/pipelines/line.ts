import { Effect, Schema } from "effect"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"

export class LineConfig extends Schema.Class<LineConfig>("LineConfig")({ optimizer: OptimizerConfig }) {}

export const line = {
  stage: "line",
  model: "Line",
  schema: LineConfig,
  dataDigest: "lines",
  seed: 0,
  stepsPerEpoch: 2,
  initial: Effect.sync(() => Steps.initial())
}
