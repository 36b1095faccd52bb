/**
 * How far the loss curves of engines lie apart: `npm run bench -- curves [--engines onnx-cpu,openvino-fp32,...] [--steps 300]
 * [--over 20] [--batch 64] [--tokenizer-steps 100] [--keep NAME]`.
 *
 * The demo's tokenizer is trained on the first engine; then each pretrains the demo's network on its codes, from the same
 * seed. Losses are means over `--over` steps, and compared with the first engine's as a share of these. `--keep` writes what
 * is found to `benchmarks/results/NAME.json`.
 */
import { Effect, Layer } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { OptimizerConfig } from "../src/domain/config/OptimizerConfig.ts"
import { tiny } from "../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../src/domain/config/TokenizerConfig.ts"
import { Engine } from "../src/layers/engine/Engine.ts"
import * as EngineLayers from "../src/layers/engine/EngineLayers.ts"
import * as EngineSurvey from "../src/layers/engine/EngineSurvey.ts"
import * as Images from "../src/layers/images/Images.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import * as Teacher from "../src/layers/teacher/Teacher.ts"
import { pretrain } from "../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../src/pipelines/TrainTokenizer.ts"

const { values } = parseArgs({
  options: {
    engines: { type: "string", default: "onnx-cpu,openvino-fp32,tensorflow-fp32,openvino-bf16,tensorflow-bf16" },
    steps: { type: "string", default: "300" },
    over: { type: "string", default: "20" },
    batch: { type: "string", default: `${tiny.pretrain.optimizer.batchSize}` },
    "tokenizer-steps": { type: "string", default: "100" },
    keep: { type: "string" }
  }
})
const over = Number(values.over)

const shortened = (optimizer: OptimizerConfig, steps: string) =>
  new OptimizerConfig({
    ...optimizer,
    batchSize: Number(values.batch),
    unit: "steps",
    duration: Number(steps),
    warmup: Math.floor(Number(steps) * 0.08)
  })

const tokenizer = new TokenizerConfig({
  ...tiny.tokenizer,
  optimizer: shortened(tiny.tokenizer.optimizer, values["tokenizer-steps"])
})
const network = new PretrainConfig({
  ...tiny.pretrain,
  optimizer: shortened(tiny.pretrain.optimizer, values.steps)
})

const images = Layer.fresh(Images.layerEmoji())
const { encoder: { imageSize, patchSize } } = tokenizer
const teacher = Teacher.layerHog({ patchSize, imageSize, seed: tokenizer.seed, augment: tokenizer.augment })

const candidates = [
  ...EngineSurvey.candidates,
  ...(["fp32", "bf16"] as const).map((precision) => ({
    name: `xla-${precision}`,
    layer: EngineLayers.layerXla({ precision })
  }))
]

const layerOf = (asked: string) => {
  const candidate = candidates.find(({ name }) => name === asked)
  if (candidate !== undefined) return Layer.fresh(candidate.layer)
  process.stderr.write(`no engine ${asked}, only ${candidates.map(({ name }) => name).join(", ")}\n`)
  process.exit(64)
}

const smoothed = (losses: ReadonlyArray<number>) =>
  losses.slice(over - 1).map((_, at) => losses.slice(at, at + over).reduce((sum, loss) => sum + loss, 0) / over)

const digits = (value: number) => Number(value.toPrecision(3))

const curve = (vocabulary: Effect.Success<ReturnType<typeof trainTokenizer>>) =>
  Effect.gen(function*() {
    const { name } = yield* Engine
    const began = performance.now()
    yield* pretrain(network, vocabulary)
    const seconds = (performance.now() - began) / 1000
    const rows = yield* (yield* Runs.Runs).readLog
    return { engine: name, seconds, losses: smoothed(rows.map(({ loss }) => Number(loss))) }
  }).pipe(Effect.provide(Layer.fresh(Runs.layerMemory())))

const [first, ...others] = values.engines.split(",")
const program = Effect.gen(function*() {
  const vocabulary = yield* trainTokenizer(tokenizer).pipe(
    Effect.provide([layerOf(first!), teacher, Layer.fresh(Runs.layerMemory())])
  )
  const expected = yield* Effect.provide(curve(vocabulary), layerOf(first!))
  const compared = yield* Effect.forEach(others, (asked) =>
    curve(vocabulary).pipe(
      Effect.provide(layerOf(asked)),
      Effect.map(({ engine, losses, seconds }) => {
        const differences = losses.map((loss, at) => Math.abs(loss / expected.losses[at]! - 1))
        const greatest = Math.max(...differences)
        return {
          engine,
          seconds: digits(seconds),
          lastLoss: digits(losses.at(-1)!),
          greatestDifference: digits(greatest),
          atStep: differences.indexOf(greatest) + over
        }
      }),
      Effect.catchTag("EngineError", ({ message, reason }) => Effect.succeed({ asked, refused: reason._tag, message }))
    ))
  const { engine, losses, seconds } = expected
  return {
    machine: cpus()[0]!.model,
    steps: losses.length + over - 1,
    batch: Number(values.batch),
    over,
    first: { engine, seconds: digits(seconds), lastLoss: digits(losses.at(-1)!) },
    compared
  }
})

const found = JSON.stringify(await Effect.runPromise(Effect.provide(program, images)), null, 2)
process.stdout.write(`${found}\n`)
if (values.keep !== undefined) {
  const results = fileURLToPath(new URL("results/", import.meta.url))
  mkdirSync(results, { recursive: true })
  writeFileSync(`${results}${values.keep}.json`, `${found}\n`)
}
