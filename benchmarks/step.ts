/**
 * What a step takes: `npm run bench -- step --model base --batch 8 --stage mim|vqkd|features|codes
 * [--depth N] [--accumulate K] [--engine onnx|openvino|tensorflow|reference|auto] [--precision fp32|bf16] [--memory high|low] [--threads N]
 * [--steps 8] [--json]`. Models are `small` (64 pixels, width 192, depth 4) and the presets.
 *
 * Beside the step's rate stands the engine's own at the step's three largest matrix products; `efficiency` is the step's
 * rate of multiplications and additions as a share of that. `conditions` tell whether the machine was quiet while the steps ran, and
 * `doubts` why not. Ends with 69, and the reason as the last line of standard error,
 * where the engine or its precision is not available.
 */
import { Effect, Logger, type Scope } from "effect"
import { parseArgs } from "node:util"
import * as Graph from "../src/compiler/graph/Graph.ts"
import * as OnnxProgram from "../src/compiler/programs/OnnxProgram.ts"
import * as Trace from "../src/compiler/trace/Trace.ts"
import type { Preset } from "../src/domain/config/Preset.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import type { VitConfig } from "../src/domain/config/VitConfig.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import * as Linear from "../src/shapes/Linear.ts"
import type { HostOf, Inference, TrainStep } from "../src/shapes/Step.ts"
import type { Tensor } from "../src/shapes/Tensor.ts"
import * as Tokens from "../src/shapes/Tokens.ts"
import * as Tree from "../src/shapes/Tree.ts"
import * as Conditions from "./conditions.ts"
import { accumulating, describing, encoding, ofDepth, pretraining, small, tokenizing } from "./steps.ts"

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "base" },
    batch: { type: "string", default: "8" },
    depth: { type: "string" },
    accumulate: { type: "string", default: "1" },
    stage: { type: "string", default: "mim" },
    engine: { type: "string", default: "onnx" },
    precision: { type: "string", default: "fp32" },
    memory: { type: "string", default: "high" },
    threads: { type: "string" },
    steps: { type: "string", default: "8" },
    json: { type: "boolean", default: false }
  }
})

const SIZE = Number(values.batch)
// A system hands out memory as it is touched: the first steps of a large network wait for it.
const WARM_UP = 5
const REPEATS = 8
const PRODUCTS = { times: 9, milliseconds: 1000 }

const threads = values.threads === undefined ? {} : { threads: Number(values.threads) }
const precision = values.precision === "bf16" ? "bf16" : "fp32"
const memory = values.memory === "low" ? "low" : "high"
const layers: Readonly<
  Record<string, (network: VitConfig) => typeof Engine.layerReference | ReturnType<typeof Engine.layerOnnx>>
> = {
  onnx: () => Engine.layerOnnx({ ...threads, memory }),
  openvino: () => Engine.layerOpenVino({ ...threads, precision }),
  tensorflow: () => Engine.layerTensorFlow({ precision }),
  reference: () => Engine.layerReference,
  auto: (network) => Engine.layerAuto({ like: network })
}

/** How long runs take, one after another: so many of them, and more until `least` milliseconds are over. */
const milliseconds = Effect.fnUntraced(
  function*<E, R>(effect: Effect.Effect<unknown, E, R>, times: number, warmUp = 0, least = 0) {
    const found: Array<number> = []
    for (let i = 0; i < warmUp; i++) yield* effect
    const end = performance.now() + least
    while (found.length < times || performance.now() < end) {
      const start = performance.now()
      yield* effect
      found.push(performance.now() - start)
    }
    return found
  }
)

const middle = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

const ROUNDS = 4

/** The middle times of so many parts of the steps, one after another. */
const rounds = (steps: ReadonlyArray<number>): ReadonlyArray<number> => {
  const size = Math.ceil(steps.length / ROUNDS)
  return Array.from(
    { length: Math.ceil(steps.length / size) },
    (_, round) => middle(steps.slice(round * size, (round + 1) * size))
  )
}
const digits = (value: number) => Number(value.toPrecision(4))

