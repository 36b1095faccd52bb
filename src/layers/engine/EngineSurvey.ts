/**
 * Which engines this machine can run, how fast and how exactly each computes, and which of them to take.
 *
 * ```ts
 * import assert from "node:assert"
 * import { EngineSurvey } from "patchword/layers"
 *
 * const measured = { precision: "fp32", version: "1", threads: 2, precisions: ["fp32"] }
 * const slow = new EngineSurvey.Available({ ...measured, name: "slow", gigaflops: 20, deviation: 1e-7 })
 * const fast = new EngineSurvey.Available({ ...measured, name: "fast", gigaflops: 90, deviation: 2e-6 })
 * const inexact = new EngineSurvey.Available({ ...measured, name: "inexact", gigaflops: 200, deviation: 4e-3 })
 * assert.strictEqual(EngineSurvey.choose([slow, fast, inexact]).chosen, fast)
 * ```
 */
import { Clock, Effect, Layer, Schema } from "effect"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as Vit from "../../nn/blocks/Vit.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as Elementwise from "../../shapes/Elementwise.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Linear from "../../shapes/Linear.ts"
import * as Reduction from "../../shapes/Reduction.ts"
import type { Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import { EngineError } from "./EngineError.ts"
import * as EngineLayers from "./EngineLayers.ts"
import { Engine } from "./EngineService.ts"

/** An engine as it may be asked for. */
export interface Candidate {
  readonly name: string
  readonly precision: "fp32" | "bf16"
  readonly layer: Layer.Layer<Engine, EngineError>
}

const onnx = (provider: "cpu" | "cuda" | "webgpu" | "dml" | "coreml"): Candidate => ({
  name: `onnx-${provider}`,
  precision: "fp32",
  layer: EngineLayers.layerOnnx({ provider })
})

const openvino = (precision: "fp32" | "bf16"): Candidate => ({
  name: `openvino-${precision}`,
  precision,
  layer: EngineLayers.layerOpenVino({ precision })
})

const tensorflow = (precision: "fp32" | "bf16"): Candidate => ({
  name: `tensorflow-${precision}`,
  precision,
  layer: EngineLayers.layerTensorFlow({ precision })
})

/** Every engine and provider that some machine runs in Node. */
export const candidates: ReadonlyArray<Candidate> = [
  onnx("cpu"),
  onnx("cuda"),
  onnx("webgpu"),
  onnx("dml"),
  onnx("coreml"),
  openvino("fp32"),
  openvino("bf16"),
  tensorflow("fp32"),
  tensorflow("bf16"),
  { name: "onnx-web", precision: "fp32", layer: EngineLayers.layerOnnxWeb() },
  { name: "reference", precision: "fp32", layer: EngineLayers.layerReference }
]

/** An engine that runs here. */
export class Available extends Schema.TaggedClass<Available>("patchword/layers/EngineSurvey/Available")(
  "Available",
  {
    name: Schema.String,
    /** What it computed matrix products in. */
    precision: Schema.String,
    /** Of its library. */
    version: Schema.String,
    threads: Schema.Int,
    /** What it could compute matrix products in. */
    precisions: Schema.Array(Schema.String),
    /** Multiplications and additions in matrix products, in 10⁹ a second. */
    gigaflops: Schema.Finite,
    /** The greatest difference from the reference in a small training step, as a share of the greatest value beside it. */
    deviation: Schema.Finite
  }
) {}

/** An engine that does not run here, and why. */
export class Unavailable extends Schema.TaggedClass<Unavailable>("patchword/layers/EngineSurvey/Unavailable")(
  "Unavailable",
  { name: Schema.String, error: EngineError }
) {}

/** What is known of an engine on this machine. */
export const Entry = Schema.Union([Available, Unavailable])

/** What is known of an engine on this machine. */
export type Entry = typeof Entry.Type

const noise = <T>(spec: object, factor: number): T =>
  Tree.map<T>(spec, (leaf, path) => {
    const { normal } = KeyedRandom.generator({ seed: 0, purpose: path, epoch: 0, index: 0 })
    return { ...leaf, data: Float32Array.from({ length: HostTensor.size(leaf.shape) }, () => factor * normal()) }
  })

const WIDTH = 768
const HIDDEN = 3072
const TURNS = 2

interface Products<R extends number> {
  readonly x: Tensor<[R, typeof WIDTH]>
  readonly up: Tensor<[typeof HIDDEN, typeof WIDTH]>
  readonly down: Tensor<[typeof WIDTH, typeof HIDDEN]>
}

/** The products of a transformer's multilayer perceptron; next to nothing is handed in or out. */
const products = <R extends number>(
  rows: R
): Inference<Products<R>, { readonly scale: Tensor<[]> }, { readonly mean: Tensor<[]> }> => ({
  name: "products",
  weights: {
    x: { shape: [rows, WIDTH], dtype: "float32" },
    up: { shape: [HIDDEN, WIDTH], dtype: "float32" },
    down: { shape: [WIDTH, HIDDEN], dtype: "float32" }
  },
  batch: { scale: { shape: [], dtype: "float32" } },
  run: ({ down, up, x }, { scale }) => {
    const turned = Array.from({ length: TURNS }).reduce<Products<R>["x"]>(
      (h) => Linear.project(Linear.project(h, up), down),
      Elementwise.scaleBy(x, scale)
    )
    return { mean: Reduction.mean(Elementwise.square(turned)) }
  }
})

const multiplications = (rows: number): number => 2 * 2 * TURNS * rows * WIDTH * HIDDEN

/**
 * Billions of operations a second in products of so many rows: the fastest of at least one run and of so many seconds, as
 * whatever else the machine does only slows runs down.
 */
const rateOf = Effect.fnUntraced(function*(rows: number, seconds: number) {
  const engine = yield* Engine
  const inference = products(rows)
  const handle = yield* engine.infer(inference, noise(inference.weights, 0.02))
  const batch = { scale: HostTensor.scalar(1) }
  // What a first run prepares is no part of the rate.
  yield* handle.run(batch)
  const began = yield* Clock.currentTimeNanos
  let [fastest, last] = [Infinity, began]
  do {
    yield* handle.run(batch)
    const now = yield* Clock.currentTimeNanos
    fastest = Math.min(fastest, Number(now - last))
    last = now
  } while (Number(last - began) < 1e9 * seconds)
  return multiplications(rows) / fastest
}, Effect.scoped)

/** Of 8 images of 197 tokens. */
const ROWS = 1576
const FEW = 8

/** Slow engines get no more than a few rows. */
const rate = Effect.fnUntraced(function*(seconds: number) {
  const guess = yield* rateOf(FEW, 0)
  return multiplications(ROWS) / guess > 4e9 * seconds ? guess : yield* rateOf(ROWS, seconds)
})

const MASKED = 16

const small = PretrainStep.step(
  {
    ...Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 }),
    hidden: 64,
    relativeRows: 52,
    depth: 2,
    absolutePositions: false,
    relativePositions: "shared",
    qkvBias: true,
    layerScale: 0.1,
    initStd: 0.02,
    codes: 16,
    aggregation: null
  },
  { size: 2, masked: MASKED, dropPath: false },
  { betas: [0.9, 0.98], weightDecay: 0.05, clipNorm: null, decays: (_, rank) => rank > 1 }
)

