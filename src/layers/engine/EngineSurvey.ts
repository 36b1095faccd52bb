/**
 * A survey of the engines of this machine: the speed and the exactness of each, and the choice among them.
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

/** An engine that a survey can measure. */
export interface Candidate {
  readonly name: string
  readonly precision: "fp32" | "tf32" | "bf16"
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

const tensorflow = (precision: "fp32" | "tf32" | "bf16"): Candidate => ({
  name: `tensorflow-${precision}`,
  precision,
  layer: EngineLayers.layerTensorFlow({ precision })
})

const xla = (platform: "cpu" | "cuda"): Candidate => ({
  name: `xla-${platform}`,
  precision: "fp32",
  layer: EngineLayers.layerXla({ platform })
})

/** All engines and providers that run in Node on some machine. */
export const candidates: ReadonlyArray<Candidate> = [
  onnx("cpu"),
  onnx("cuda"),
  onnx("webgpu"),
  onnx("dml"),
  onnx("coreml"),
  openvino("fp32"),
  openvino("bf16"),
  tensorflow("fp32"),
  tensorflow("tf32"),
  tensorflow("bf16"),
  xla("cpu"),
  xla("cuda"),
  { name: "onnx-web", precision: "fp32", layer: EngineLayers.layerOnnxWeb() },
  { name: "reference", precision: "fp32", layer: EngineLayers.layerReference }
]

/** An engine that runs on this machine. */
export class Available extends Schema.TaggedClass<Available>("patchword/layers/EngineSurvey/Available")(
  "Available",
  {
    name: Schema.String,
    /** Precision of matrix products in this survey. */
    precision: Schema.String,
    /** Version of the engine's library. */
    version: Schema.String,
    threads: Schema.Int,
    /** Precisions that the engine offers for matrix products. */
    precisions: Schema.Array(Schema.String),
    /** Speed of matrix products, in 10⁹ multiplications and additions per second. */
    gigaflops: Schema.Finite,
    /**
     * Greatest difference from the reference in a small training step. Differences are relative to the greatest value of
     * their array.
     */
    deviation: Schema.Finite
  }
) {}

/** An engine that does not run on this machine, with the reason. */
export class Unavailable extends Schema.TaggedClass<Unavailable>("patchword/layers/EngineSurvey/Unavailable")(
  "Unavailable",
  { name: Schema.String, error: EngineError }
) {}

/** The result of a survey for one engine. */
export const Entry = Schema.Union([Available, Unavailable])

/** The result of a survey for one engine. */
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

/** The matrix products of a transformer's multilayer perceptron. Batch and output are scalars, so transfers take no time. */
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
 * Measures the speed of products with this number of rows, in 10⁹ operations per second. It runs them for this number of
 * seconds, at least once, and takes the fastest run, because other work of the machine only slows runs down.
 */
const rateOf = Effect.fnUntraced(function*(rows: number, seconds: number) {
  const engine = yield* Engine
  const inference = products(rows)
  const handle = yield* engine.infer(inference, noise(inference.weights, 0.02))
  const batch = { scale: HostTensor.scalar(1) }
  // The preparations of a first run are not part of the rate.
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

/** Number of tokens of 8 images: 8 · 197. */
const ROWS = 1576
const FEW = 8

/** Measures the speed of matrix products. For slow engines it uses few rows. */
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

/** The loss, the gradient norm and the first moments (which show the gradients) of one step. */
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

/** Options of a survey. */
export interface Options {
  /** Names of the engines to measure; default all. */
  readonly names?: ReadonlyArray<string>
  /** Time to measure each engine's speed, in seconds; default 2. */
  readonly seconds?: number
}

/**
 * Measures the speed and the deviation of every engine, or gives the reason why it does not run here. The engines run one
 * after the other, because they share the machine.
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

/** Greatest deviation of an engine that counts as exact. In fp32, the order of summation alone causes smaller ones. */
export const EXACT = 1e-4

/** The choice of a survey. `chosen` is undefined if no engine is fit. */
export interface Choice {
  readonly chosen: Available | undefined
  /** The reason for the choice, and the reason against each other engine. */
  readonly why: string
}

const figures = ({ deviation, gigaflops }: Available): string =>
  `${gigaflops.toPrecision(3)} Gflop/s, deviation ${deviation.toExponential(0)}`

/** Chooses the fastest engine whose deviation is at most `exact`. */
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
