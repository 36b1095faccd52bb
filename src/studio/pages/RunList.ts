/** The page of all runs: their state, how far they are, and their figures. Two or more can be chosen to be compared. */
import { type Html, html } from "../../pipelines/report/Html.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import type { Page } from "./Frame.ts"
import type { Links, Named } from "./Links.ts"
import { missing } from "./Missing.ts"
import * as RunFacts from "./RunFacts.ts"

/** Renders the best figure of each evaluation. All of them are on the page of the run. */
const figures = ({ figures: all }: Run): ReadonlyArray<Html> =>
  Array.from(
    Map.groupBy(all.filter(({ name, share }) => share && name.includes("/")), ({ name }) => name.split("/")[0]!)
  )
    .map(([verb, found]) => {
      const best = found.reduce((a, b) => b.value > a.value ? b : a)
      return html`<div title="${RunFacts.figureName(best)}"><span class="muted">${verb}</span> ${
        RunFacts.value(best)
      }</div>`
    })

const row = ({ id, run }: Named, links: Links): Html => {
  const stage = RunFacts.present(run)
  return html`<tr data-run="${id}">${
    links.compare === undefined
      ? undefined
      : html`<td><input type="checkbox" name="run" value="${id}" aria-label="Compare ${id}"></td>`
  }<th scope="row"><a href="${links.run(id, "overview")}">${id}</a>${
    run.tags.length === 0 ? undefined : html` <span class="muted">${run.tags.join(", ")}</span>`
  }</th><td>${RunFacts.state(run.state)}</td><td>${stage?.stage ?? "none"}</td><td class="number">${
    stage === undefined ? "–" : RunFacts.steps(stage)
  }</td><td>${figures(run)}</td><td class="number">${Numbers.duration(run.seconds)}</td><td class="muted">${
    RunFacts.time(run.changed)
  }</td></tr>\n`
}

const table = (runs: ReadonlyArray<Named>, links: Links): Html =>
  html`<div class="scroll" role="region" aria-label="Runs" tabindex="0"><table>
<thead><tr>${
    links.compare === undefined ? undefined : html`<th scope="col">Compare</th>`
  }<th scope="col">Run</th><th scope="col">State</th><th scope="col">Stage</th><th scope="col" class="number">Step</th><th scope="col">Best figures</th><th scope="col" class="number">Time</th><th scope="col">Last change</th></tr></thead>
<tbody>${runs.map((run) => row(run, links))}</tbody></table></div>`

/** Renders the list. `folders` are those that were looked into. */
export const content = (runs: ReadonlyArray<Named>, folders: ReadonlyArray<string>, links: Links): Html =>
  runs.length === 0
    ? missing(`There is no run in ${folders.join(", ")}.`, "patchword demo")
    : links.compare === undefined
    ? table(runs, links)
    : html`<form action="${links.compare}">${table(runs, links)}${
      runs.length < 2 ? undefined : html`<p class="note after"><button>Compare</button> Choose two runs or more.</p>`
    }</form>`

/** Makes the page, which follows the runs if somebody sends their news. */
export const page = (runs: ReadonlyArray<Named>, folders: ReadonlyArray<string>, links: Links): Page => ({
  title: "Runs",
  heading: "Runs",
  main: links.list === undefined
    ? content(runs, folders, links)
    : html`<p class="note" role="status">Live: <span data-live="connection">connecting</span></p>
<div data-live="runs" data-events="${links.list}">${content(runs, folders, links)}</div>`
})
