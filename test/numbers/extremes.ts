import { Cause, Effect, Exit, Layer, Option } from "effect"
import fc from "fast-check"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { CodebookConfig, TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { segment } from "../../src/pipelines/Segment.ts"
import { trainDecoder } from "../../src/pipelines/TrainDecoder.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import { TrainingError } from "../../src/pipelines/training/Training.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { engine, micro, optimizer } from "../pipelines/kit.ts"

export const stages = ["tokenizer", "pretrain", "finetune", "segment", "decoder"] as const

export type StageName = typeof stages[number]

const LOOKS = ["drawn", "black", "white", "equal"] as const

const LENGTH = 24

export const configurations = fc.record({
  look: fc.constantFrom(...LOOKS),
  labels: fc.constantFrom("all equal", "one class", "several"),
  sides: fc.constantFrom([16, 16], [512, 512], [33, 70], [200, 9]),
  batchSize: fc.constantFrom(1, 2, 8),
  accumulate: fc.constantFrom(1, 3),
  patches: fc.constantFrom(1, 2, 3),
  patchSize: fc.constantFrom(8, 16),
  depth: fc.constantFrom(1, 4),
  heads: fc.constantFrom(1, 8),
  codes: fc.constantFrom(1, 2, 16),
  dim: fc.constantFrom(1, 8),
  codebook: fc.constantFrom("drawn", "all equal", "zeros", "denormal"),
  warmup: fc.constantFrom(0, 2),
  lr: fc.constantFrom(Number.MIN_VALUE, 1e-38, 1e-3, 1e3, 1e30),
  clipNorm: fc.constantFrom(null, 1e-30, 3),
  layerScale: fc.constantFrom(0, 1e-30, 0.1),
  weightDecay: fc.constantFrom(0, 0.05)
})

export type Configuration = typeof configurations extends fc.Arbitrary<infer A> ? A : never

const picture = ({ look, sides }: Configuration, index: number): Picture => {
  const [width, height] = sides as [number, number]
  const { integer } = KeyedRandom.generator({
    seed: 0,
    purpose: "extremes",
    epoch: 0,
    index: look === "equal" ? 0 : index
  })
  const colour = () => look === "black" ? 0 : look === "white" ? 255 : integer(0, 255)
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, colour) }
}

const imagesOf = (given: Configuration): ImageSet.ImageSet => {
  const pictures = Array.from({ length: LENGTH }, (_, index) => picture(given, index))
  const classes = given.labels === "one class" ? ["one"] : ["one", "two", "three"]
  const labels = pictures.map((_, index) => given.labels === "several" ? index % classes.length : classes.length - 1)
  const [width, height] = given.sides as [number, number]
  return {
    ...ImageSet.memory("train", classes, pictures, labels),
    annotation: (index) =>
      Effect.succeed({
        width,
        height,
        data: new Uint8Array(width * height).fill(given.labels === "several" ? index % 2 : 0)
      }),
    pixelClasses: ["ground", "thing"]
  }
}

const presetOf = (given: Configuration) => {
  const {
    accumulate,
    batchSize,
    clipNorm,
    codes,
    depth,
    dim,
    heads,
    layerScale,
    lr,
    patchSize,
    patches,
    warmup,
    weightDecay
  } = given
  const own = {
    lr,
    minLr: 0,
    batchSize,
    accumulate,
    clipNorm,
    weightDecay,
    duration: 3,
    warmup,
    unit: "steps"
  } as const
  const { finetune, pretrain, tokenizer } = micro(own)
  const sizes = { imageSize: patches * patchSize, patchSize, width: 8, depth, heads, layerScale, dropPath: 0 }
  const vit = new VitConfig({ ...pretrain.vit, ...sizes })
  const square = patches ** 2
  return {
    tokenizer: new TokenizerConfig({
      ...tokenizer,
      encoder: new VitConfig({ ...tokenizer.encoder, ...sizes, layerScale: 0 }),
      decoderDepth: 1,
      codebook: new CodebookConfig({ ...tokenizer.codebook, size: codes, dim })
    }),
    pretrain: square === 1 ? undefined : new PretrainConfig({
      ...pretrain,
      vit,
      mask: { ...pretrain.mask, count: square - 1, minBlock: 1, maxBlock: null },
      aggregation: { ...pretrain.aggregation!, earlyLayer: 1 }
    }),
    finetune: new FinetuneConfig({ ...finetune, vit: new VitConfig({ ...finetune.vit, ...sizes }) }),
    decoder: new DecoderConfig({
      ...Presets.tiny.decoder!,
      width: 8,
      depth: 1,
      heads,
      mlpRatio: 2,
      perceptual: 0.5,
      optimizer: optimizer(own)
    }),
    segmentation: new SegmentationConfig({
      ...Presets.tiny.segmentation!,
      vit: new VitConfig({ ...vit, imageSize: 4 * patchSize, depth: 4, relativePositions: "perBlock" }),
      taps: [1, 2, 3, 4],
      batchSize,
      lr,
      steps: 3,
      warmup,
      stride: patchSize,
      frozen: null
    })
  }
}

