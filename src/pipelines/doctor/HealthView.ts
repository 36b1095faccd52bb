/**
 * The health of a run as a part of a page: findings with their causes, and all figures with their healthy bands. It has no script.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HealthView } from "patchword/pipelines"
 *
 * const { html } = HealthView.render({ version: 1, patchword: "0.1.0", stages: [] })
 * assert.match(html, /class="health"/)
 * ```
 */
import type { Finding } from "../../domain/health/Diagnosis.ts"
import * as HealthFigure from "../../domain/health/HealthFigure.ts"
import type { HealthReport, Judged, Missing, StageHealth } from "../../domain/health/HealthReport.ts"
import { type Html, html } from "../report/Html.ts"
import * as Numbers from "../report/Numbers.ts"

const finding = ({ cause, change, evidence, title }: Finding): Html =>
  html`<li><h4>${title}</h4>
<p>${cause}</p>
<p class="muted">${evidence.join("; ")}</p>
<p>What helps:</p>
<ul>${change.map((one) => html`<li>${one}</li>`)}</ul></li>
`

const verdicts = { true: "healthy", false: "ill", undefined: "not judged" } as const

const row = ({ healthy, name, on, value }: Judged): Html => {
  const { meaning, title } = HealthFigure.all[name]
  const verdict = verdicts[`${healthy}`]
  return html`<tr${
    healthy === false ? html` class="ill"` : undefined
  }><th scope="row">${title}<span class="muted meaning">${meaning}</span></th><td class="number">${
    HealthFigure.show(name, value)
  }</td><td>${
    HealthFigure.showBand(name) ?? "–"
  }</td><td class="verdict">${verdict}</td><td class="muted">${on}</td></tr>
`
}

const absent = ({ figures, why }: Missing): Html =>
  html`<li>${figures.map((name) => HealthFigure.all[name].title).join(", ")}: <span class="muted">${why}</span></li>
`

const stage = (one: StageHealth): Html => {
  const { figures, findings, finished, missing, notes = [], step } = one
  const id = `health-${one.stage}`
  return html`<section aria-labelledby="${id}"><h3 id="${id}">${one.stage} <span class="muted">${
    finished ? "" : "not finished, "
  }step ${Numbers.count(step)}</span></h3>
${notes.map((note) => html`<p class="note">${note}.</p>\n`)}${
    findings.length === 0
      ? html`<p class="verdict">${
        figures.some(({ healthy }) => healthy !== undefined)
          ? "Nothing is wrong."
          : "No figure could be judged yet, so it may be healthy or not."
      }</p>`
      : html`<p>The first finding is the root of the others. Cure it first.</p>
<ol class="findings">${findings.map(finding)}</ol>`
  }
<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0"><table>
<thead><tr><th scope="col">Figure</th><th scope="col" class="number">Value</th><th scope="col">Healthy</th><th scope="col">Verdict</th><th scope="col">Measured on</th></tr></thead>
<tbody>
${figures.map(row)}</tbody></table></div>
${
    missing.length === 0
      ? undefined
      : html`<p class="note after">Not measured:</p><ul class="muted">${missing.map(absent)}</ul>`
  }
</section>
`
}

/** Rules of style besides those of all pages. */
export const style = `
.health h4 { margin: 0 0 .25rem; font-size: 1rem }
.health section { margin-top: 2.5rem }
.health .findings { margin: 1rem 0 1.5rem; padding-left: 1.25rem }
.health .findings li { margin-bottom: .25rem }
.health .findings > li { margin-bottom: 1.25rem }
.health .findings > li::marker { font-weight: 700 }
.health p { margin: .25rem 0 }
.health .meaning { display: block; font-weight: 400; font-size: .875rem; white-space: normal }
.health .ill .verdict { color: var(--no); font-weight: 700 }
`

/** Renders the health of a run. A page with it also needs {@link style}. */
export const render = (report: HealthReport): Html => {
  const { images, stages } = report
  return html`<div class="health">
<p class="note">${
    images === undefined
      ? "Measured on the log, the weights and the checkpoints, without images."
      : `Measured on ${Numbers.count(images.images)} of ${Numbers.count(images.of)} images of ${images.split}.`
  } The ${HealthFigure.MEASURED_ON}.</p>
${stages.map(stage)}</div>
`
}
