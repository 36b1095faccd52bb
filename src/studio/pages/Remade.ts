/** Tells that a part of a run was made of other weights than the run has now. */
import { Effect, type FileSystem, type Path } from "effect"
import * as OtherWeights from "../../pipelines/artifacts/OtherWeights.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import type { StageDigest } from "../../pipelines/trained/RunDigests.ts"
import { failed } from "./Missing.ts"
import type { Place } from "./View.ts"

/** Renders the sentences on present weights, with the command that makes the part again; `undefined` if there is none. */
export const told = (
  { digests, run }: Pick<Place, "digests" | "run">,
  sentences: (now: ReadonlyArray<StageDigest>) => ReadonlyArray<string>,
  command: string
): Effect.Effect<Html | undefined, never, FileSystem.FileSystem | Path.Path> =>
  digests(run.path).pipe(
    Effect.map((now) => {
      const told = sentences(now)
      return told.length === 0
        ? undefined
        : html`<div class="empty" role="alert">${
          told.map((one) => html`<p>Careful: ${one}.</p>`)
        }<p><code>${command}</code></p></div>\n`
    }),
    Effect.catch((error) => Effect.succeed(failed(error, "It cannot be compared with the present weights: ")))
  )

/** Renders the notes on what was made; `undefined` if all was made of present weights. */
export const notes = (
  place: Pick<Place, "digests" | "run">,
  made: ReadonlyArray<OtherWeights.Made>,
  command: string
): ReturnType<typeof told> =>
  made.every(({ weights }) => weights === undefined)
    ? Effect.succeed(undefined)
    : told(place, (now) => OtherWeights.sentences(made, now), command)
