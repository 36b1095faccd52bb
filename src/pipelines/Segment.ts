/** Segmentation: trains a network to classify pixels, with all of its weights or with its head alone. */
import { Effect } from "effect"
import * as Config from "../domain/config/Config.ts"
import { OptimizerConfig } from "../domain/config/OptimizerConfig.ts"
import type { Preset } from "../domain/config/Preset.ts"
import { SegmentationConfig } from "../domain/config/SegmentationConfig.ts"
import * as LayerDecay from "../domain/method/LayerDecay.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import { Images } from "../layers/images/Images.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import * as PretrainedWeights from "../layers/weights/PretrainedWeights.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Dropout from "../nn/segmentation/Dropout.ts"
import type * as Head from "../nn/segmentation/Head.ts"
import * as SegmentStep from "../nn/segmentation/SegmentStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import type { Backbone } from "./trained/Backbone.ts"
import type { Classifier } from "./trained/Classifier.ts"
import * as Inference from "./trained/Inference.ts"
import * as Segmenter from "./trained/Segmenter.ts"
import * as AnnotatedBatches from "./training/AnnotatedBatches.ts"
import * as RankShare from "./training/RankShare.ts"
import * as Stage from "./training/Stage.ts"

/** A start of segmentation: a pretrained network, or a classifier without its head. */
export type SegmentStart = Backbone | Classifier

const BACKBONE = "backbone."

/** The share of the rate at the first step of a linear schedule's warmup, as published. */
const WARMUP_START = 1e-6

/** Returns the settings of a preset. Fails with `ConfigError` if it has none. */
export const settingsOf = (preset: Preset) =>
  preset.segmentation === null
    ? Effect.fail(Config.refusal(
      "segmentation",
      "expected settings, but this configuration has none",
      "name a preset that has them (--preset tiny), or give them (--config). A run of an earlier version has none"
    ))
    : Effect.succeed(preset.segmentation)

/** Returns the optimizer of a segmentation run. */
export const optimizerOf = (config: SegmentationConfig): OptimizerConfig => {
  const { accumulate, batchSize, betas, lr, steps, warmup, weightDecay } = config
  return new OptimizerConfig({
    lr,
    minLr: 0,
    betas,
    eps: 1e-8,
    weightDecay,
    clipNorm: null,
    batchSize,
    ...(accumulate === undefined ? {} : { accumulate }),
    unit: "steps",
    duration: steps,
    warmup
  })
}

/** Returns the learning rate of a step under a linear schedule. It changes with each update. */
const linear = ({ accumulate = 1, lr, steps, warmup }: SegmentationConfig) => {
  const rate = Schedule.linear({ peak: lr, total: steps, warmup, start: WARMUP_START })
  return (step: number): number => rate(Math.floor(step / accumulate))
}

/** The state of training, without the types of its many shapes: the compiler would take long to compare them. */
interface State extends AdamW.State<object> {
  readonly running: object
}

/** The batch of a step. */
interface Batch {
  readonly images: Tensor<[number, 3, number, number]>
  readonly labels: Tensor<[number, number, number], "int32">
  readonly dropPath?: ReadonlyArray<DropPath.Factors<number>>
  /** The factors of dropped channels, by the name of the head. */
  readonly dropout?: Readonly<Record<string, Tensor<[number, number]>>>
  readonly hyper: AdamW.Hyper
}

type Step = TrainStep<State, Batch, SegmentStep.Metrics>

/** Makes the step that trains a segmenter for a number of classes. `images` is the batch size. */
export const stepOf = (config: SegmentationConfig, classes: number, images = config.batchSize): Step => {
  const { backboneRate, layerDecay, vit } = config
  const batch = { size: Dim.named("batch", images), dropPath: vit.dropPath > 0, dropout: config.head === "upernet" }
  const factor = (name: string): number =>
    (name.startsWith(BACKBONE) ? backboneRate : 1) * LayerDecay.scale(name, { decay: layerDecay, depth: vit.depth })
  const step: unknown = SegmentStep.step<typeof batch.size, Segmenter.Sizes, Head.Parts>(
    Segmenter.sizes(config, classes),
    batch,
    {
      head: Segmenter.headOf(config, classes),
      adamw: AdamW.of(optimizerOf(config), WeightDecay.decays("segment"), factor)
    }
  )
  return step as Step
}

/** The arrays of a segmenter with the backbone of a start, at the size of the segmenter's images. */
export const backboneOf = (
  stage: string,
  config: SegmentationConfig,
  own: Weights.Tensors,
  start: SegmentStart
) => {
  const given = Inference.renamed(start.tensors, (name) => `${BACKBONE}${name}`)
  const grids = { grid: config.vit.grid, from: start.config.vit.grid }
  return Effect.fromResult(PretrainedWeights.loadSegmenter(own, given, grids, stage))
}

/** Refuses settings that differ from those that the start was trained with, and show in no weight. */
export const checkAgreement = (stage: string, config: SegmentationConfig, start: Pick<SegmentStart, "config">) => {
  const { augment, vit } = start.config
  const pairs = [
    ["vit.heads", vit.heads, config.vit.heads],
    ["vit.normEpsilon", vit.normEpsilon ?? null, config.vit.normEpsilon ?? null],
    ["mean", augment.mean, config.mean],
    ["std", augment.std, config.std]
  ] as const
  return Stage.requireConfig(
    stage,
    Object.fromEntries(pairs.map(([key, expected, given]) => {
      const [wanted, found] = [JSON.stringify(expected), JSON.stringify(given)]
      const message = `expected ${wanted}, the value that the weights were trained with, got ${found}`
      return [key, [wanted !== found, message] as const]
    }))
  )
}

