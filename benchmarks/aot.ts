/**
 * What compiled programs ask of GPUs that need not be here: `npm run bench -- aot [--models demo,base,large] [--devices h100,h200]
 * [--precisions fp32,tf32,bf16] [--stages mim,vqkd,features,codes] [--batch 64] [--keep]`. It needs
 * `patchword setup xla --platform cuda --part compiler`.
 *
 * The model `demo` is all that `npm start` runs, at its own batch sizes. The figures are compared with those in
 * `benchmarks/results/aot.json`, and the benchmark fails if one of them is larger by more than 3 %. `--keep` writes them there instead. The
 * time to compile is shown and not compared.
 */
import { Effect, Layer } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type * as Graph from "../src/compiler/graph/Graph.ts"
import * as XlaProgram from "../src/compiler/programs/XlaProgram.ts"
import * as Preset from "../src/domain/config/Preset.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import * as Files from "../src/layers/files/Files.ts"
import * as Images from "../src/layers/images/Images.ts"
import * as Card from "../src/layers/pjrt/Card.ts"
import * as Topology from "../src/layers/pjrt/Topology.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import * as Teacher from "../src/layers/teacher/Teacher.ts"
import * as Demo from "../src/pipelines/Demo.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import * as Recorder from "./recorder.ts"
import { describing, encoding, pretraining, tokenizing } from "./steps.ts"

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "base,demo,large" },
    devices: { type: "string", default: "h200,h100" },
    precisions: { type: "string", default: "bf16,tf32,fp32" },
    stages: { type: "string", default: "mim,vqkd,features,codes" },
    batch: { type: "string", default: "64" },
    keep: { type: "boolean", default: false }
  }
})

const SIZE = Number(values.batch)

/** The figures of one program. Sizes are in GB. */
interface Row {
  readonly model: string
  readonly stage: string
  readonly device: string
  readonly precision: Graph.Precision
  readonly launches: number
  readonly products: number
  readonly traffic: number
  /** The memory of a call beside the state or the weights. */
  readonly memory: number
}

/** The share by which a figure may grow. */
const TOLERANCE = 0.03

const COMPARED = ["launches", "products", "traffic", "memory"] as const

const RESULTS = new URL("results/aot.json", import.meta.url)

const list = (names: string) => names.split(",")
const digits = (value: number) => Number(value.toPrecision(3))
const giga = (bytes: number) => digits(bytes / 1e9)

const stages: Readonly<Record<string, (preset: Preset.Preset) => Recorder.Recorded["write"]>> = {
  mim: (preset) => (options) => XlaProgram.trainStep(pretraining(preset, SIZE).step, options),
  vqkd: (preset) => (options) => XlaProgram.trainStep(tokenizing(preset, SIZE).step, options),
  features: (preset) => (options) => XlaProgram.inference(describing(preset, SIZE).inference, options),
  codes: (preset) => (options) => XlaProgram.inference(encoding(preset, SIZE).inference, options)
}

/** All programs of the demo, whose stages take one step each. */
const ofDemo = Effect.gen(function*() {
  const short = { optimizer: { duration: 1, warmup: 0 } }
  const preset = yield* Preset.with(Presets.tiny, { tokenizer: short, pretrain: short, finetune: short })
  const { augment, encoder: { imageSize, patchSize }, seed } = preset.tokenizer
  const found: Array<Recorder.Recorded> = []
  const services = Layer.mergeAll(
    Recorder.layer((recorded) => found.push(recorded)),
    Teacher.layerHog({ patchSize, imageSize, seed, augment }),
    Runs.layerMemory()
  ).pipe(Layer.provideMerge(Images.layerEmoji()))
  yield* Demo.demo(preset, { preset: "tiny" }).pipe(Effect.provide(services))
  // Some are there at several sizes.
  return found.map(({ name, write }, place): Recorder.Recorded => {
    const before = found.slice(0, place).filter((other) => other.name === name).length
    return { name: before === 0 ? name : `${name} ${before + 1}`, write }
  })
})

const programs = Effect.fnUntraced(function*(model: string) {
  if (model === "demo") return yield* ofDemo
  const preset = yield* Presets.preset(model)
  return list(values.stages).map((name): Recorder.Recorded => ({ name, write: stages[name]!(preset) }))
})

const sizeOf = (values: XlaProgram.XlaProgram["state"]): number =>
  values.reduce((sum, { shape }) => sum + 4 * HostTensor.size(shape), 0)

const compiled = Effect.fnUntraced(function*(
  topology: Topology.Topology,
  { name, write }: Recorder.Recorded,
  about: Pick<Row, "model" | "device" | "precision">
) {
  const program = write({ precision: about.precision })
  const began = performance.now()
  const { launches, memory, products, traffic } = yield* Topology.demand(topology, program.text)
  const row: Row = {
    ...about,
    stage: name,
    launches,
    products,
    traffic: giga(traffic),
    memory: giga(memory.arguments + memory.results - memory.donated + memory.temporary - sizeOf(program.state))
  }
  const seconds = digits((performance.now() - began) / 1000)
  process.stdout.write(`${JSON.stringify({ ...row, compileSeconds: seconds })}\n`)
  return row
})

const measured = Effect.gen(function*() {
  const rows: Array<Row> = []
  for (const model of list(values.models)) {
    const all = yield* programs(model)
    for (const device of list(values.devices)) {
      const topology = yield* Topology.ofCard(Card.cards[device as Card.Name])
      for (const precision of list(values.precisions) as ReadonlyArray<Graph.Precision>) {
        for (const recorded of all) rows.push(yield* compiled(topology, recorded, { model, device, precision }))
      }
    }
  }
  return rows
})

const keyOf = ({ device, model, precision, stage }: Row) => [model, stage, device, precision].join(" ")

const rows = await Effect.runPromise(measured.pipe(Effect.scoped, Effect.provide(Files.layerNode)))
const kept = new Map((JSON.parse(readFileSync(RESULTS, "utf8")) as ReadonlyArray<Row>).map((row) => [keyOf(row), row]))

if (values.keep) {
  for (const row of rows) kept.set(keyOf(row), row)
  const sorted = Array.from(kept.values()).toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)))
  writeFileSync(RESULTS, `[\n${sorted.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`)
} else {
  const grown = rows.flatMap((row) => {
    const before = kept.get(keyOf(row))
    if (before === undefined) return [`${keyOf(row)}: there is no kept result`]
    return COMPARED.filter((key) => row[key] > before[key] * (1 + TOLERANCE)).map((key) =>
      `${keyOf(row)}: ${key} grew from ${before[key]} to ${row[key]}`
    )
  })
  if (grown.length > 0) {
    process.stderr.write(`${grown.join("\n")}\n`)
    process.exit(1)
  }
}