interface Product {
  readonly rows: number
  readonly inner: number
  readonly columns: number
}

/** The engine's billions of operations per second at a product that is taken with several weights in turn. */
const product = Effect.fnUntraced(function*({ columns, inner, rows }: Product) {
  const weight = { shape: [columns, inner], dtype: "float32" } as const
  const inference: Inference<
    { readonly layers: ReadonlyArray<Tensor<[number, number]>> },
    { readonly x: Tensor<[1, number, number]>; readonly row: Tensor<[1], "int32"> },
    { readonly picked: ReadonlyArray<Tensor<[1, number]>> }
  > = {
    name: "product",
    weights: { layers: Array.from({ length: REPEATS }, () => ({ ...weight, shape: [...weight.shape] })) },
    batch: { x: { shape: [1, rows, inner], dtype: "float32" }, row: { shape: [1], dtype: "int32" } },
    run: (w, { row, x }) => ({
      picked: w.layers.map((layer) => Tokens.selectRows(Linear.project(x, layer), row))
    })
  }
  const noise = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i))
  const handle = yield* (yield* Engine.Engine).infer(inference, {
    layers: inference.weights.layers.map(() => HostTensor.make([columns, inner], "float32", noise(columns * inner)))
  })
  const times = yield* milliseconds(
    handle.run({
      x: HostTensor.make([1, rows, inner], "float32", noise(rows * inner)),
      row: HostTensor.make([1], "int32", Int32Array.of(rows - 1))
    }),
    PRODUCTS.times,
    WARM_UP,
    PRODUCTS.milliseconds
  )
  return digits(2 * rows * inner * columns * REPEATS / middle(times) / 1e6)
}, Effect.scoped)

/** Something to time: what it compiles to, its weights or states, and a handle on an engine. */
interface Work<T> {
  readonly trace: () => Trace.Traced
  readonly held: object
  readonly values: () => T
  readonly open: (
    engine: Engine.Engine["Service"],
    values: T
  ) => Effect.Effect<Effect.Effect<unknown, Engine.EngineError>, Engine.EngineError, Scope.Scope>
}

const training = <S extends object, B, M>(
  { batch, state, step }: { step: TrainStep<S, B, M>; state: () => HostOf<S>; batch: HostOf<B> }
) => ({
  trace: () => Trace.trainStep(step, { external: true }),
  held: step.state,
  values: state,
  open: (engine: Engine.Engine["Service"], values: HostOf<S>) =>
    Effect.map(engine.train(step, values), (handle) => handle.run(batch))
})

const inferring = <W extends object, B, O>(
  { batch, inference, weights }: { inference: Inference<W, B, O>; weights: () => HostOf<W>; batch: HostOf<B> }
) => ({
  trace: () => Trace.inference(inference),
  held: inference.weights,
  values: weights,
  open: (engine: Engine.Engine["Service"], values: HostOf<W>) =>
    Effect.map(engine.infer(inference, values), (handle) => handle.run(batch))
})

