/**
 * What a process holds in a training of many steps: `npm run bench -- lasting [--steps 1000000] [--minutes 60] [--keep NAME | --draw NAME]`.
 *
 * Pretrains a tiny network on a batch of one image, with a log, checkpoints and all else that a stage does, until it has taken the steps
 * or the minutes are over. The resident memory, the heap of JavaScript, open files, threads and temporary files are measured a thousand
 * times, and a straight line is fitted to what comes after the first fifth. `--keep` writes the figures to
 * `benchmarks/results/NAME.json` and draws them into `docs/NAME.svg`; `--draw` draws those that were written.
 */
import { Effect, Exit, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Progress } from "../src/layers/run/Progress.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import { pretrain } from "../src/pipelines/Pretrain.ts"
import { resources } from "../test/leaks/resources.ts"
import { machine, micro } from "../test/pipelines/kit.ts"
import * as Charts from "./charts.ts"
import { untrainedTokenizer } from "./steps.ts"

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "60" },
    keep: { type: "string" },
    draw: { type: "string" }
  }
})

const SAMPLES = 1000
const SAVES = 1000
/** The share of the samples in which a process still grows to its size. */
const WARM_UP = 0.2

const FIGURES = ["mebibytes", "heapMebibytes", "descriptors", "threads", "temporary"] as const
type Figure = typeof FIGURES[number]
type Sample = { readonly steps: number; readonly minutes: number } & Readonly<Record<Figure, number>>

const digits = (value: number) => Number(value.toPrecision(4))
const mebibytes = (bytes: number) => Number((bytes / 2 ** 20).toFixed(1))

const preset = micro({ duration: Number(values.steps), warmup: 1, batchSize: 1 })
const tokenizer = untrainedTokenizer(preset, 8)

const measured = async (): Promise<ReadonlyArray<Sample>> => {
  const root = mkdtempSync(join(tmpdir(), "patchword-lasting-"))
  // So that what others leave is not counted.
  process.env["TMPDIR"] = root
  const folder = join(root, "run")
  const began = performance.now()
  const minutes = () => (performance.now() - began) / 60_000
  const found: Array<Sample> = []
  const most = Number(values.minutes)
  const add = (steps: number) => {
    const { rss, heapUsed } = process.memoryUsage()
    const { descriptors, temporary, threads } = resources(root)
    found.push({
      steps,
      minutes: digits(minutes()),
      mebibytes: mebibytes(rss),
      heapMebibytes: mebibytes(heapUsed),
      descriptors,
      threads,
      temporary
    })
    if (found.length % (SAMPLES / 20) === 0) process.stderr.write(`${JSON.stringify(found.at(-1))}\n`)
  }
  const every = Number(values.steps) / SAMPLES
  const progress = Layer.succeed(Progress, {
    report: ({ step }) =>
      Effect.suspend(() => {
        if (step % every < 1) add(step)
        return minutes() >= most ? Effect.interrupt : Effect.void
      }),
    message: () => Effect.void
  })
  await Effect.runPromiseExit(
    pretrain(preset.pretrain, tokenizer, { checkpointEvery: SAVES }).pipe(
      Effect.provide([machine, progress, Runs.layer(folder, { config: { bench: "lasting" } })])
    )
  ).then((exit) => {
    if (!Exit.isSuccess(exit) && !Exit.hasInterrupts(exit)) throw new Error(String(exit))
  })
  rmSync(root, { recursive: true })
  return found
}

interface Verdict {
  readonly mean: number
  /** What the line rises by in ten thousand steps, and the standard error of it. */
  readonly rise: number
  readonly error: number
  readonly verdict: "grows" | "does not grow"
}

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length

/** The least-squares line. A figure grows if the line rises by more than a twentieth of the mean, and three times its error. */
const fitted = (samples: ReadonlyArray<Sample>, figure: Figure): Verdict => {
  const later = samples.slice(Math.floor(samples.length * WARM_UP))
  const [x, y] = [mean(later.map(({ steps }) => steps)), mean(later.map((one) => one[figure]))]
  const spread = later.reduce((sum, { steps }) => sum + (steps - x) ** 2, 0)
  const slope = later.reduce((sum, one) => sum + (one.steps - x) * (one[figure] - y), 0) / spread
  const rest = later.reduce((sum, one) => sum + (one[figure] - y - slope * (one.steps - x)) ** 2, 0)
  const error = Math.sqrt(rest / (later.length - 2) / spread)
  const over = slope * (later.at(-1)!.steps - later[0]!.steps)
  const grows = over > Math.max(y / 20, 3 * error * over / slope)
  return {
    mean: digits(y),
    rise: digits(slope * 10_000),
    error: digits(error * 10_000),
    verdict: grows ? "grows" : "does not grow"
  }
}

const samples: ReadonlyArray<Sample> = values.draw === undefined
  ? await measured()
  : Charts.read(values.draw).samples

const SIZES = { width: 250, height: 150, left: 40, top: 30, gap: 50, bottom: 24 }
const DRAWN = ["mebibytes", "heapMebibytes", "descriptors", "threads"] as const

const chart = (figure: Figure): Charts.Chart => {
  const most = Math.max(1, ...samples.map((one) => one[figure])) * 1.1
  return {
    title: figure,
    steps: samples.at(-1)!.steps,
    most,
    label: Math.round(most),
    lines: (at) => {
      const points = samples.map((one) => at(one.steps, one[figure])).join(" ")
      return [`<polyline points="${points}" fill="none" stroke="#2563eb" stroke-width="1.5"/>`]
    }
  }
}

const { minutes, steps } = samples.at(-1)!
const verdicts = Object.fromEntries(FIGURES.map((figure) => [figure, fitted(samples, figure)]))
process.stdout.write(`${JSON.stringify({ steps, minutes, ...verdicts })}\n`)
if (values.keep !== undefined) Charts.keep(values.keep, { ...verdicts, samples })
const drawn = values.keep ?? values.draw
if (drawn !== undefined) Charts.draw(drawn, SIZES, DRAWN.map(chart))
