/** The foot of the page: times, credits of pictures, and provenance. */
import * as Report from "../../domain/evaluation/Report.ts"
import { type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"
import type { Credit, PageData } from "./PageData.ts"

/** Renders the section of the times of the stages. */
export const timings = (report: Report.Report): Html => {
  const total = Report.totalSeconds(report)
  return html`<section aria-labelledby="time"><h2 id="time">Time</h2>
<div class="scroll" role="region" aria-labelledby="time" tabindex="0"><table class="times">
<thead><tr><th scope="col">Stage</th><th scope="col" class="number">Time</th><th scope="col" class="number">Share</th><td></td></tr></thead>
<tbody>${
    Object.entries(report.seconds).map(([stage, seconds]) =>
      html`<tr><th scope="row">${stage}</th><td class="number">${Numbers.duration(seconds)}</td><td class="number">${
        Numbers.percent(seconds / (total || 1))
      }</td><td class="meter"><i style="--share:${(seconds / (total || 1)).toFixed(4)}"></i></td></tr>\n`
    )
  }</tbody>
<tfoot><tr><th scope="row">All</th><td class="number">${Numbers.duration(total)}</td><td></td><td></td></tr></tfoot>
</table></div></section>`
}

const credit = ({ author, licence, name, url }: Credit): Html =>
  html`<li>${
    url.startsWith("https://") ? html`<a href="${url}" rel="noopener noreferrer">${name}</a>` : name
  } by ${author}, ${licence}</li>`

/** Renders the section of the provenance. */
export const provenance = (
  report: Report.Report,
  page: Pick<PageData, "credits" | "provenance" | "config">
): Html => {
  const images = Object.entries(report.counts).map(([split, count]) => `${split} ${Numbers.count(count)}`).join(", ")
  const { loss, steps } = report.pretrain
  const entries: PageData["provenance"] = [
    ["Classes", report.classes.join(", ")],
    ["Images", images],
    ["Pretraining", `${Numbers.count(steps)} steps, loss ${Numbers.short(loss)} at the end`],
    ...page.provenance
  ]
  return html`<section aria-labelledby="provenance"><h2 id="provenance">Provenance</h2>
${page.credits.length === 0 ? undefined : html`<p>Pictures on this page:</p><ul>${page.credits.map(credit)}</ul>`}
<details><summary>Data and machine</summary><dl class="facts">${
    entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)
  }</dl></details>
<details><summary>Configuration</summary><pre tabindex="0">${JSON.stringify(page.config, undefined, 2)}</pre></details>
</section>`
}
