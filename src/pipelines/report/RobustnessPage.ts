/** The robustness of a network as one self-contained HTML page: a plot, and a table. It has no script. */
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import { type RobustnessReport, warning } from "../../domain/evaluation/RobustnessReport.ts"
import { type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"
import * as PlainPage from "./PlainPage.ts"

/** A figure of a line in the plot. */
interface Point {
  readonly name: string
  readonly share: number
  readonly interval: readonly [low: number, high: number]
  /** From 1 to 5; 0 for images as they are. */
  readonly severity: number
}

/** A line of the plot: a set of images, or a kind of corruption. */
interface Line {
  readonly name: string
  readonly points: ReadonlyArray<Point>
  /** The paper's number as a share. */
  readonly paper?: number | undefined
}

const lines = ({ corruptions, sets }: RobustnessReport): ReadonlyArray<Line> => [
  ...sets.map(({ interval, name, paper, share }) => ({
    name,
    points: [{ name, share, interval, severity: 0 }],
    paper: paper?.value == null ? undefined : paper.value / 100
  })),
  ...Array.from(Map.groupBy(corruptions, ({ kind }) => kind), ([kind, figures]) => ({
    name: kind,
    points: figures.map(({ interval, severity, share }) => ({
      name: `${kind}, severity ${severity}`,
      share,
      interval,
      severity
    }))
  }))
]

const [LEFT, WIDTH, ROW, TOP] = [150, 720, 24, 26]

const x = (share: number): string => (LEFT + share * (WIDTH - LEFT - 20)).toFixed(1)

const plot = (report: RobustnessReport): Html => {
  const all = lines(report)
  const height = TOP + all.length * ROW + 10
  const known = all.some(({ paper }) => paper !== undefined)
  return html`<figure>
<svg class="dots" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Plot of the table below">
${
    [0, 0.25, 0.5, 0.75, 1].map((share) =>
      html`<line class="grid" x1="${x(share)}" x2="${x(share)}" y1="${TOP}" y2="${height}"/><text class="axis" x="${
        x(share)
      }" y="14">${100 * share} %</text>`
    )
  }
${
    all.map(({ name, paper, points }, row) => {
      const y = TOP + row * ROW + ROW / 2
      return html`<text x="0" y="${y + 4}">${name}</text>${
        paper === undefined ?
          undefined :
          html`<circle class="paper" cx="${x(paper)}" cy="${y}" r="5"><title>${name}: ${
            Numbers.percent(paper)
          } (${PaperTables.TITLE})</title></circle>`
      }${
        points.map(({ interval: [low, high], name: point, severity, share }) =>
          html`<g class="point" style="--strength:${severity === 0 ? 1 : severity / 5}"><title>${point}: ${
            Numbers.percent(share)
          } (${Numbers.percent(low)} to ${Numbers.percent(high)})</title><line x1="${x(low)}" x2="${
            x(high)
          }" y1="${y}" y2="${y}"/><circle cx="${x(share)}" cy="${y}" r="4"/></g>`
        )
      }\n`
    })
  }</svg>
<figcaption class="muted">Lines are 95 % intervals. Darker points are of higher severity.${
    known ? ` Grey circles: ${PaperTables.TITLE}.` : undefined
  }</figcaption>
</figure>`
}

const number = (value: number | undefined): string => value === undefined ? "–" : (100 * value).toFixed(1)

const sets = ({ measure, sets: all }: RobustnessReport): Html | undefined => {
  if (all.length === 0) return undefined
  const known = all.some(({ paper }) => paper !== undefined)
  return html`<section aria-labelledby="sets"><h2 id="sets">Images as they are</h2>
<div class="scroll" role="region" aria-labelledby="sets" tabindex="0"><table>
<thead><tr><th scope="col">Set</th><th scope="col" class="number">Images</th><th scope="col" class="number">${measure}, %</th><th scope="col" class="number">95 %</th>${
    known ? html`<th scope="col" class="number muted">${PaperTables.TITLE}, %</th>` : undefined
  }</tr></thead>
<tbody>${
    all.map(({ images, interval: [low, high], name, paper, share }) =>
      html`<tr><th scope="row">${name}</th><td class="number">${Numbers.count(images)}</td><td class="number">${
        number(share)
      }</td><td class="number">${number(low)} to ${number(high)}</td>${
        known ? html`<td class="number muted">${PaperTables.show(paper)}</td>` : undefined
      }</tr>\n`
    )
  }</tbody></table></div></section>`
}

const corruptions = (report: RobustnessReport): Html | undefined => {
  const { corruptions: figures, kinds, mce, measure, relativeMce } = report
  if (figures.length === 0) return undefined
  const severities = [...new Set(figures.map(({ severity }) => severity))].toSorted()
  const isClassifier = measure === "top-1"
  return html`<section aria-labelledby="corruptions"><h2 id="corruptions">Corrupted images</h2>
<p class="note">${isClassifier ? "Top-1 accuracy" : "Share of the codes that change"}, in %, by severity. ${
    isClassifier
      ? "Error: the mean error. CE: the error in relation to AlexNet's."
      : "Mean: over the severities."
  }</p>
<div class="scroll" role="region" aria-labelledby="corruptions" tabindex="0"><table>
<thead><tr><th scope="col">Kind</th>${
    severities.map((severity) => html`<th scope="col" class="number">${severity}</th>`)
  }<th scope="col" class="number">${isClassifier ? "Error" : "Mean"}</th>${
    isClassifier
      ? html`<th scope="col" class="number">CE</th><th scope="col" class="number">Relative CE</th>`
      : undefined
  }</tr></thead>
<tbody>${
    kinds.map(({ ce, error, kind, relativeCe }) =>
      html`<tr><th scope="row">${kind}</th>${
        severities.map((severity) =>
          html`<td class="number">${
            number(figures.find((one) => one.kind === kind && one.severity === severity)?.share)
          }</td>`
        )
      }<td class="number">${number(error)}</td>${
        isClassifier
          ? html`<td class="number">${number(ce)}</td><td class="number">${number(relativeCe)}</td>`
          : undefined
      }</tr>\n`
    )
  }</tbody></table></div>
${
    isClassifier
      ? html`<p class="note after">${
        mce === undefined
          ? "There is no mCE: it needs all fifteen kinds at five severities."
          : `mCE ${number(mce)} %${
            relativeMce === undefined ? "" : `, relative mCE ${number(relativeMce)} %`
          }. The paper gives no number for corrupted images.`
      }</p>`
      : undefined
  }</section>`
}

const own = `
.dots { width: 100%; margin-top: 1.5rem; max-width: 46rem; font-size: 12px; fill: var(--ink) }
.dots .grid { stroke: var(--line) }
.dots .axis { text-anchor: middle; fill: var(--muted) }
.dots .point { stroke: color-mix(in oklab, var(--accent) calc(30% + var(--strength) * 70%), var(--paper)); fill: color-mix(in oklab, var(--accent) calc(30% + var(--strength) * 70%), var(--paper)) }
.dots .paper { fill: none; stroke: var(--muted); stroke-width: 2 }
`

/** Renders the page. */
export const render = (report: RobustnessReport): string => {
  const limit = warning(report)
  return PlainPage.render({
    title: `robustness of ${report.network}`,
    heading: `Robustness of ${report.network}`,
    style: own,
    main: html`${plot(report)}
${limit === undefined ? undefined : html`<p class="note">${limit}</p>`}
${sets(report)}
${corruptions(report)}`
  })
}
