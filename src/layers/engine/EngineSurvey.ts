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
import * as Graph from "../../compiler/graph/Graph.ts"
import * as Trace from "../../compiler/trace/Trace.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as Vit from "../../nn/blocks/Vit.ts"
import * as AdamW from "../../nn/optimizer/AdamW.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
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
    /** Speed of training steps: 10⁹ multiplications and additions of their matrix products per second. */
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

const noise = <T>(spec: object, deviation: number): T =>
  Tree.map<T>(spec, (leaf, path) => {
    const data = new Float32Array(HostTensor.size(leaf.shape))
    const key = { seed: 0, purpose: path, epoch: 0, index: 0 }
    if (deviation > 0) KeyedRandom.fillNormal(data, key, { deviation, cut: Infinity })
    return { ...leaf, data }
  })

/** The sizes of a step. */
interface Sizes {
  readonly images: number
  readonly image: number
  readonly patch: number
  readonly width: number
  readonly heads: number
  readonly hidden: number
  readonly depth: number
  readonly codes: number
}

const BETAS = [0.9, 0.98] as const

/** A pretraining step that predicts every second patch. */
const stepOf = ({ codes, depth, heads, hidden, image, images, patch, width }: Sizes) => {
  const dims = Vit.dims({
    image: Dim.named("image", image),
    patch: Dim.named("patch", patch),
    width: Dim.named("width", width),
    heads: Dim.named("heads", heads)
  })
  const side = Math.floor(image / patch)
  return PretrainStep.step(
    {
      ...dims,
      hidden: Dim.named("hidden", hidden),
      relativeRows: Dim.named("relativeRows", RelativePosition.rows({ height: side, width: side })),
      depth,
      absolutePositions: false,
      relativePositions: "shared",
      qkvBias: true,
      layerScale: 0.1,
      initStd: 0.02,
      codes: Dim.named("codes", codes),
      aggregation: null
    },
    {
      size: Dim.named("batch", images),
      masked: Dim.named("masked", Math.floor(images * side ** 2 / 2)),
      dropPath: false
    },
    { betas: BETAS, weightDecay: 0.05, clipNorm: null, decays: (_, rank) => rank > 1 }
  )
}

/** Opens a step with random parameters of a deviation, and random images. */
const open = Effect.fnUntraced(function*(sizes: Sizes, deviation: number) {
  const step = stepOf(sizes)
  const { batch, state: { first, parameters, second } } = step
  const handle = yield* (yield* Engine).train(step, {
    parameters: noise(parameters, deviation),
    first: noise(first, 0),
    second: noise(second, 0)
  })
  const [masked] = batch.rows.shape
  const integers = (of: (at: number) => number) =>
    HostTensor.make([masked], "int32", Int32Array.from({ length: masked }, (_, at) => of(at)))
  const run = handle.run({
    images: noise(batch.images, 1),
    mask: HostTensor.make(
      batch.mask.shape,
      "bool",
      Uint8Array.from({ length: HostTensor.size(batch.mask.shape) }, (_, at) => at % 2)
    ),
    rows: integers((at) => 2 * at + 1),
    labels: integers((at) => (7 * at) % sizes.codes),
    hyper: AdamW.hyper(0, 1e-3, { betas: BETAS, eps: 1e-8 })
  })
  return { run, snapshot: handle.snapshot }
})

/** Counts the operations of a step's matrix products. */
const flopsOf = (sizes: Sizes): number => Graph.flops(Trace.trainStep(stepOf(sizes), { external: true }).graph)

/**
 * Measures the speed of steps, in 10⁹ operations of their matrix products per second. It takes steps for this number of seconds,
 * at least one, and counts the fastest one, because other work of the machine only slows steps down.
 */
const rateOf = Effect.fnUntraced(function*({ flops, sizes }: Work, seconds: number) {
  const { run } = yield* open(sizes, 0.02)
  // The preparations of a first step are not part of the rate.
  yield* run
  const began = yield* Clock.currentTimeNanos
  let [fastest, last] = [Infinity, began]
  do {
    yield* run
    const now = yield* Clock.currentTimeNanos
    fastest = Math.min(fastest, Number(now - last))
    last = now
  } while (Number(last - began) < 1e9 * seconds)
  return flops / fastest
}, Effect.scoped)

/** The sizes of a network. A `VitConfig` has them. */
export type Network = Pick<VitConfig, "imageSize" | "patchSize" | "width" | "heads" | "hidden">

/** ViT-B/16. */
const BASE: Network = { imageSize: 224, patchSize: 16, width: 768, heads: 12, hidden: 3072 }

// As many as two images of ViT-B/16 have.
const TOKENS = 394

/**
 * A step with one block of a network. All that a training step is made of has its share in it: products, other operators, and the
 * update.
 */
const oneBlock = ({ heads, hidden, imageSize, patchSize, width }: Network): Sizes => ({
  images: Math.max(1, Math.round(TOKENS / (Math.floor(imageSize / patchSize) ** 2 + 1))),
  image: imageSize,
  patch: patchSize,
  width,
  heads,
  hidden,
  depth: 1,
  codes: 1024
})

/** A step that a slow engine takes in some time, too. */
const SMALL: Sizes = { images: 1, image: 64, patch: 16, width: 128, heads: 2, hidden: 512, depth: 1, codes: 64 }

/** A step and the number of its operations. */
interface Work {
  readonly sizes: Sizes
  readonly flops: number
}

const workOf = (sizes: Sizes): Work => ({ sizes, flops: flopsOf(sizes) })

/** Measures the speed of a step, or of the small one if the engine is slow. */
const rate = Effect.fnUntraced(function*({ flops, sizes }: Work, small: Work, seconds: number) {
  const guess = yield* rateOf(small, seconds / 10)
  return flops / guess > 4e9 * seconds ? guess : yield* rateOf({ flops, sizes }, seconds)
})

/** The step in which engines are compared with the reference. */
const COMPARED: Sizes = { images: 2, image: 32, patch: 8, width: 32, heads: 2, hidden: 64, depth: 2, codes: 16 }

/** The loss, the gradient norm and the first moments (which show the gradients) of one step. */
const observed = Effect.gen(function*() {
  const { run, snapshot } = yield* open(COMPARED, 0.2)
  const { gradientNorm, loss } = yield* run
  const { first } = (yield* snapshot).state
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
  function*(
    { name, precision }: Candidate,
    expected: object,
    work: readonly [step: Work, small: Work],
    seconds: number
  ) {
    const { threads, version, precisions } = (yield* Engine).about
    const deviates = deviation(yield* observed, expected)
    return new Available({
      name,
      precision,
      version,
      threads,
      precisions,
      gigaflops: yield* rate(...work, seconds),
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
  /** The network whose training steps are measured, with one of its blocks; default ViT-B/16. */
  readonly like?: Network
}

/**
 * Measures the speed and the deviation of every engine, or gives the reason why it does not run here. The engines run one
 * after the other, because they share the machine.
 */
export const survey = Effect.fn("patchword.EngineSurvey.survey")(function*(options: Options = {}) {
  const { like = BASE, names, seconds = 2 } = options
  const expected = yield* Effect.provide(observed, Layer.fresh(EngineLayers.layerReference))
  const work = [workOf(oneBlock(like)), workOf(SMALL)] as const
  const asked = candidates.filter(({ name }) => names?.includes(name) ?? true)
  return yield* Effect.forEach(
    asked,
    (candidate) =>
      Effect.match(Effect.provide(measured(candidate, expected, work, seconds), Layer.fresh(candidate.layer)), {
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
