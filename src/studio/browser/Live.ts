/**
 * Follows a run in the browser. Server-sent events bring the curves until now, and then the points that are logged. The charts are made
 * by the same functions as those of the report.
 */
import * as Charts from "../../pipelines/report/Charts.ts"
import type { Curve } from "../../pipelines/report/PageData.ts"
import * as Thinned from "../../pipelines/runs/Thinned.ts"
import type { Following, Point } from "../pages/Following.ts"

// More points than a screen has columns.
const POINTS = 2000

const element = (name: string): HTMLElement | null => document.querySelector(`[data-live="${CSS.escape(name)}"]`)

const say = (name: string, text: string): void => {
  const place = element(name)
  if (place !== null && place.textContent !== text) place.textContent = text
}

/** A curve that grows. */
interface Growing {
  readonly curve: Curve
  readonly points: Thinned.Thinned
}

const follow = ({ events, expected }: Following): void => {
  const measured = new Map<string, Growing>()
  let speed: ReadonlyArray<Curve> = []
  const add = (stage: string, metric: string, step: number, value: number): void => {
    const key = JSON.stringify([stage, metric])
    const known = measured.get(key) ??
      { curve: { stage, metric, steps: [], values: [] }, points: Thinned.make(POINTS) }
    measured.set(key, known)
    known.points.add(step, value)
  }

  let isWaiting = false
  const draw = (): void => {
    isWaiting = false
    const grown = Array.from(measured.values(), ({ curve, points }) => ({ ...curve, ...points.series() }))
    const charts = Charts.charts([...grown, ...speed], { expected: { curves: expected } })
    const place = element("charts")
    if (place === null) return
    // All text in it is escaped by the template of the report.
    if (place.querySelectorAll("[data-chart]").length !== charts.length) {
      place.innerHTML = Charts.figures(charts, 0).html
    } else {
      for (const [i, drawn] of place.querySelectorAll("[data-chart]").entries()) {
        drawn.setAttribute("aria-label", Charts.label(charts[i]!))
      }
    }
    document.dispatchEvent(new CustomEvent("charts", { detail: charts }))
  }
  const drawSoon = (): void => {
    if (!isWaiting) requestAnimationFrame(draw)
    isWaiting = true
  }

  const source = new EventSource(events)
  const on = (name: string, use: (content: any) => void): void =>
    source.addEventListener(name, ({ data }: MessageEvent<string>) => use(JSON.parse(data)))
  source.addEventListener("open", () => say("connection", "connected"))
  source.addEventListener("error", () => say("connection", "connection lost, tries again"))
  on("state", (texts: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(texts)) say(name, text)
  })
  on("measured", (curves: ReadonlyArray<Curve>) => {
    measured.clear()
    for (const { metric, stage, steps, values } of curves) {
      for (let i = 0; i < steps.length; i++) add(stage, metric, steps[i]!, values[i]!)
    }
    drawSoon()
  })
  on("speed", (curves: ReadonlyArray<Curve>) => {
    speed = curves
    drawSoon()
  })
  on("points", (points: ReadonlyArray<Point>) => {
    for (const [stage, metric, step, value] of points) add(stage, metric, step, value)
    drawSoon()
  })
  addEventListener("pagehide", () => source.close())
}

const told = document.getElementById("following")?.textContent
if (told) follow(JSON.parse(told))