/** Refuses a head that does not exist. */
const checkHead = (stage: string, config: SegmentationConfig) => {
  const { auxiliary, head, vit: { patchSize } } = config
  const upernet = head === "upernet"
  return Stage.requireConfig(stage, {
    "vit.patchSize": [
      upernet && patchSize !== 8 && patchSize !== 16,
      `expected 8 or 16, for which UperNet has a pyramid, got ${patchSize}`
    ],
    auxiliary: [
      upernet && auxiliary !== SegmentStep.AUXILIARY,
      `expected ${SegmentStep.AUXILIARY}, the factor of the published recipe, got ${auxiliary}`
    ]
  })
}

const initial = Effect.fnUntraced(function*(
  stage: string,
  config: SegmentationConfig,
  classes: number,
  start: SegmentStart | undefined
) {
  const spec = Segmenter.spec(config, classes)
  const own = Weights.flatten(yield* InitialValues.draw(spec, config.seed))
  const loaded = start === undefined ? own : yield* backboneOf(stage, config, own, start)
  const tensors = {
    ...Inference.parameters(loaded),
    ...Inference.renamed(Weights.flatten(Segmenter.running(config, classes)), (name) => `running.${name}`)
  }
  const weights = { parameters: spec, running: Segmenter.headOf(config, classes).running }
  yield* Effect.fromResult(Weights.conform(weights, Weights.make(tensors), stage))
  const { parameters, running } = Tree.map<HostOf<Pick<State, "parameters" | "running">>>(
    weights,
    (_, path) => tensors[path]
  )
  const begun: HostOf<State> = { ...AdamW.initial(parameters, spec, optimizerOf(config)), running }
  return begun
})

/** Makes the batches of the steps. */
const data = Effect.fnUntraced(function*(
  stage: string,
  config: SegmentationConfig,
  set: AnnotatedBatches.AnnotatedSet
) {
  const { batchSize, seed, vit } = config
  const { batch, rows, stepsPerEpoch } = yield* AnnotatedBatches.training(stage, config, set)
  const specsOf = (images: number) => stepOf(config, set.pixelClasses.length, images).batch
  const specs = specsOf(rows.length)
  const keyOf = Stage.keys(stage, seed)
  const rates = Schedule.dropPathRates(vit.dropPath, vit.depth)
  const dropped = Object.entries(specsOf(batchSize).dropout ?? {})
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const { images, labels } = yield* batch(index)
      return {
        images: HostTensor.make(specs.images.shape, "float32", images),
        labels: HostTensor.make(specs.labels.shape, "int32", labels),
        hyper,
        ...(dropped.length === 0 ? {} : {
          dropout: RankShare.pick(
            Object.fromEntries(
              dropped.map((
                [name, { shape }]
              ) => [name, Dropout.draw(Dropout.RATE, shape, keyOf(`dropout/${name}`, index))])
            ),
            rows
          )
        }),
        ...(vit.dropPath > 0
          ? {
            dropPath: RankShare.pick(
              DropPath.draw(rates, Dim.named("batch", batchSize), keyOf("dropPath", index)),
              rows
            )
          }
          : {})
      }
    })
  }
})

/** Returns the row of a step in the log. */
const measure = ({ accuracy, auxiliary, gradientNorm, loss }: HostOf<SegmentStep.Metrics>) => ({
  loss: HostTensor.item(loss),
  ...(auxiliary === undefined ? {} : { auxiliary: HostTensor.item(auxiliary) }),
  accuracy: HostTensor.item(accuracy),
  gradientNorm: HostTensor.item(gradientNorm)
})

/** The data of a segmentation stage, as its identity knows them. */
export const digestOf = (set: AnnotatedBatches.AnnotatedSet, start: SegmentStart | undefined): Effect.Effect<string> =>
  Effect.map(
    start === undefined ? Effect.succeed("random") : Weights.digest(start.tensors),
    (weights) => `${set.digest} ${weights}`
  )

/**
 * Trains a segmenter from a pretrained network, or from a classifier. Without one, it starts from random weights.
 *
 * Fails with `NoPixelClasses` if the images have no annotations with named classes, with `NoLabelledPixels` if these ignore all pixels, with `ConfigError` if the configuration
 * contradicts that of the network that it starts from, with `WeightsError` if the weights do not fit, with `TooFewImages`, with
 * `TrainingError` if a step gives no finite loss, and as the engine, the images and the run fail.
 */
export const segment = Effect.fn("patchword.segment")(function*(
  given: typeof SegmentationConfig.Encoded,
  start: SegmentStart | undefined,
  options: Stage.StageOptions = {}
) {
  const { split = "train", stage = "segment" } = options
  const config = yield* Config.check(SegmentationConfig, stage)(given)
  const set = yield* AnnotatedBatches.annotated(yield* (yield* Images).load(split))
  yield* AnnotatedBatches.checkLabels(set)
  const { pixelClasses: classes } = set
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": set.length
  })
  if (start !== undefined) yield* checkAgreement(stage, config, start)
  yield* checkHead(stage, config)
  const step = stepOf(config, classes.length)
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: Segmenter.Described,
    config: { config, classes },
    dataDigest: yield* digestOf(set, start),
    holdout: set.holdout,
    model: Segmenter.NAME,
    isReplayable: true,
    seed: config.seed,
    step,
    // Whatever the stage is called: whoever compares two starts shows them the same.
    ...(yield* data("segment", config, set)),
    optimizer: optimizerOf(config),
    ...(config.schedule === "cosine" ? {} : { rate: linear(config) }),
    initial: initial(stage, config, classes.length, start),
    measure,
    trained: ({ parameters, running }) => ({ ...Weights.flatten(parameters as object), ...Weights.flatten(running) })
  })
  const segmenter: Segmenter.Segmenter = { config, classes, tensors }
  return segmenter
}, Effect.scoped)