/** Loss, and gradients as the first moments show them, of one step. */
const observed = Effect.gen(function*() {
  const handle = yield* (yield* Engine).train(small, {
    parameters: noise(small.state.parameters, 0.2),
    first: noise(small.state.first, 0),
    second: noise(small.state.second, 0)
  })
  const { gradientNorm, loss } = yield* handle.run({
    images: noise(small.batch.images, 1),
    mask: HostTensor.make([2, 16], "bool", Uint8Array.from({ length: 32 }, (_, at) => at % 2)),
    rows: HostTensor.make([MASKED], "int32", Int32Array.from({ length: MASKED }, (_, at) => 2 * at + 1)),
    labels: HostTensor.make([MASKED], "int32", Int32Array.from({ length: MASKED }, (_, at) => (7 * at) % 16)),
    hyper: AdamW.hyper(0, 1e-3, { betas: [0.9, 0.98], eps: 1e-8 })
  })
  const { first } = (yield* handle.snapshot).state
  return { loss, gradientNorm, first }
}).pipe(Effect.scoped)

const furthest = (values: Iterable<number>): number => {
  let greatest = 0
  for (const value of values) greatest = Math.max(greatest, Math.abs(value))
  return greatest
}

const deviation = (found: object, expected: object): number => {
  const others = new Map(Tree.leaves<HostTensor.Any>(found))
  return Math.max(
    ...Tree.leaves<HostTensor.Any>(expected).map(([path, { data }]) => {
      const other = others.get(path)!.data
      return furthest(Float64Array.from(data, (value, i) => value - other[i]!)) / furthest(data)
    })
  )
}

