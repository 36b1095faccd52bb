/**
 * The scripts of pages with charts. They draw charts with uPlot, and draw them again if theme or width change. A page that follows a
 * run sends its charts anew in an event `charts` of the document, with the charts as its detail.
 */
import { Effect, FileSystem } from "effect"
import { createRequire } from "node:module"
import * as Files from "../../layers/files/Files.ts"

const require = createRequire(import.meta.url)

const readPackaged = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = require.resolve(file)
  return yield* Files.onFailure(path)(fs.readFileString(path))
})

/**
 * Runs in the browser before uPlot, which passes the browser's language to `Intl`. A browser in a container may call its
 * language `en-US@posix`, which `Intl` refuses. The page is always in English.
 */
const language = `
Object.defineProperty(navigator, "language", { value: document.documentElement.lang })
`

/** Runs in the browser after uPlot. It is a text, because tools that rewrite functions would break a function. */
const script = `
"use strict"
{
  let charts = JSON.parse(document.getElementById("charts").textContent)
  const probe = document.body.appendChild(document.createElement("span"))
  probe.hidden = true
  const colour = (name) => {
    probe.style.color = "var(--" + name + ")"
    return getComputedStyle(probe).color
  }
  const number = (value) => value == null ? "–" : String(Number(value.toPrecision(4)))
  const band = (points) => (u) => {
    const { ctx } = u
    const at = (step, value) => ctx.lineTo(u.valToPos(step, "x", true), u.valToPos(value, "y", true))
    ctx.save()
    ctx.fillStyle = ctx.strokeStyle = colour("band")
    ctx.beginPath()
    points.forEach(([step, low]) => at(step, low))
    points.toReversed().forEach(([step, , high]) => at(step, high))
    ctx.closePath()
    ctx.fill()
    ctx.lineWidth = 2 * devicePixelRatio
    ctx.stroke()
    ctx.restore()
  }
  const line = ({ name, baseline, raw, tone }) => ({
    label: name,
    class: raw ? "raw" : "line",
    stroke: colour(baseline ? "muted" : "tone-" + tone),
    width: raw ? 1 : 2,
    alpha: raw ? 0.3 : 1,
    dash: raw ? undefined : baseline ? [6, 4] : [undefined, [12, 3], [2, 3], [12, 3, 2, 3], [4, 2]][tone],
    spanGaps: true,
    points: { show: false }
  })
  const told = ({ series, summary }, u) => {
    const at = u.cursor.idx
    if (at == null) return summary
    const values = series.map(({ name, raw }, i) => ({ name, raw, value: number(u.data[i + 1][at]) })).filter(({ raw }) => !raw)
    return "step " + u.data[0][at] + ": " +
      values.map(({ name, value }) => values.length > 1 ? name + " " + value : value).join(", ")
  }
  const HEIGHT = 204
  const options = (entry, width, readout) => {
    const { chart } = entry
    const axis = {
      stroke: colour("muted"),
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      labelSize: 16,
      labelGap: 0,
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false }
    }
    return {
      width,
      height: HEIGHT,
      scales: { x: { time: false }, y: { range: () => entry.chart.range } },
      axes: [
        { ...axis, label: "step", size: 26, grid: { show: false }, values: (_, at) => at.map(String) },
        { ...axis, label: chart.axis, size: 40, values: (_, at) => at.map(String) }
      ],
      legend: { show: false },
      padding: [6, 18, 0, 0],
      series: [{}, ...chart.series.map(line)],
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: {
        drawClear: chart.band.length > 0 ? [(u) => band(entry.chart.band)(u)] : [],
        setCursor: [(u) => {
          readout.textContent = told(entry.chart, u)
        }]
      }
    }
  }
  const found = () =>
    [...document.querySelectorAll("[data-chart]")].map((element) => ({
      element,
      chart: charts[Number(element.dataset.chart)],
      plot: undefined
    }))
  const readoutOf = (element) => element.parentElement.querySelector("[data-readout]")
  let plots = found()
  const draw = () => {
    for (const entry of plots) {
      entry.plot?.destroy()
      const { chart, element } = entry
      entry.plot = new uPlot(options(entry, element.clientWidth, readoutOf(element)), chart.data, element)
    }
  }
  draw()
  const linesOf = ({ band, series }) => JSON.stringify([band.length > 0, series])
  const renew = ({ detail }) => {
    charts = detail
    const fresh = found()
    const isSame = ({ chart, element }, i) => element === plots[i]?.element && linesOf(chart) === linesOf(plots[i].chart)
    if (fresh.length === plots.length && fresh.every(isSame)) {
      for (const [i, entry] of plots.entries()) {
        const { chart, element } = fresh[i]
        entry.chart = chart
        entry.plot.setData(chart.data)
        readoutOf(element).textContent = told(chart, entry.plot)
      }
    } else {
      for (const { plot } of plots) plot.destroy()
      plots = fresh
      draw()
    }
  }
  document.addEventListener("charts", renew)
  new ResizeObserver(() => {
    for (const { element, plot } of plots) {
      if (element.clientWidth > 0 && plot.width !== element.clientWidth) {
        plot.setSize({ width: element.clientWidth, height: HEIGHT })
      }
    }
  }).observe(document.body)
  const light = (on) => () => {
    document.documentElement.classList.toggle("light", on)
    draw()
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw)
  addEventListener("beforeprint", light(true))
  addEventListener("afterprint", light(false))
}
`

/** Reads the whole script of pages with charts. Fails with a `FileError` if the plotting library is not in its package. */
export const code: Effect.Effect<string, Files.FileError, FileSystem.FileSystem> = Effect.map(
  readPackaged("uplot/dist/uPlot.iife.min.js"),
  (plotScript) => `${language}${plotScript}\n${script}`
)

/** Reads the style of the charts. Fails as `code` does. */
export const style: Effect.Effect<string, Files.FileError, FileSystem.FileSystem> = readPackaged(
  "uplot/dist/uPlot.min.css"
)
