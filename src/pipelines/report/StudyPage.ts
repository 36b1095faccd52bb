/** The table of a study as one self-contained HTML page. It has no script. */
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as Ablation from "../../domain/study/Ablation.ts"
import * as StudyReport from "../../domain/study/StudyReport.ts"
import { version } from "../../domain/values/Version.ts"
import { type Html, html, raw } from "./Html.ts"
import { style } from "./Style.ts"

const cells = (measure: Ablation.Measure, row: StudyReport.ReportRow): Html => {
  const figure = row.figures[measure]
  return html`<td class="number">${StudyReport.showMean(measure, figure)}</td><td class="number">${
    StudyReport.showDifference(measure, figure)
  }</td><td class="number muted">${StudyReport.show(measure, figure?.paper)}</td>`
}

/** Renders the page. */
export const render = (report: StudyReport.StudyReport): string => {
  const { measures, number, rows, seeds, table, test, title, train } = report
  const heading = `Table ${number}: ${title}`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>patchword: ${heading}</title>
<style>${raw(style)}</style>
</head>
<body>
<header><p class="kicker">patchword ${version}</p><h1>${heading}</h1></header>
<main>
<p>Mean and standard deviation over the seed${seeds.length === 1 ? "" : "s"} ${
    seeds.join(", ")
  }. The difference is that to the row in bold. The words "${StudyReport.NO_DIFFERENCE}" stand where it is below three standard deviations of a difference of two runs. Deviations of few seeds are rough.</p>
<div class="scroll" role="region" aria-label="${heading}" tabindex="0"><table>
<thead><tr><th scope="col">Row</th><th scope="col">Settings</th>${
    measures.map((measure) =>
      html`<th scope="col" class="number">${
        Ablation.measures[measure].title
      }</th><th scope="col" class="number">Difference</th><th scope="col" class="number">${PaperTables.TITLE}</th>`
    )
  }<th scope="col">The paper's row</th></tr></thead>
<tbody>${
    rows.map((row) =>
      html`<tr><th scope="row">${row.isDefault ? html`<b>${row.row}</b>` : row.row}</th><td>${row.title}</td>${
        measures.map((measure) => cells(measure, row))
      }<td class="muted">${row.paperRow ?? "not in the paper"}</td></tr>\n`
    )
  }</tbody></table></div>
<p class="muted">${table}: training images ${train.slice(0, 12)}, measured images ${
    test.slice(0, 12)
  }. The paper's numbers are of other images and of larger networks.</p>
</main>
</body>
</html>
`.html
}
