/** The scripts of the page: charts drawn with uPlot, again when theme or width change. */

/**
 * Runs in the browser before uPlot, which gives the browser's language to `Intl`. A browser in a container may call its language
 * `en-US@posix`, which `Intl` refuses. The page is in English wherever it is read.
 */
export const language = `
Object.defineProperty(navigator, "language", { value: document.documentElement.lang })
`

/** Runs in the browser after uPlot. A text rather than a function, since tools that rewrite functions would break it. */
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
  const number = (_, value) => value == null ? "–" : String(Number(value.toPrecision(4)))
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
    points: { show: false },
    value: number
  })
  const options = (chart, width) => {
    const axis = {
      stroke: colour("muted"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false }
    }
    return {
      width,
      height: 190,
      scales: { x: { time: false }, y: { range: chart.range } },
      axes: [{ ...axis, size: 28, grid: { show: false }, values: (_, at) => at.map(String) }, { ...axis, size: 46, values: (_, at) => at.map(String) }],
      legend: { markers: { width: 0, fill: (u, i) => u.series[i].stroke() } },
      series: [{ label: "step", value: number }, ...chart.series.map(line)],
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: { drawClear: chart.band.length > 0 ? [band(chart.band)] : [] }
    }
  }
  const plots = [...document.querySelectorAll("[data-chart]")].map((element) => ({ element, plot: undefined }))
  const draw = () => {
    for (const entry of plots) {
      const chart = charts[Number(entry.element.dataset.chart)]
      entry.plot?.destroy()
      entry.plot = new uPlot(options(chart, entry.element.clientWidth), chart.data, entry.element)
    }
  }
  draw()
  new ResizeObserver(() => {
    for (const { element, plot } of plots) {
      if (element.clientWidth > 0 && plot.width !== element.clientWidth) {
        plot.setSize({ width: element.clientWidth, height: 190 })
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
