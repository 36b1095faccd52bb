/** The present batch of a run as a view: some images, their masks, codes and predictions. */
import { Effect } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import type { Sample } from "../../pipelines/runs/Sample.ts"
import * as SampleView from "../../pipelines/runs/SampleView.ts"
import { allDamaged, missing } from "./Missing.ts"

/** Renders the view of samples, and the errors of others. `folder` is that of the run. */
export const render = (
  samples: ReadonlyArray<Sample>,
  errors: ReadonlyArray<Told>,
  folder: string
): Effect.Effect<Html> => {
  const told = allDamaged(errors)
  if (samples.length === 0) {
    return Effect.succeed(
      told ?? missing("This run has kept no images of its batches. A training keeps some after its first step.")
    )
  }
  const isUnknown = samples.some(({ masks, predicted }) => masks !== undefined && predicted === undefined)
  const hint = isUnknown ? missing("Nobody has predicted the masked codes yet.", `patchword runs batch ${folder}`) : ""
  return Effect.map(SampleView.render(samples), (shown) => html`${told}${hint}${shown}`)
}
