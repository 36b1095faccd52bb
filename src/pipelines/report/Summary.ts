/** The head of the page: the result in a sentence, the key figures, and their expectations. */
import * as Report from "../../domain/evaluation/Report.ts"
import * as Expectations from "./Expectations.ts"
import { type Content, type Html, html, raw } from "./Html.ts"
import * as Numbers from "./Numbers.ts"

const reached = (verdict: Report.Verdict): Html =>
  verdict.reached ? html`<span class="yes">✓ reached</span>` : html`<span class="no">✗ missed</span>`

/** Formats the result as one sentence. `subject` names the images. */
export const headline = ({ counts, probe }: Report.Report, subject: string): string => {
  const gain = probe.pretrained - probe.random
  const place = `on ${subject} it has never seen`
  const points = `${(100 * Math.abs(gain)).toFixed(1)} points`
  if (gain <= 0) return `Pretraining leaves the linear probe ${points} below the untrained network ${place}.`
  // Both figures are uncertain.
  const noise = Math.SQRT2 * Report.deviation(probe.pretrained, counts["in-new"])
  return `Pretraining lifts the linear probe by ${points} ${place}${gain < noise ? ", which is within the noise" : ""}.`
}

/** A key figure, with its expectation. */
interface Tile {
  readonly label: string
  readonly figure: string
  readonly value: string
  readonly beside: Content
}

// What was expected and missed is never left to the table that is folded.
const missed = (verdicts: ReadonlyArray<Report.Verdict>, shown: ReadonlyArray<Tile>): ReadonlyArray<Tile> =>
  verdicts.filter(({ expectation, reached }) => !reached && shown.every(({ figure }) => figure !== expectation.figure))
    .map(({ baseline, expectation, measured }) => ({
      label: Expectations.name(expectation.figure),
      figure: expectation.figure,
      value: Expectations.write(expectation.figure, measured),
      beside: "above" in expectation
        ? `${Expectations.write(expectation.above, baseline ?? 0)} from ${
          Expectations.name(expectation.above.split(".").at(-1)!)
        }`
        : undefined
    }))

const tiles = (report: Report.Report): ReadonlyArray<Tile> => {
  const { pretrain, tokenizer } = report
  const evaluation = (label: string, key: "probe" | "knn" | "finetune"): Tile => ({
    label,
    figure: `${key}.pretrained`,
    value: Numbers.percent(report[key].pretrained),
    beside: html`${Numbers.percent(report[key].random)} from random initialisation`
  })
  return [
    evaluation("Linear probe", "probe"),
    evaluation("Fine-tuning", "finetune"),
    evaluation("Nearest neighbours", "knn"),
    {
      label: "Masked accuracy",
      figure: "pretrain.maskedAccuracy",
      value: Numbers.percent(pretrain.maskedAccuracy),
      beside: html`${Numbers.percent(pretrain.majority)} by always naming the most frequent`
    },
    {
      label: "Tokenizer cosine",
      figure: "tokenizer.cosine",
      value: tokenizer.cosine.toFixed(3),
      beside: "of reconstructed and teacher’s features"
    },
    {
      label: "Codes used",
      figure: "tokenizer.usage",
      value: Numbers.count(tokenizer.usage),
      beside: html`of ${Numbers.count(tokenizer.codebookSize)}, as varied as ${
        Math.round(tokenizer.perplexity)
      } equally frequent ones`
    }
  ]
}

// Of several verdicts on a figure, a miss is the one to show.
const verdictOn = (figure: string, verdicts: ReadonlyArray<Report.Verdict>): Html | undefined => {
  const own = verdicts.filter(({ expectation }) => expectation.figure === figure)
  const shown = own.find((verdict) => !verdict.reached) ?? own[0]
  return shown &&
    html`<span class="verdict">${reached(shown)} <span class="bound">${
      Expectations.bound(shown.expectation)
    }</span></span>`
}

/** Renders the head of the page. `level` is that of its heading: 1 for a page of its own. */
export const summary = (report: Report.Report, subject: string, level: 1 | 2 = 1): Html => {
  const heading = raw(`h${level}`)
  const { learning, time } = Expectations.verdicts(report)
  const { classes, majority, probe } = report
  const duration = Numbers.duration(Report.totalSeconds(report))
  const hits = learning.filter((verdict) => verdict.reached).length
  const late = time.filter((verdict) => !verdict.reached).map(({ expectation }) =>
    ` ${Expectations.expectedTime(expectation)}`
  )
  const judged = learning.length === 0 ? "." : ` and reached ${hits} of ${learning.length} expected figures.`
  const shown = tiles(report)
  return html`<header>
<p class="kicker">patchword · preset ${report.preset} · seed ${report.seed} · ${report.engine}</p>
<${heading}>${headline(report, subject)}</${heading}>
<p class="lead">From ${Numbers.percent(probe.random)} with the same network at random initialisation to ${
    Numbers.percent(probe.pretrained)
  }, on ${classes.length} classes. The largest class has ${
    Numbers.percent(majority)
  } of the images. The run took ${duration}${judged}${late}</p>
<dl class="tiles">${
    [...shown, ...missed(learning, shown)].map(({ beside, figure, label, value }) =>
      html`<div class="tile"><dt>${label}</dt><dd><span class="value">${value}</span>
<span class="beside">${beside}</span>${verdictOn(figure, learning)}</dd></div>`
    )
  }</dl>
${
    learning.length === 0 ? undefined : html`<details><summary>Expected figures</summary>
<div class="scroll" role="region" aria-label="Expected figures" tabindex="0"><table>
<thead><tr><th scope="col">Figure</th><th scope="col" class="number">Measured</th><th scope="col">Expected</th><th scope="col">Verdict</th></tr></thead>
<tbody>${
      [...learning, ...time].map((verdict) =>
        html`<tr><th scope="row">${Expectations.name(verdict.expectation.figure)}</th><td class="number">${
          Expectations.write(verdict.expectation.figure, verdict.measured)
        }</td><td>${Expectations.expected(verdict)}</td><td>${
          time.includes(verdict) && !verdict.reached ? html`<span class="muted">slower</span>` : reached(verdict)
        }</td></tr>`
      )
    }</tbody></table></div></details>`
  }
</header>`
}