const measured = Effect.fnUntraced(
  function*({ name, precision }: Candidate, expected: object, seconds: number) {
    const { threads, version, precisions } = (yield* Engine).about
    const deviates = deviation(yield* observed, expected)
    return new Available({
      name,
      precision,
      version,
      threads,
      precisions,
      gigaflops: yield* rate(seconds),
      deviation: deviates
    })
  }
)

/** How engines are measured. */
export interface Options {
  /** The names of those to look at; default all. */
  readonly names?: ReadonlyArray<string>
  /** For how many seconds each multiplies; default 2. */
  readonly seconds?: number
}

/**
 * Every engine with its rate and its deviation, or the reason why it does not run here. One after the other, each alone:
 * what they share is the machine.
 */
export const survey = Effect.fn("patchword.EngineSurvey.survey")(function*(options: Options = {}) {
  const { names, seconds = 2 } = options
  const expected = yield* Effect.provide(observed, Layer.fresh(EngineLayers.layerReference))
  const asked = candidates.filter(({ name }) => names?.includes(name) ?? true)
  return yield* Effect.forEach(
    asked,
    (candidate) =>
      Effect.match(Effect.provide(measured(candidate, expected, seconds), Layer.fresh(candidate.layer)), {
        onSuccess: (entry): Entry => entry,
        onFailure: (error) => new Unavailable({ name: candidate.name, error })
      })
  )
})

/** The greatest deviation of an engine that counts as exact: what orders of summation account for in fp32. */
export const EXACT = 1e-4

/** What was chosen of a survey, if anything was fit for it. */
export interface Choice {
  readonly chosen: Available | undefined
  /** What was chosen and why, and why not each of the others. */
  readonly why: string
}

const figures = ({ deviation, gigaflops }: Available): string =>
  `${gigaflops.toPrecision(3)} Gflop/s, deviation ${deviation.toExponential(0)}`

/** The fastest of those that are exact enough. */
export const choose = (entries: ReadonlyArray<Entry>, exact = EXACT): Choice => {
  const fit = entries.filter((entry) => entry._tag === "Available").filter(({ deviation }) => deviation <= exact)
  const [chosen] = fit.toSorted((a, b) => b.gigaflops - a.gigaflops)
  const others = entries.filter((entry) => entry !== chosen).map((entry) => {
    if (entry._tag === "Unavailable") return `${entry.name} does not run: ${entry.error.reason.message}`
    const verdict = entry.deviation <= exact ? "is slower" : "is not exact enough"
    return `${entry.name} ${verdict}: ${figures(entry)}`
  })
  const what = chosen === undefined
    ? `no engine deviates from the reference by at most ${exact}`
    : `${chosen.name} is the fastest engine that deviates from the reference by at most ${exact}: ${figures(chosen)}`
  return { chosen, why: [what, ...others].join(". ") }
}
