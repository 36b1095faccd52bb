/**
 * How time and memory of a pretraining step grow with the batch and with the depth: `npm run bench -- growth [--model base]
 * [--batches 2,4,8,16,32] [--depths 3,6,12,18,24] [--batch 4] [--steps 3] [--keep NAME | --draw NAME]`.
 *
 * Each point is a process of its own. `--keep` writes the points to `benchmarks/results/NAME.json` and draws them, with the
 * straight lines that fit them best, into `docs/NAME.png`; `--draw` draws those that were written.
 */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Browser from "../test/e2e/browser.ts"

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "base" },
    batches: { type: "string", default: "2,4,8,16,32" },
    depths: { type: "string", default: "3,6,12,18,24" },
    batch: { type: "string", default: "4" },
    steps: { type: "string", default: "3" },
    keep: { type: "string" },
    draw: { type: "string" }
  }
})

interface Point {
  readonly x: number
  readonly seconds: number
  readonly gigabytes: number
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const digits = (value: number) => Number(value.toPrecision(3))

const point = (x: number, ...asked: ReadonlyArray<string>): Point => {
  const step = [file("step.ts"), "--model", values.model, "--steps", values.steps, "--json", ...asked]
  const { status, stdout } = spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", ...step], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", 2]
  })
  if (status !== 0) process.exit(status ?? 70)
  const { peakMegabytes, stepMs } = JSON.parse(stdout)
  const found = { x, seconds: digits(stepMs.median / 1000), gigabytes: digits(peakMegabytes / 1024) }
  process.stdout.write(`${JSON.stringify({ asked, ...found })}\n`)
  return found
}

/** The least-squares line, and how far the point farthest from it is, as a share of the line there. */
const line = (points: ReadonlyArray<Point>, key: "seconds" | "gigabytes") => {
  const mean = (of: (one: Point) => number) => points.reduce((sum, one) => sum + of(one), 0) / points.length
  const [x, y] = [mean((one) => one.x), mean((one) => one[key])]
  const slope = mean((one) => (one.x - x) * (one[key] - y)) / mean((one) => (one.x - x) ** 2)
  const at = (place: number) => y + slope * (place - x)
  const off = Math.max(...points.map((one) => Math.abs(one[key] / at(one.x) - 1)))
  return { slope: digits(slope), start: digits(at(0)), greatestDeviation: digits(off) }
}

const sweep = (name: string, points: ReadonlyArray<Point>) => ({
  name,
  points,
  seconds: line(points, "seconds"),
  gigabytes: line(points, "gigabytes")
})

const numbers = (list: string) => list.split(",").map(Number)

const measured = () => [
  sweep("images in a batch", numbers(values.batches).map((batch) => point(batch, "--batch", `${batch}`))),
  sweep(
    "blocks",
    numbers(values.depths).map((depth) => point(depth, "--depth", `${depth}`, "--batch", values.batch))
  )
]

const kept = (name: string) => file(`results/${name}.json`)
const sweeps: ReturnType<typeof measured> = values.draw === undefined
  ? measured()
  : JSON.parse(readFileSync(kept(values.draw), "utf8")).sweeps
process.stdout.write(`${JSON.stringify(sweeps, undefined, 2)}\n`)

const charts = sweeps.flatMap(({ name, points, ...lines }) =>
  (["seconds", "gigabytes"] as const).map((key) => {
    const { slope, start } = lines[key]
    const xs = [0, ...points.map(({ x }) => x)]
    return { name, key, data: [xs, [null, ...points.map((one) => one[key])], xs.map((x) => start + slope * x)] }
  })
)

const page = (): string => {
  const uplot = createRequire(import.meta.url).resolve("uplot/dist/uPlot.iife.min.js")
  return `<!doctype html><meta charset="utf-8"><style>${
    readFileSync(uplot.replace("uPlot.iife.min.js", "uPlot.min.css"), "utf8")
  }
body { margin: 8px; font: 13px sans-serif; display: grid; grid-template-columns: 1fr 1fr; width: 900px }
.u-legend { display: none }</style><body><script>${readFileSync(uplot, "utf8")}
for (const { name, key, data } of ${JSON.stringify(charts)}) new uPlot({
  width: 440, height: 240,
  title: key + " by " + name,
  scales: { x: { time: false }, y: { range: (_, __, most) => [0, most * 1.05] } },
  axes: [{}, { size: 44 }],
  series: [{}, { paths: () => null, points: { size: 8, fill: "#2563eb", stroke: "#2563eb" } }, { stroke: "#9ca3af", dash: [4, 4], points: { show: false } }]
}, data, document.body)</script>`
}

if (values.keep !== undefined) {
  mkdirSync(file("results"), { recursive: true })
  const machine = { machine: cpus()[0]!.model, cores: cpus().length, node: process.version, model: values.model }
  writeFileSync(kept(values.keep), `${JSON.stringify({ ...machine, sweeps }, undefined, 2)}\n`)
}
const drawn = values.keep ?? values.draw
if (drawn !== undefined) {
  const target = file(`../docs/${drawn}.png`)
  await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const browser = yield* Browser.launch
    const { page: opened } = yield* Browser.open(browser, page(), { width: 920, height: 520, colorScheme: "light" })
    yield* Effect.promise(() => opened.screenshot({ path: target }))
  })))
}
