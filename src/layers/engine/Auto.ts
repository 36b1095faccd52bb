/** The engine that a survey of this machine chooses. */
import { Context, Effect, Layer } from "effect"
import { EngineError, ProviderUnavailable } from "./EngineError.ts"
import { Engine } from "./EngineService.ts"
import * as EngineSurvey from "./EngineSurvey.ts"

/** How `layerAuto` chooses. */
export interface AutoOptions {
  /** The engines to consider, by their names in `EngineSurvey.candidates`; default all. */
  readonly names?: ReadonlyArray<string>
  /** For how many seconds each multiplies; default 2. */
  readonly seconds?: number
  /** The greatest deviation from the reference that counts as exact enough; default 1e-4, which bf16 exceeds. */
  readonly exact?: number
}

/** The fastest engine that is exact enough. */
export const make = Effect.fnUntraced(function*(options: AutoOptions) {
  const { chosen, why } = EngineSurvey.choose(yield* EngineSurvey.survey(options), options.exact)
  const candidate = EngineSurvey.candidates.find(({ name }) => name === chosen?.name)
  if (candidate === undefined) {
    const remedy = "install what one of them needs, or ask for less exactness"
    const reason = new ProviderUnavailable({ provider: "auto", detail: why, remedy })
    return yield* new EngineError({ program: "start", reason })
  }
  yield* Effect.logInfo(why)
  const engine = Context.get(yield* Layer.build(Layer.fresh(candidate.layer)), Engine)
  return { ...engine, about: { ...engine.about, chosen: why } }
})
