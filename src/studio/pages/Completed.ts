/** The view of completed images: what the codes keep of an image, and masked patches drawn from predicted codes. */
import { Effect, type FileSystem, type Path } from "effect"
import * as CompletionSample from "../../layers/run/CompletionSample.ts"
import type { ResultsError } from "../../layers/run/Results.ts"
import * as OtherWeights from "../../pipelines/artifacts/OtherWeights.ts"
import * as CompletionView from "../../pipelines/completion/CompletionView.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import { allDamaged, missing } from "./Missing.ts"
import * as Remade from "./Remade.ts"
import type { Place } from "./View.ts"

/** Reads and renders the completions of a run, one for each split. */
export const render = Effect.fnUntraced(function*(
  place: Pick<Place, "digests" | "run">
): Effect.fn.Return<Html, ResultsError, FileSystem.FileSystem | Path.Path> {
  const { path } = place.run
  const command = `patchword complete ${path} --images IMAGES`
  const [samples, errors] = yield* CompletionSample.read(path)
  const told = allDamaged(errors)
  if (samples.length === 0) return told ?? missing("No image of this run was completed yet.", command)
  const note = yield* Remade.notes(place, samples.flatMap(OtherWeights.completion), command)
  return html`${told}${note}${
    samples.map((sample, i) =>
      html`<section aria-labelledby="completion-${i}"><h2 id="completion-${i}">Completion, images of ${sample.split}</h2>${
        CompletionView.render(sample)
      }</section>\n`
    )
  }`
})
