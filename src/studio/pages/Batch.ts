/** The present batch of a run as a view: some images, their masks, codes and predictions. */
import { Effect } from "effect"
import { type Html, html } from "../../pipelines/report/Html.ts"
import type { Sample } from "../../pipelines/runs/Sample.ts"
import * as SampleView from "../../pipelines/runs/SampleView.ts"
import { missing } from "./Missing.ts"

/** Renders the view. `folder` is that of the run. */
export const render = (samples: ReadonlyArray<Sample>, folder: string): Effect.Effect<Html> => {
  if (samples.length === 0) {
    return Effect.succeed(
      missing("This run has kept no images of its batches. A training keeps some after its first step.")
    )
  }
  const isUnknown = samples.some(({ masks, predicted }) => masks !== undefined && predicted === undefined)
  const hint = isUnknown ? missing("Nobody has predicted the masked codes yet.", `patchword runs batch ${folder}`) : ""
  return Effect.map(SampleView.render(samples), (shown) => html`${hint}${shown}`)
}