const VALUES = { "all equal": 1, zeros: 0, denormal: 1e-42 } as const

const untrained = (config: TokenizerConfig, { codebook }: Configuration): Tokenizer.Tokenizer => {
  const { dim, size } = config.codebook
  const spec = Tokenizer.spec(Tokenizer.sizes(config, 8), { parameters: {}, state: {} })
  const weight = Parameter.normal([size, dim], { ...Parameter.finetuning, deviation: 1 })
  const tensors = Weights.flatten(Parameter.initialise({ ...spec, quantize: { embedding: { weight } } }, 0))
  if (codebook !== "drawn") tensors["quantize.embedding.weight"]!.data.fill(VALUES[codebook])
  return { config, teacherWidth: Dim.named("teacherWidth", 8), tensors }
}

const allFinite = (tensors: Weights.Tensors) => Object.values(tensors).every(({ data }) => data.every(Number.isFinite))

const trainedOf = (stage: StageName, given: Configuration) =>
  Effect.gen(function*() {
    const preset = yield* Effect.try({ try: () => presetOf(given), catch: (error) => new Refused(String(error)) })
    const tokenizer = untrained(preset.tokenizer, given)
    switch (stage) {
      case "tokenizer":
        return yield* trainTokenizer(preset.tokenizer)
      case "pretrain":
        return yield* preset.pretrain === undefined
          ? Effect.fail(new Refused("one patch leaves nothing to predict from"))
          : pretrain(preset.pretrain, tokenizer)
      case "finetune":
        return yield* finetune(preset.finetune, undefined)
      case "segment":
        return yield* segment(preset.segmentation, undefined)
      case "decoder":
        return yield* trainDecoder(preset.decoder, tokenizer)
    }
  })

export class Refused {
  readonly _tag = "Refused"
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

const outcome = Effect.fnUntraced(function*(stage: StageName, given: Configuration) {
  const exit = yield* Effect.exit(trainedOf(stage, given))
  const runs = yield* Runs.Runs
  const rows = yield* runs.readLog
  if (!rows.every(({ loss }) => Number.isFinite(loss))) return { kind: "other", said: "a row is not finite" } as const
  if (Exit.isSuccess(exit)) {
    return allFinite(exit.value.tensors)
      ? { kind: "finite", said: "" } as const
      : { kind: "other", said: "weights are not finite" } as const
  }
  const error = Cause.squash(exit.cause)
  if (!exit.cause.reasons.every(({ _tag }) => _tag === "Fail")) {
    return { kind: "other", said: Cause.pretty(exit.cause) } as const
  }
  if (error instanceof TrainingError && error.reason._tag === "NonFinite") {
    const batch = yield* runs.weights(error.batch)
    return Option.isSome(batch)
      ? { kind: "NonFinite", said: `${error.step} ${digestOf(batch.value.tensors)}` } as const
      : { kind: "other", said: "its batch is not kept" } as const
  }
  const tag = (error as { readonly _tag: string })._tag
  return tag === "TrainingError" || tag === "EngineError"
    ? { kind: "other", said: Cause.pretty(exit.cause) } as const
    : { kind: "refused", said: String((error as Error).message) } as const
})

export const outcomeOf = (stage: StageName, given: Configuration) =>
  Effect.gen(function*() {
    const first = yield* outcome(stage, given)
    if (first.kind !== "NonFinite") return first
    const again = yield* outcome(stage, given)
    return again.said === first.said
      ? first
      : { kind: "other", said: `first ${first.said}, then ${again.said}` } as const
  }).pipe(Effect.provide(
    Layer.mergeAll(
      Runs.layerMemory(),
      Layer.provideMerge(
        Teacher.layerHog({
          patchSize: given.patchSize,
          imageSize: given.patches * given.patchSize,
          components: 8,
          fitOn: 4,
          seed: 0,
          augment: micro().tokenizer.augment
        }),
        Images.layerMemory([imagesOf(given)])
      )
    ),
    { local: true }
  ))

export const machine = engine
