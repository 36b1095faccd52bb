/** The scripts of the page. They draw charts with uPlot, and draw them again if theme or width change. */

/**
 * Runs in the browser before uPlot, which passes the browser's language to `Intl`. A browser in a container may call its
 * language `en-US@posix`, which `Intl` refuses. The page is always in English.
 */
export const language = `
Object.defineProperty(navigator, "language", { value: document.documentElement.lang })
`

/** Runs in the browser after uPlot. It is a text, because tools that rewrite functions would break a function. */
export const script = `
"use strict"
{
  const charts = JSON.parse(document.getElementById("charts").textContent)
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
  const line = ({ name, baseline, raw }) => ({
    label: name,
    class: raw ? "raw" : "line",
    stroke: colour(baseline ? "muted" : "accent"),
    width: raw ? 1 : 2,
    alpha: raw ? 0.3 : 1,
    dash: baseline && !raw ? [6, 4] : undefined,
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
  const options = (chart, width, readout) => {
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
      scales: { x: { time: false }, y: { range: chart.range } },
      axes: [
        { ...axis, label: "step", size: 26, grid: { show: false }, values: (_, at) => at.map(String) },
        { ...axis, label: chart.axis, size: 40, values: (_, at) => at.map(String) }
      ],
      legend: { show: false },
      padding: [6, 18, 0, 0],
      series: [{}, ...chart.series.map(line)],
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: {
        drawClear: chart.band.length > 0 ? [band(chart.band)] : [],
        setCursor: [(u) => {
          readout.textContent = told(chart, u)
        }]
      }
    }
  }
  const plots = [...document.querySelectorAll("[data-chart]")].map((element) => ({ element, plot: undefined }))
  const draw = () => {
    for (const entry of plots) {
      const chart = charts[Number(entry.element.dataset.chart)]
      entry.plot?.destroy()
      const readout = entry.element.parentElement.querySelector("[data-readout]")
      entry.plot = new uPlot(options(chart, entry.element.clientWidth, readout), chart.data, entry.element)
    }
  }
  draw()
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
