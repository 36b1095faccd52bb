/** The table of a study as one self-contained HTML page. It has no script. */
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as Ablation from "../../domain/study/Ablation.ts"
import * as StudyReport from "../../domain/study/StudyReport.ts"
import { type Html, html } from "./Html.ts"
import * as PlainPage from "./PlainPage.ts"

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
  return PlainPage.render({
    title: heading,
    heading: heading,
    main: html`<p>Mean and standard deviation over the seed${seeds.length === 1 ? "" : "s"} ${
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
<section aria-labelledby="not-run"><h2 id="not-run">Not run here</h2>
<div class="scroll" role="region" aria-labelledby="not-run" tabindex="0"><table>
<thead><tr><th scope="col">The paper's row</th><th scope="col">Figure</th><th scope="col" class="number">${PaperTables.TITLE}</th><th scope="col">Reason</th></tr></thead>
<tbody>${
      Ablation.notRun(number).map(({ column, reason, row, value }) =>
        html`<tr><th scope="row">${row}</th><td>${column}</td><td class="number muted">${
          value.toFixed(1)
        }</td><td>${reason}</td></tr>\n`
      )
    }</tbody></table></div></section>
<p class="muted">${table}: training images ${train.slice(0, 12)}, measured images ${
      test.slice(0, 12)
    }. The paper's numbers are of other images and of larger networks.</p>`
  })
}
