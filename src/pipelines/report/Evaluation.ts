/** The evaluation of the frozen and fine-tuned networks: gains at a glance, a table of all results, confusion matrices. */
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as Report from "../../domain/evaluation/Report.ts"
import { chosen } from "./Chosen.ts"
import { type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"
import type { PageData } from "./PageData.ts"

/** The part of the page's data that the evaluation shows. */
export type Evaluated = Pick<PageData, "subject" | "confusion" | "results">

const methods = [["probe", "Linear probe"], ["finetune", "Fine-tuning"], ["knn", "Nearest neighbours"]] as const

const networks = [
  ["random", "Random"],
  ["tokenizer", "Tokenizer"],
  ["pretrained", "Pretrained"]
] as const

type Network = typeof networks[number][0]

interface Column {
  readonly name: string
  readonly count: number
  readonly scores: Report.Scores
}

const newConcepts = (report: Report.Report): ReadonlyArray<Column> => [
  { name: "in style", count: report.counts["in-new"], scores: report },
  { name: "flat", count: report.counts["flat-new"], scores: report.rendition.flat },
  { name: "3D", count: report.counts["3d-new"], scores: report.rendition["3d"] }
]

const seenConcepts = (report: Report.Report): ReadonlyArray<Column> => [
  { name: "flat", count: report.counts["flat-seen"], scores: report.renditionSeen.flat },
  { name: "3D", count: report.counts["3d-seen"], scores: report.renditionSeen["3d"] }
]

type Method = typeof methods[number][0]

const score = (scores: Report.Scores, method: Method, network: Network): number | undefined => {
  const row: { readonly [N in Network]?: number } = scores[method]
  return row[network]
}

const best = (scores: Report.Scores, method: Method): number =>
  Math.max(...networks.map(([network]) => score(scores, method, network) ?? 0))

const cell = ({ scores }: Column, method: Method, network: Network): Html => {
  const value = score(scores, method, network)
  if (value === undefined) return html`<td class="number muted">–</td>`
  const text = (100 * value).toFixed(1)
  const gain = network === "random" ? "" : Numbers.points(value - scores[method].random)
  return html`<td class="number">${
    value === best(scores, method) ? html`<strong>${text}</strong>` : text
  }<span class="gain">${gain}</span></td>`
}

const table = (report: Report.Report): Html => {
  const [fresh, seen] = [newConcepts(report), seenConcepts(report)]
  const columns = [...fresh, ...seen]
  return html`<p id="scores" class="note">Top-1 accuracy in %, on frozen features and after fine-tuning. The best of each block is bold. Differences to random initialisation are in points.</p>
<div class="scroll" role="region" aria-labelledby="scores" tabindex="0"><table class="scores" aria-labelledby="scores">
<thead>
<tr><td></td><th scope="colgroup" colspan="${fresh.length}">New concepts</th><th scope="colgroup" colspan="${seen.length}">Concepts of training</th></tr>
<tr><td></td>${
    columns.map(({ count, name }) =>
      html`<th scope="col" class="number">${name}<span class="muted">${Numbers.count(count)} images</span></th>`
    )
  }</tr>
</thead>
${
    methods.map(([method, title]) =>
      html`<tbody>
<tr><th scope="rowgroup" colspan="${columns.length + 1}"><span class="stay">${title}</span></th></tr>
${
        networks.filter(([network]) => score(report, method, network) !== undefined).map(([network, label]) =>
          html`<tr><th scope="row">${label}</th>${columns.map((column) => cell(column, method, network))}</tr>\n`
        )
      }</tbody>`
    )
  }
</table></div>`
}

const gains = (report: Report.Report): Html => {
  const columns = newConcepts(report)
  const rows = methods.map(([method, title]) => ({
    title,
    rows: columns.map(({ count, name, scores }) => ({
      name,
      random: scores[method].random,
      pretrained: scores[method].pretrained,
      noise: Report.deviation(scores[method].pretrained, count)
    }))
  }))
  const values = rows.flatMap((group) =>
    group.rows.flatMap(({ noise, pretrained, random }) => [random, pretrained - noise, pretrained + noise])
  )
  const low = Math.max(0, Math.floor(20 * Math.min(report.majority, ...values)) / 20)
  const high = Math.min(1, Math.ceil(20 * Math.max(...values)) / 20)
  const at = (value: number): string => ((value - low) / (high - low || 1)).toFixed(4)
  return html`<div class="gains" style="--chance:${at(report.majority)}">
<p class="key-line" aria-hidden="true"><span class="dot hollow"></span> random initialisation <span class="dot"></span> pretrained, ± one standard deviation <span class="tick"></span> largest class</p>
${
    rows.map(({ rows: group, title }) =>
      html`<div class="gain-group"><h3>${title}</h3>${
        group.map(({ name, noise, pretrained, random }) =>
          html`<div class="gain-row"><span class="gain-name">${name}</span>
<span class="track" role="img" aria-label="${title}, ${name}: ${Numbers.percent(random)} from random initialisation, ${
            Numbers.percent(pretrained)
          } pretrained" style="--from:${at(random)};--to:${at(pretrained)};--noise:${
            (noise / (high - low || 1)).toFixed(4)
          }"><i class="bar"></i><i class="noise"></i><i class="dot hollow"></i><i class="dot"></i></span>
<span class="gain number">${Numbers.points(pretrained - random)}</span></div>`
        )
      }</div>`
    )
  }
<p class="scale" aria-hidden="true"><span>${Math.round(100 * low)}\u202f%</span><span>${
    Math.round(100 * high)
  }\u202f%</span></p>
</div>`
}

const confusion = (report: Report.Report, { confusion: found }: Evaluated): Html | undefined => {
  if (found === undefined) return undefined
  return html`<details><summary>Confused classes</summary>
<p id="confusion" class="note">Images by true class (rows) and predicted class (columns): ${found.evaluation}.</p>
<div class="scroll" role="region" aria-labelledby="confusion" tabindex="0"><table class="confusion" aria-labelledby="confusion">
<thead><tr><td></td>${
    report.classes.map((name, i) => html`<th scope="col" class="number"><abbr title="${name}">${i + 1}</abbr></th>`)
  }<th scope="col" class="number">right</th></tr></thead>
<tbody>${
    found.counts.map((row, truth) => {
      const all = Math.max(1, row.reduce((a, b) => a + b, 0))
      return html`<tr><th scope="row">${truth + 1} ${report.classes[truth] ?? ""}</th>${
        row.map((n, predicted) =>
          html`<td class="number heat${predicted === truth ? " own" : ""}" style="--share:${
            (n / all).toFixed(3)
          }">${n}</td>`
        )
      }<td class="number">${Numbers.percent((row[truth] ?? 0) / all)}</td></tr>\n`
    })
  }</tbody></table></div></details>`
}

const results = ({ results: kept = [] }: Evaluated): Html | undefined => {
  if (kept.length === 0) return undefined
  const known = kept.some(({ paper }) => paper !== undefined)
  const choices = kept.map(({ settings }) => chosen(settings))
  const some = choices.some((choice) => choice !== "")
  return html`<details><summary>Every result in the run folder</summary>
<p id="results" class="note">Top-1 with its 95 % interval, and top-5 if more than five answers are possible. Settings and digests are in <code>results/</code>.</p>
<div class="scroll" role="region" aria-labelledby="results" tabindex="0"><table aria-labelledby="results">
<thead><tr><th scope="col">Evaluation</th><th scope="col">Split</th><th scope="col" class="number">Images</th><th scope="col" class="number">Top-1</th><th scope="col" class="number">95 %</th><th scope="col" class="number">Top-5</th><th scope="col" class="number">Largest class</th>${
    known ? html`<th scope="col" class="number muted">${PaperTables.TITLE}, %</th>` : undefined
  }${some ? html`<th scope="col">Setting</th>` : undefined}</tr></thead>
<tbody>${
    kept.map(({ images, interval: [low, high], largestClass, network, paper, split, top1, top5, verb }, i) =>
      html`<tr><th scope="row">${verb} of ${network}</th><td>${split}</td><td class="number">${
        Numbers.count(images)
      }</td><td class="number">${Numbers.percent(top1)}</td><td class="number">${Numbers.percent(low)} to ${
        Numbers.percent(high)
      }</td><td class="number">${top5 === undefined ? "–" : Numbers.percent(top5)}</td><td class="number">${
        Numbers.percent(largestClass)
      }</td>${known ? html`<td class="number muted">${PaperTables.show(paper)}</td>` : undefined}${
        some ? html`<td>${choices[i]!}</td>` : undefined
      }</tr>\n`
    )
  }</tbody></table></div></details>`
}

/** Renders the section of the evaluation. */
export const evaluation = (report: Report.Report, page: Evaluated): Html => {
  const noise = (share: number, split: Report.Split) => (100 * Report.deviation(share, report.counts[split])).toFixed(1)
  return html`<section aria-labelledby="evaluation"><h2 id="evaluation">Evaluation</h2>
<p>The networks classify ${report.classes.length} classes of ${page.subject}. No stage was trained on these concepts. They are drawn in the styles of training, and in two styles that no stage has seen. Always naming the largest class is right in ${
    Numbers.percent(report.majority)
  } of cases.</p>
${gains(report)}
${table(report)}
<p class="note after">One standard deviation of these figures is about ${
    noise(report.probe.pretrained, "in-new")
  } points in style and ${
    noise(report.rendition["3d"].probe.pretrained, "3d-new")
  } points on the 3D style. Smaller differences are noise. Patch aggregation is a part of the method, but it makes no visible difference at this size: pretraining without it gives the same figures.</p>
${confusion(report, page)}
${results(page)}
</section>`
}
