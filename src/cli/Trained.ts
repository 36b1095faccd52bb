/** What a stage has come to. */
import { Effect } from "effect"
import { Runs } from "../layers/Runs.ts"
import * as Show from "./Show.ts"

/** Prints where a stage's weights are and what its last step measured. */
export const show = Effect.fnUntraced(function*(
  { json, out }: { readonly json: boolean; readonly out: string },
  stage: string
) {
  const rows = yield* (yield* Runs).readLog
  const last = rows.findLast((row) => row.stage === stage)
  yield* Show.result(json, { ...last, stage, weights: `${out}/stages/${stage}.safetensors` })
})
