/** The doctor's view of a run: the report of its last diagnosis, and whether the run has gone on since. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as OtherWeights from "../../pipelines/artifacts/OtherWeights.ts"
import * as HealthFile from "../../pipelines/doctor/HealthFile.ts"
import * as HealthView from "../../pipelines/doctor/HealthView.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import { missing } from "./Missing.ts"
import * as Remade from "./Remade.ts"
import * as RunFacts from "./RunFacts.ts"
import type { Place } from "./View.ts"

/** Reads and renders the health of a run. */
export const render: (
  place: Pick<Place, "digests" | "run">
) => Effect.Effect<Html, Told, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function*(place) {
  const { run } = place
  const command = `patchword doctor ${run.path}`
  const found = yield* HealthFile.read(run.path)
  if (Option.isNone(found)) return missing("This run was not examined yet.", command)
  const report = found.value
  const [written, note] = yield* Effect.all([
    HealthFile.written(run.path),
    Remade.told(
      place,
      (now) => OtherWeights.health(report, run, now),
      report.images === undefined ? command : `${command} --images IMAGES --split ${report.images.split}`
    )
  ])
  return html`<p class="note">Written at ${
    RunFacts.time(Option.getOrUndefined(written))
  }, by patchword ${report.patchword}.</p>
${note}${HealthView.render(report)}`
})
