/** What a command that trains stands on, and what its stage has come to. */
import { Effect, Layer } from "effect"
import type { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import { Images } from "../layers/images/Images.ts"
import * as Runs from "../layers/run/Runs.ts"
import * as Show from "./Show.ts"
import * as Sources from "./Sources.ts"

/** The run folder with its configuration, and the images, the engine and the progress that the flags name. */
export const services = (
  given: Sources.Machine & Sources.Pictures & { readonly json: boolean; readonly out: string },
  { augment }: Pick<TokenizerConfig, "augment">,
  config: Parameters<typeof Runs.layer>[1]["config"]
) =>
  Runs.layer(given.out, { config }).pipe(
    Layer.provideMerge(Layer.mergeAll(Sources.services(given, augment, given.out), Show.progress(given.json)))
  )

/** Prints where a stage's weights are and what its last step measured. */
export const show = Effect.fnUntraced(function*(
  given: { readonly json: boolean; readonly out: string; readonly split: string },
  stage: string
) {
  const { json, out, split } = given
  const rows = yield* (yield* Runs.Runs).readLog
  const last = rows.findLast((row) => row.stage === stage)
  const set = yield* (yield* Images).load(split)
  const weights = `${out}/stages/${stage}.safetensors`
  yield* Show.result(json, { stage, ...Show.lastBatch(json, last), weights }, [set])
})
