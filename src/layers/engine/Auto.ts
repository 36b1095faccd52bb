/** Chooses the engine of this machine by a survey. */
import { Context, Effect, Layer } from "effect"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import { Engine } from "./EngineService.ts"
import * as EngineSurvey from "./EngineSurvey.ts"

/** Options of `layerAuto`. */
export interface AutoOptions extends EngineSurvey.Options {
  /** Greatest deviation from the reference that is accepted; default 1e-4. bf16 deviates by more. */
  readonly exact?: number
}

/** Makes the fastest engine whose deviation is accepted. */
export const make = Effect.fnUntraced(function*(options: AutoOptions) {
  const { chosen, why } = EngineSurvey.choose(yield* EngineSurvey.survey(options), options.exact)
  const candidate = EngineSurvey.candidates.find(({ name }) => name === chosen?.name)
  if (candidate === undefined) {
    const remedy = "install the requirements of one of them, or allow a greater deviation by the option exact"
    const reason = new ProviderUnavailable({ provider: "auto", detail: why, remedy })
    return yield* new EngineError({ program: "start", reason })
  }
  yield* Effect.logInfo(why)
  const engine = Context.get(yield* Layer.build(Layer.fresh(candidate.layer)), Engine)
  return { ...engine, about: { ...engine.about, chosen: why } }
})
