/** The view of completed images: what the codes keep of an image, and masked patches drawn from predicted codes. */
import { Effect, type FileSystem, type Path } from "effect"
import * as CompletionSample from "../../layers/run/CompletionSample.ts"
import type { ResultsError } from "../../layers/run/Results.ts"
import * as CompletionView from "../../pipelines/completion/CompletionView.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import { missing } from "./Missing.ts"

/** Reads and renders the completions of a run, one for each split. */
export const render = ({ path }: Run): Effect.Effect<Html, ResultsError, FileSystem.FileSystem | Path.Path> =>
  Effect.map(CompletionSample.read(path), (samples) =>
    samples.length === 0
      ? missing("No image of this run was completed yet.", `patchword complete ${path} --images IMAGES`)
      : html`${
        samples.map((sample, i) =>
          html`<section aria-labelledby="completion-${i}"><h2 id="completion-${i}">Completion, images of ${sample.split}</h2>${
            CompletionView.render(sample)
          }</section>\n`
        )
      }`)
