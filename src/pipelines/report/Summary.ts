/** The head of the page: the result in a sentence, the key figures, and what was expected of them. */
import * as Report from "../../domain/evaluation/Report.ts"
import { type Content, type Html, html } from "./Html.ts"
import * as Numbers from "./Numbers.ts"

const words: Readonly<Record<string, string>> = {
  rendition: "new concepts",
  renditionSeen: "concepts of training",
  flat: "flat style",
  "3d": "3D style",
  probe: "linear probe",
  knn: "nearest neighbours",
  finetune: "fine-tuning",
  random: "random initialisation",
  pretrain: "pretraining",
  maskedAccuracy: "masked codes predicted",
  usage: "codes used",
  seconds: "time"
}

const name = (path: string): string => path.split(".").map((part) => words[part] ?? part).join(", ")

const shares = /^(probe|knn|finetune|rendition|renditionSeen|majority)\b|^pretrain\.(maskedAccuracy|majority)$/

const write = (path: string, value: number): string => {
  if (shares.test(path)) return Numbers.percent(value)
  return path.startsWith("seconds") ? Numbers.duration(value) : Numbers.short(value)
}

const bound = (expectation: Report.Expectation): string => {
  const { figure } = expectation
  if ("atLeast" in expectation) return `at least ${write(figure, expectation.atLeast)}`
  if ("atMost" in expectation) return `at most ${write(figure, expectation.atMost)}`
  if (expectation.by === 0) return "any gain"
  return `at least ${shares.test(figure) ? Numbers.points(expectation.by) : `+${write(figure, expectation.by)}`}`
}

const expected = ({ baseline, expectation }: Report.Verdict): string =>
  "above" in expectation
    ? `${bound(expectation)} over ${name(expectation.above.split(".").at(-1)!)} (${
      write(expectation.above, baseline ?? 0)
    })`
    : bound(expectation)

const reached = (verdict: Report.Verdict): Html =>
  verdict.reached ? html`<span class="yes">✓ reached</span>` : html`<span class="no">✗ missed</span>`

/** The result in one sentence. `subject` is what the network was asked about. */
export const headline = ({ counts, probe }: Report.Report, subject: string): string => {
  const gain = probe.pretrained - probe.random
  const place = `on ${subject} it has never seen`
  const points = `${(100 * Math.abs(gain)).toFixed(1)} points`
  if (gain <= 0) return `Pretraining leaves the linear probe ${points} below the untrained network ${place}.`
  // Both figures are uncertain.
  const noise = Math.SQRT2 * Report.deviation(probe.pretrained, counts["in-new"])
  return `Pretraining lifts the linear probe by ${points} ${place}${gain < noise ? ", which is within the noise" : ""}.`
}

interface Tile {
  readonly label: string
  readonly figure: string
  readonly value: string
  readonly beside: Content
}

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
      beside: "of rebuilt and teacher’s features"
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

/** The head of the page. */
export const summary = (report: Report.Report, subject: string): Html => {
  const verdicts = Report.verdicts(report)
  const { classes, majority, probe } = report
  const duration = Numbers.duration(Report.totalSeconds(report))
  const hits = verdicts.filter((verdict) => verdict.reached).length
  const judged = verdicts.length === 0
    ? `The run took ${duration}.`
    : `The run took ${duration} and reached ${hits} of ${verdicts.length} expected figures.`
  return html`<header>
<p class="kicker">patchword · preset ${report.preset} · seed ${report.seed} · ${report.engine}</p>
<h1>${headline(report, subject)}</h1>
<p class="lead">From ${Numbers.percent(probe.random)} with the same network at random initialisation to ${
    Numbers.percent(probe.pretrained)
  }, over ${classes.length} classes of which the largest holds ${Numbers.percent(majority)}. ${judged}</p>
<dl class="tiles">${
    tiles(report).map(({ beside, figure, label, value }) => {
      const verdict = verdicts.find(({ expectation }) => expectation.figure === figure)
      return html`<div class="tile"><dt>${label}</dt><dd><span class="value">${value}</span>
<span class="beside">${beside}</span>${
        verdict === undefined
          ? undefined
          : html`<span class="verdict">${reached(verdict)} <span class="bound">${
            bound(verdict.expectation)
          }</span></span>`
      }</dd></div>`
    })
  }</dl>
${
    verdicts.length === 0 ? undefined : html`<details><summary>What was expected</summary>
<div class="scroll" role="region" aria-label="Expected figures" tabindex="0"><table>
<thead><tr><th scope="col">Figure</th><th scope="col" class="number">Measured</th><th scope="col">Expected</th><th scope="col">Verdict</th></tr></thead>
<tbody>${
      verdicts.map((verdict) =>
        html`<tr><th scope="row">${name(verdict.expectation.figure)}</th><td class="number">${
          write(verdict.expectation.figure, verdict.measured)
        }</td><td>${expected(verdict)}</td><td>${reached(verdict)}</td></tr>`
      )
    }</tbody></table></div></details>`
  }
</header>`
}
