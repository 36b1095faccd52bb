/** The comparison of runs: their curves in the same charts, their figures side by side, and the settings that differ. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Charts from "../../pipelines/report/Charts.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import * as Comparison from "../../pipelines/runs/Comparison.ts"
import type { RunFolderError } from "../../pipelines/runs/RunFolderError.ts"
import type { Page } from "./Frame.ts"
import type { Links, Named } from "./Links.ts"
import { missing } from "./Missing.ts"
import * as RunFacts from "./RunFacts.ts"

const head = (first: string, names: ReadonlyArray<string>): Html =>
  html`<thead><tr><th scope="col">${first}</th>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>`

const table = (
  id: string,
  title: string,
  first: string,
  names: ReadonlyArray<string>,
  rows: ReadonlyArray<Html>
): Html =>
  html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
${
    rows.length === 0
      ? html`<p class="muted">No difference.</p>`
      : html`<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0"><table class="differences">
${head(first, names)}<tbody>${rows}</tbody></table></div>`
  }</section>\n`

const setting = ({ key, values }: Comparison.Setting): Html =>
  html`<tr><th scope="row">${key}</th>${values.map((value) => html`<td>${value}</td>`)}</tr>\n`

const figure = (row: Comparison.FigureRow): Html =>
  html`<tr><th scope="row">${row.name}</th>${
    row.figures.map((one, i) =>
      html`<td>${
        one === undefined
          ? "–"
          : html`<span class="number">${RunFacts.value(one)} <span class="muted">${
            RunFacts.interval(one)
          }</span></span><div class="note">${Comparison.verdict(row, i)}</div>`
      }</td>`
    )
  }</tr>\n`

/** Makes the page. The first run is the one that the others are compared with. `lost` are the names that no run has. */
export const page = Effect.fnUntraced(function*(
  runs: ReadonlyArray<Named>,
  lost: ReadonlyArray<string>,
  links: Links
): Effect.fn.Return<Page, RunFolderError, FileSystem.FileSystem | Path.Path> {
  const title = "Comparison"
  const absent = lost.map((id) => missing(`The run ${id} is not here.`))
  if (runs.length < 2) {
    return { title, heading: title, main: html`${absent}${missing("Choose two runs or more in the list of runs.")}` }
  }
  const { config, environment, figures, names } = Comparison.of(runs.map(({ run }) => run))
  const charts = Charts.charts(yield* Comparison.curves(runs.map(({ run }) => run.path)), { expected: { curves: [] } })
  return {
    title,
    heading: title,
    charts,
    main: html`${absent}<p>${
      runs.map(({ id }, i) => html`${i === 0 ? "" : ", "}<a href="${links.run(id, "overview")}">${names[i]!}</a>`)
    }. The others are compared with ${names[0]!}, and where it lacks a figure, with the first run that has it.</p>
${table("figures", "Figures", "Figure", names, figures.map(figure))}
<section aria-labelledby="curves"><h2 id="curves">Curves</h2>${
      charts.length === 0 ? missing("No step of these runs is logged yet.") : Charts.figures(charts, 0)
    }</section>
${table("settings", "Settings that differ", "Setting", names, config.map(setting))}
${table("machines", "Machines that differ", "Machine", names, environment.map(setting))}`
  }
})
