/** Charts of curves: the measured series, smoothed and raw, over the expected band. */
import type { Band } from "../../domain/evaluation/Report.ts"
import { type Html, html } from "./Html.ts"
import type { Curve } from "./PageData.ts"

/** One line of a chart. */
interface Line {
  readonly name: string
  readonly baseline: boolean
  /** The number of its colour. The lines of a run have the same one. */
  readonly tone: number
  readonly raw: boolean
}

/** The data of a chart for the script of the page. */
export interface Chart {
  readonly title: string
  /** The name of the vertical axis. */
  readonly axis: string
  readonly summary: string
  readonly series: ReadonlyArray<Line>
  /** Steps, then the values of each line at these steps; `null` for missing values. */
  readonly data: ReadonlyArray<ReadonlyArray<number | null>>
  readonly range: readonly [low: number, high: number]
  readonly band: ReadonlyArray<readonly [step: number, low: number, high: number]>
}

// Fewer points are drawn as they are.
const SMOOTHED_FROM = 120
const WINDOWS = 40

// Colours of lines that can be told apart.
const TONES = 5

/** Smooths values: the mean of each value and of the `window - 1` values before it. */
const smooth = (values: ArrayLike<number>, window: number): ReadonlyArray<number> => {
  // Sums within blocks, from their start and to their end, give the sum of a window without a subtraction. So the mean of zeros is
  // zero, and a value that is not finite spoils its own windows alone.
  const fromStart = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) fromStart[i] = values[i]! + (i % window === 0 ? 0 : fromStart[i - 1]!)
  const toEnd = new Float64Array(values.length + 1)
  for (let i = values.length - 1; i >= 0; i--) toEnd[i] = values[i]! + ((i + 1) % window === 0 ? 0 : toEnd[i + 1]!)
  return Array.from(values, (_, i) => {
    const first = i - window + 1
    const before = first > 0 && first % window !== 0 ? toEnd[first]! : 0
    return (before + fromStart[i]!) / Math.min(i + 1, window)
  })
}

const round = (value: number): number => Number(value.toPrecision(5))

const lines = (curve: Curve, tone: number): ReadonlyArray<Line & { readonly at: ReadonlyMap<number, number> }> => {
  const steps = Array.from(curve.steps)
  const line = (values: ArrayLike<number>, raw: boolean) => ({
    name: curve.run ?? curve.metric,
    baseline: curve.baseline ?? false,
    tone,
    raw,
    at: new Map(steps.map((step, i) => [step, round(values[i]!)]))
  })
  if (steps.length < SMOOTHED_FROM) return [line(curve.values, false)]
  return [line(curve.values, true), line(smooth(curve.values, Math.ceil(steps.length / WINDOWS)), false)]
}

// As the log calls them. The first of the two losses of pretraining is that of the last layer.
const names: ReadonlyMap<string, string> = new Map([
  ["loss_1", "loss"],
  ["accuracy_1", "accuracy"],
  ["usage", "codes used"]
])

const rough = (value: number): string => String(Number(value.toPrecision(3)))

const summary = ({ run, values }: Curve): string =>
  `${run === undefined ? "" : `${run} `}${rough(values[0]!)} → ${rough(values[values.length - 1]!)}`

// Of a stage that logs both `loss` and `loss_1`, each has a name of its own.
const axisOf = (metric: string, metrics: ReadonlySet<string>): string => {
  const name = names.get(metric) ?? metric
  return name !== metric && metrics.has(name) ? `${name} of the last layer` : name
}

const chart = (
  curves: readonly [Curve, ...ReadonlyArray<Curve>],
  metrics: ReadonlySet<string>,
  bands: ReadonlyArray<Band>
): Chart => {
  const [{ metric, stage }] = curves
  const others = [...new Set(curves.filter(({ baseline }) => baseline !== true).map(({ run }) => run))]
  const series = curves.flatMap((curve) => lines(curve, Math.max(0, others.indexOf(curve.run)) % TONES))
  const steps = [...new Set(curves.flatMap((curve) => Array.from(curve.steps)))].toSorted((a, b) => a - b)
  const band = bands.find((one) => one.stage === stage && one.metric === metric)?.points ?? []
  const heights = [
    ...series.flatMap(({ at }) => [...at.values()]),
    ...band.flatMap(({ high, low }) => [low, high])
  ].filter(Number.isFinite)
  const low = heights.reduce((a, b) => Math.min(a, b), Infinity)
  const high = heights.reduce((a, b) => Math.max(a, b), -Infinity)
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1
  const axis = axisOf(metric, metrics)
  return {
    title: `${stage}: ${axis}${axis === "accuracy" ? " of each training batch" : ""}`,
    axis,
    summary: curves.map(summary).join(", "),
    series: series.map(({ baseline, name, raw, tone }) => ({ name, baseline, tone, raw })),
    data: [steps, ...series.map(({ at }) => steps.map((step) => at.get(step) ?? null))],
    range: heights.length === 0 ? [0, 1] : [low - margin, high + margin],
    band: band.map(({ high: top, low: bottom, step }) => [step, bottom, top])
  }
}

/** The part of a report that charts read: the expected ranges of curves. */
export interface Expected {
  readonly expected: { readonly curves: ReadonlyArray<Band> }
}

/** Makes the charts of curves, in the order in which their stages and metrics first occur. */
export const charts = (curves: ReadonlyArray<Curve>, report: Expected): ReadonlyArray<Chart> =>
  Object.values(Object.groupBy(curves, ({ metric, stage }) => JSON.stringify([stage, metric])))
    .flatMap((group = []) => {
      const [first, ...rest] = group.filter(({ steps }) => steps.length > 0)
      if (first === undefined) return []
      const metrics = new Set(curves.filter(({ stage }) => stage === first.stage).map(({ metric }) => metric))
      return [chart([first, ...rest], metrics, report.expected.curves)]
    })

const keys = ({ band, series }: Chart): ReadonlyArray<Html> => {
  const drawn = series.filter(({ raw }) => !raw)
  return [
    ...(drawn.length < 2 ?
      [] :
      drawn.map(({ baseline, name, tone }) =>
        html` <span class="key"><i class="${baseline ? "line baseline" : `line tone-${tone}`}"></i>${name}</span>`
      )),
    ...(band.length === 0 ? [] : [html` <span class="key"><i class="band"></i>expected</span>`])
  ]
}

/** Formats the text of a chart for readers who do not see it. */
export const label = ({ summary: text, title }: Chart): string => `Chart of ${title} by step: ${text}`

/** Renders the figures that the script fills. `from` is the index of the first one in the script's list. */
export const figures = (all: ReadonlyArray<Chart>, from: number): Html =>
  html`<div class="charts">${
    all.map((chart, i) => {
      const { summary: text, title } = chart
      return html`<figure class="chart">
<figcaption><b>${title}</b> <span class="muted" data-readout>${text}</span>${keys(chart)}</figcaption>
<div data-chart="${from + i}" role="img" aria-label="${label(chart)}"></div>
</figure>`
    })
  }</div>`