const measured = Effect.fnUntraced(function*<T>(
  { held, open, trace: compile, values: make }: Work<T>,
  { tokens, width, hidden }: { tokens: number; width: number; hidden: number }
) {
  const engine = yield* Engine.Engine
  const [trace] = yield* milliseconds(Effect.sync(() => OnnxProgram.of(compile())), 1)
  const flops = Graph.flops(compile().graph)
  const times = yield* Effect.scoped(Effect.gen(function*() {
    let began = 0
    // Nothing holds the values when they are open.
    const run = yield* Effect.flatMap(Effect.sync(make), (made) => {
      began = performance.now()
      return open(engine, made)
    })
    const opened = performance.now()
    yield* run
    const first = performance.now()
    yield* milliseconds(run, WARM_UP - 1)
    const end = Conditions.begin()
    const steps = yield* milliseconds(run, Number(values.steps))
    return { open: opened - began, first: first - opened, steps, conditions: end(rounds(steps)) }
  }))
  const peak = process.resourceUsage().maxRSS / 1024
  const rows = SIZE * tokens
  const products = [
    { rows, inner: width, columns: hidden },
    { rows, inner: hidden, columns: width },
    { rows, inner: width, columns: 3 * width }
  ]
  const rates = yield* Effect.forEach(products, product)
  const work = products.map((one) => one.rows * one.inner * one.columns)
  const total = work.reduce((a, b) => a + b, 0)
  const matmul = total / work.reduce((sum, share, i) => sum + share / rates[i]!, 0)
  const rate = flops / middle(times.steps) / 1e6
  return {
    engine: engine.name,
    version: engine.about.version,
    model: values.model,
    stage: values.stage,
    depth: networkOf(preset).depth,
    batch: SIZE,
    precision,
    memory,
    megabytesHeld: digits(Tree.leaves(held).reduce((sum, [, { shape }]) => sum + HostTensor.size(shape), 0) * 4 / 1e6),
    teraflopsPerStep: digits(flops / 1e12),
    seconds: { trace: digits(trace! / 1000), open: digits(times.open / 1000), first: digits(times.first / 1000) },
    stepMs: {
      median: digits(middle(times.steps)),
      least: digits(Math.min(...times.steps)),
      most: digits(Math.max(...times.steps))
    },
    imagesPerSecond: digits(1000 * SIZE / middle(times.steps)),
    gigaflopsPerSecond: digits(rate),
    matmulGigaflopsPerSecond: digits(matmul),
    efficiency: digits(rate / matmul),
    peakMegabytes: Math.round(peak),
    conditions: times.conditions
  }
})

const widths = ({ hidden, tokens, width }: VitConfig) => ({ hidden, tokens, width })

const BACKBONE = new Set(["mim", "features"])

const networkOf = ({ pretrain, tokenizer }: Preset): VitConfig =>
  BACKBONE.has(values.stage) ? pretrain.vit : tokenizer.encoder

const stages: Readonly<Record<string, (preset: Preset) => ReturnType<typeof measured>>> = {
  mim: (preset) => measured(training(pretraining(preset, SIZE)), widths(preset.pretrain.vit)),
  vqkd: (preset) => measured(training(tokenizing(preset, SIZE)), widths(preset.tokenizer.encoder)),
  features: (preset) => measured(inferring(describing(preset, SIZE)), widths(preset.pretrain.vit)),
  codes: (preset) => measured(inferring(encoding(preset, SIZE)), widths(preset.tokenizer.encoder))
}

const stage = stages[values.stage]
const layer = layers[values.engine]
const able = precision === "fp32" || ["openvino", "tensorflow"].includes(values.engine)
if (layer === undefined || stage === undefined || values.precision !== precision || !able) {
  process.stderr.write(
    "expected --stage mim, vqkd, features or codes, --engine onnx, openvino, tensorflow, reference or auto, and --precision fp32 or, on openvino " +
      "and tensorflow, bf16\n"
  )
  process.exit(64)
}
const named = values.model === "small" ? small : await Effect.runPromise(Presets.preset(values.model))
const deep = values.depth === undefined ? named : ofDepth(named, Number(values.depth))
const preset = accumulating(deep, Number(values.accumulate))
const UNAVAILABLE = new Set(["ProviderUnavailable", "PrecisionUnavailable"])
const result = await stage(preset).pipe(
  Effect.provide(layer(networkOf(preset))),
  Effect.catchIf(({ reason }) => UNAVAILABLE.has(reason._tag), ({ message }) =>
    Effect.sync(() => {
      process.stderr.write(`${message}\n`)
      return process.exit(69)
    })),
  Effect.provideService(Logger.LogToStderr, true),
  Effect.runPromise
)
process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${JSON.stringify(result, undefined, 2)}\n`)
