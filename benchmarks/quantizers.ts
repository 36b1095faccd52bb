/**
 * How the demo's tokenizer learns with each quantizer: `npm run bench -- quantizers [--steps N] [--keep NAME | --draw NAME]`.
 *
 * Each is trained on the demo's images with the demo's preset and seed. `--keep` writes means over 25 steps of cosine, usage and
 * perplexity to `benchmarks/results/NAME.json` and draws them into `docs/NAME.svg`; `--draw` draws those that were written.
 */
import { Effect, Layer } from "effect"
import { parseArgs } from "node:util"
import * as Preset from "../src/domain/config/Preset.ts"
import { tiny } from "../src/domain/config/presets/Presets.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as Images from "../src/layers/images/Images.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import * as Teacher from "../src/layers/teacher/Teacher.ts"
import { trainTokenizer } from "../src/pipelines/TrainTokenizer.ts"
import * as Charts from "./charts.ts"

const { values } = parseArgs({
  options: { steps: { type: "string" }, keep: { type: "string" }, draw: { type: "string" } }
})

const OVER = 25

const codebooks = {
  "moving average, 256 codes": {},
  "learned by gradient, 256 codes": { decay: null, revival: null, quantizer: { kind: "gradient", commitment: 1 } },
  "finite scalars 8 x 6 x 5, 240 codes": {
    size: 240,
    dim: 3,
    kmeans: false,
    decay: null,
    revival: null,
    quantizer: { kind: "finiteScalar", levels: [8, 6, 5] }
  }
} as const

const FIGURES = ["cosine", "usage", "perplexity"] as const

interface Curve {
  readonly name: string
  readonly seconds: number
  /** Means over `OVER` steps, by figure. */
  readonly figures: Readonly<Record<(typeof FIGURES)[number], ReadonlyArray<number>>>
}

const digits = (value: number) => Number(value.toPrecision(4))

const means = (numbers: ReadonlyArray<number>) =>
  Array.from(
    { length: Math.floor(numbers.length / OVER) },
    (_, at) => digits(numbers.slice(at * OVER, (at + 1) * OVER).reduce((sum, x) => sum + x, 0) / OVER)
  )

const images = Layer.fresh(Images.layerEmoji())
const { augment, encoder: { imageSize, patchSize }, seed } = tiny.tokenizer
const teacher = Teacher.layerHog({ patchSize, imageSize, seed, augment })
const short = values.steps === undefined
  ? {}
  : { optimizer: { unit: "steps", duration: Number(values.steps) } } as const

const curve = ([name, codebook]: readonly [string, (typeof codebooks)[keyof typeof codebooks]]) =>
  Effect.gen(function*() {
    const { tokenizer } = yield* Preset.with(tiny, { tokenizer: { codebook, ...short } })
    const began = performance.now()
    yield* trainTokenizer(tokenizer)
    const seconds = digits((performance.now() - began) / 1000)
    const rows = yield* (yield* Runs.Runs).readLog
    const of = (figure: string) => means(rows.map((row) => Number(row[figure])))
    const found: Curve = {
      name,
      seconds,
      figures: { cosine: of("cosine"), usage: of("usage"), perplexity: of("perplexity") }
    }
    return found
  }).pipe(Effect.provide(Layer.fresh(Runs.layerMemory())))

const trained = Effect.forEach(Object.entries(codebooks), curve).pipe(
  Effect.provide(Layer.mergeAll(Engine.layerOnnx(), teacher).pipe(Layer.provideMerge(images)))
)

const curves: ReadonlyArray<Curve> = values.draw === undefined
  ? await Effect.runPromise(trained)
  : Charts.read(values.draw).curves

const COLOURS = ["#2563eb", "#dc2626", "#059669"]
const SIZES = { width: 250, height: 170, left: 40, top: 50, gap: 50, bottom: 30 }

const chart = (figure: (typeof FIGURES)[number]): Charts.Chart => {
  const most = Math.max(...curves.flatMap(({ figures }) => figures[figure])) * 1.05
  const count = Math.max(...curves.map(({ figures }) => figures[figure].length))
  return {
    title: figure,
    steps: count * OVER,
    most,
    label: digits(most / 1.05),
    lines: (at) =>
      curves.map(({ figures }, i) => {
        const points = figures[figure].map((value, n) => at((n + 0.5) * OVER, value)).join(" ")
        return `<polyline points="${points}" fill="none" stroke="${COLOURS[i]}" stroke-width="1.8"/>`
      })
  }
}

process.stdout.write(
  `${
    JSON.stringify(curves.map(({ figures, name, seconds }) => ({
      name,
      seconds,
      ...Object.fromEntries(FIGURES.map((figure) => [figure, figures[figure].at(-1)]))
    })))
  }\n`
)
if (values.keep !== undefined) Charts.keep(values.keep, { over: OVER, curves })
const drawn = values.keep ?? values.draw
if (drawn !== undefined) {
  const legend = curves.map(({ name }, i) =>
    `<text x="${SIZES.left + i * 270}" y="18" fill="${COLOURS[i]}">${name}</text>`
  )
  Charts.draw(drawn, SIZES, FIGURES.map(chart), legend)
}
