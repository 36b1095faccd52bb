/** The report of a run as a view: the same parts as in its `report.html`, made from `report.json` and the results. */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Report from "../../domain/evaluation/Report.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Results from "../../layers/run/Results.ts"
import { Unreadable } from "../../layers/run/RunsError.ts"
import * as Details from "../../pipelines/report/Details.ts"
import { evaluation } from "../../pipelines/report/Evaluation.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import { summary } from "../../pipelines/report/Summary.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import { missing } from "./Missing.ts"

const decode = Schema.decodeEffect(Report.ReportJson)

/** Reads and renders the report. `page` is the address of the report as a page of its own. */
export const render = Effect.fnUntraced(
  function*(
    run: Run,
    page: string | undefined
  ): Effect.fn.Return<
    Html,
    Files.FileError | Unreadable | Results.ResultsError,
    FileSystem.FileSystem | Path.Path
  > {
    const { path, readText } = yield* Files.make
    const text = yield* Files.ifThere(readText(path.join(run.path, "report.json")))
    if (Option.isNone(text)) return missing("This run has no report. The demo writes one.", "patchword demo")
    const report = yield* decode(text.value).pipe(
      Effect.mapError((error) => new Unreadable({ file: `${run.path}/report.json`, problem: Explain.of(error) }))
    )
    const results = yield* Results.read(run.path)
    return html`${
      page === undefined
        ? undefined
        : html`<p><a href="${page}">The report with its pictures</a>, as the run wrote it</p>`
    }
${summary(report, "images", 2)}
${evaluation(report, { subject: "images", results })}
${Details.timings(report)}
${
      Details.provenance(report, {
        credits: [],
        provenance: [["Machine", JSON.stringify(run.machine)]],
        config: run.config
      })
    }`
  }
)
