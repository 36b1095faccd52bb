/** The view of a run's training: its progress and its curves, which grow while the run is trained. */
import type { Band } from "../../domain/evaluation/Report.ts"
import * as Charts from "../../pipelines/report/Charts.ts"
import { type Html, html, json } from "../../pipelines/report/Html.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import type { Curve } from "../../pipelines/report/PageData.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import type { Following } from "./Following.ts"
import { missing } from "./Missing.ts"
import * as RunFacts from "./RunFacts.ts"

/** The texts that change while a run is trained, by their names on the page. */
export const progress = (run: Run): Readonly<Record<string, string>> => {
  const stage = RunFacts.present(run)
  const isRunning = stage?.state === "running"
  return {
    state: run.state,
    stage: stage?.stage ?? "none",
    steps: stage === undefined ? "–" : RunFacts.steps(stage),
    speed: RunFacts.speed(stage?.imagesPerSecond),
    left: isRunning && stage.secondsLeft !== undefined ? Numbers.duration(stage.secondsLeft) : "–",
    time: Numbers.duration(run.seconds)
  }
}

const LABELS: Readonly<Record<string, string>> = {
  state: "State",
  stage: "Stage",
  steps: "Steps",
  speed: "Speed",
  left: "Time left",
  time: "Time of training"
}

const tiles = (run: Run): Html =>
  html`<dl class="tiles live">${
    Object.entries(progress(run)).map(([name, text]) =>
      html`<div class="tile"><dt>${
        LABELS[name]
      }</dt><dd><span class="beside" data-live="${name}">${text}</span></dd></div>`
    )
  }</dl>`

/** The view and its charts. */
export interface Training {
  readonly main: Html
  readonly charts: ReadonlyArray<Charts.Chart>
}

/**
 * Renders the view. `events` is the address of what is logged from now on, if somebody sends it. `from` is the number of charts before
 * these on the page.
 */
export const render = (
  run: Run,
  curves: ReadonlyArray<Curve>,
  options: { readonly expected: ReadonlyArray<Band>; readonly events: string | undefined; readonly from: number }
): Training => {
  const { events, expected, from } = options
  const charts = Charts.charts(curves, { expected: { curves: expected } })
  const following: Following | undefined = events === undefined ? undefined : { events, expected }
  return {
    charts,
    main: html`${tiles(run)}
${
      following === undefined
        ? undefined
        : html`<p class="note" role="status">Live: <span data-live="connection">connecting</span> <span data-live="news"></span></p>`
    }
<div data-live="charts">${
      charts.length === 0 ? missing("No step of this run is logged yet.") : Charts.figures(charts, from)
    }</div>
${
      following === undefined
        ? undefined
        : html`<script type="application/json" id="following">${json(following)}</script>`
    }`
  }
}
