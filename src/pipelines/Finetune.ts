/** Fine-tuning: a classifier trained from a pretrained network, all of it (`run_class_finetuning.py`). */
import { Effect, Equal, Record, Result } from "effect"
import { FinetuneConfig } from "../domain/config/FinetuneConfig.ts"
import * as Model from "../domain/config/Model.ts"
import type { PretrainConfig } from "../domain/config/PretrainConfig.ts"
import type { VitConfig } from "../domain/config/VitConfig.ts"
import * as Accuracy from "../domain/evaluation/Accuracy.ts"
import * as Classes from "../domain/evaluation/Classes.ts"
import * as LayerDecay from "../domain/method/LayerDecay.ts"
import * as Mixup from "../domain/method/Mixup.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as RandomErasing from "../domain/pixels/RandomErasing.ts"
import * as Json from "../domain/values/Json.ts"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as PretrainedWeights from "../layers/weights/PretrainedWeights.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as Block from "../nn/blocks/Block.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as Parameter from "../nn/blocks/Parameter.ts"
import * as FinetuneStep from "../nn/finetune/FinetuneStep.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { Backbone } from "./trained/Backbone.ts"
import * as Classifier from "./trained/Classifier.ts"
import * as Inference from "./trained/Inference.ts"
import * as Batches from "./training/Batches.ts"
import * as Outputs from "./training/Outputs.ts"
import * as Stage from "./training/Stage.ts"
import * as Training from "./training/Training.ts"
import type { StageOptions } from "./TrainTokenizer.ts"

/** The images of a batch with rectangles of noise, each by the key of its image. */
const erased = (
  images: Batches.ImageBatch,
  probability: number,
  keyOf: (epoch: number, index: number) => KeyedRandom.Key
) => {
  const { draws, epoch, normalised: { data, shape: [, channels, height, width] } } = images
  if (probability === 0) return data
  const size = channels * height * width
  const changed = data.slice()
  draws.forEach((draw, place) => {
    const image = data.subarray(place * size, (place + 1) * size)
    const generator = KeyedRandom.generator(keyOf(epoch, draw))
    changed.set(RandomErasing.erase(image, { height, width }, probability, generator), place * size)
  })
  return changed
}

/** The step that trains a classifier of some number of classes; `images` are a batch. */
export const stepOf = (config: FinetuneConfig, classes: number, images = config.optimizer.batchSize) => {
  const { labelSmoothing, layerDecay, mixup, optimizer, vit } = config
  const batch = { size: Dim.named("batch", images), dropPath: vit.dropPath > 0, mixed: mixup !== null }
  return FinetuneStep.step(Classifier.sizes(config, classes), batch, {
    labelSmoothing,
    adamw: AdamW.of(
      optimizer,
      WeightDecay.decays("finetune"),
      (name) => LayerDecay.scale(name, { decay: layerDecay, depth: vit.depth })
    )
  })
}

/** Weights of others, which say nothing but their names and shapes: the rest is assumed to be as configured. */
export interface Bare {
  /** Their file. */
  readonly source: string
  readonly tensors: Weights.Tensors
}

/** What a classifier can be trained from. */
export type Start = Backbone | Classifier.Classifier | Bare

const epsilonOf = ({ normEpsilon }: VitConfig): number => normEpsilon ?? Block.EPSILON

type Seen = Readonly<Record<string, Json.Json>>

/** What changes what a network computes, and leaves no trace in its weights. */
const unseen = (
  { augment: { mean, std }, vit }: FinetuneConfig | PretrainConfig
): Readonly<Record<string, Json.Json>> => ({
  "vit.heads": vit.heads,
  "vit.normEpsilon": epsilonOf(vit),
  "augment.mean": mean,
  "augment.std": std
})

// The norm before the head of a classifier tells what it sees: it is called otherwise for the mean and for the class token.
const pooledBy = ({ tensors }: Bare): Seen => {
  if (!Object.hasOwn(tensors, "head.weight")) return {}
  if (Object.hasOwn(tensors, "fc_norm.weight")) return { "vit.pooling": "mean" }
  return Object.hasOwn(tensors, "norm.weight") ? { "vit.pooling": "cls" } : {}
}

/** Refuses to compute with weights otherwise than they were trained. */
const agreeing = (stage: string, config: FinetuneConfig, start: Start) => {
  const pooled = ({ vit }: FinetuneConfig): Seen => ({ "vit.pooling": vit.pooling })
  const asked = { ...unseen(config), ...pooled(config) }
  const given: Seen = "config" in start
    ? { ...unseen(start.config), ...("classes" in start ? pooled(start.config) : {}) }
    : pooledBy(start)
  return Stage.requireConfig(
    stage,
    Record.map(given, (value, key) => [
      Json.canonical(value) !== Json.canonical(asked[key]!),
      `expected ${JSON.stringify(value)}, as the weights were trained with, got ${
        JSON.stringify(asked[key])
      }; set finetune.${key} to it`
    ])
  )
}

const HEAD = /^head\./

const showClasses = (classes: ReadonlyArray<string>): string =>
  `${classes.slice(0, 5).join(", ")}${classes.length > 5 ? ", …" : ""}`

/**
 * The arrays that training starts from, without a head for other classes, and what there is to say of them.
 */
const starting = (config: FinetuneConfig, classes: ReadonlyArray<string>, start: Start) => {
  const { tensors } = start
  const headless = Record.filter(tensors, (_, name) => !HEAD.test(name))
  const head = tensors["head.weight"]?.shape[0]
  if ("classes" in start) {
    if (Equal.equals(start.classes, classes)) return { tensors, said: [] }
    const said = `the head is left out and begins anew: it tells ${start.classes.length} classes ` +
      `(${showClasses(start.classes)}), the images have ${classes.length} (${showClasses(classes)})`
    return { tensors: headless, said: [said] }
  }
  if ("codes" in start) return { tensors, said: [] }
  const tables = Object.keys(tensors).some((name) => name.endsWith("relative_position_bias_table"))
  const assumed = Object.entries(unseen(config)).filter(([key]) => key !== "vit.heads" || !tables)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
  const said = `${start.source} does not say how its network computes; taken as configured: ${assumed.join(", ")}`
  if (head === undefined) return { tensors, said: [said] }
  return head === classes.length
    ? { tensors, said: [said, `the head for ${head} classes is taken; ${start.source} does not name them`] }
    : {
      tensors: headless,
      said: [said, `the head for ${head} classes is left out, for the images have ${classes.length}`]
    }
}

/**
 * Trains a classifier from a backbone, from another classifier (intermediate fine-tuning), or from weights of others; from
 * random values when there is none. The head of a classifier of other classes is left out, which is said.
 *
 * Fails with `ClassesError` when a label is no class or all are of one, with `ConfigError` when the configuration computes
 * otherwise than the network that it starts from, with `WeightsError` when the weights do not fit, with `TrainingError` when a
 * step gives no finite loss, and as the
 * engine, the images and the run fail.
 */
export const finetune = Effect.fn("finetune")(function*(
  config: FinetuneConfig,
  start: Start | undefined,
  options: StageOptions = {}
) {
  const { checkpointEvery = 100, split = "train", stage = "finetune" } = options
  const set = yield* (yield* Images).load(split)
  yield* Effect.fromResult(Classes.check(set))
  const { augment, mixup, optimizer, seed, vit } = config
  if (start !== undefined) yield* agreeing(stage, config, start)
  const begun = start && starting(config, set.classes, start)
  const { message } = yield* Progress
  for (const line of begun?.said ?? []) yield* message(`${stage}: ${line}`)
  const sizes = Classifier.sizes(config, set.classes.length)
  const batchSize = Dim.named("batch", optimizer.batchSize)
  const { batch, recycle, stepsPerEpoch } = yield* Batches.training({
    stage: "finetune",
    set,
    seed,
    batchSize,
    accumulate: optimizer.accumulate,
    size: vit.imageSize,
    augment,
    sampling: config.sampling,
    policies: config
  })
  const dropPath = vit.dropPath > 0
  const rates = Schedule.dropPathRates(vit.dropPath, vit.depth)
  const step = stepOf(config, set.classes.length)
  const key = (purpose: string, index: number, epoch = 0): KeyedRandom.Key => ({
    seed,
    purpose: `finetune/${purpose}`,
    epoch,
    index
  })
  const mixed = (images: Float32Array, labels: Int32Array, index: number) => {
    if (mixup === null) return { images, labels }
    const [height, width] = sizes.image
    const shape = [batchSize, 3, height, width] as const
    const mix = Mixup.draw(mixup, { height, width }, KeyedRandom.generator(key("mixup", index)))
    const options = { classes: sizes.classes, smoothing: config.labelSmoothing }
    return {
      images: Mixup.images({ data: images, shape }, mix),
      labels: Mixup.majority(labels, mix),
      targets: Mixup.targets(labels, mix, options)
    }
  }
  const { total } = optimizer.steps(stepsPerEpoch)
  const rate = optimizer.learningRate(stepsPerEpoch)
  const plain = Stage.toJson(FinetuneConfig, config)
  const dataDigest = `${set.digest} ${start === undefined ? "random" : Stage.digest(start.tensors)}`

  const initial = Effect.gen(function*() {
    const spec = Classifier.spec(config, set.classes.length)
    const fresh = Parameter.initialise(spec, seed)
    const logits = FinetuneStep.logits(sizes, batchSize)
    const own = Weights.flatten(fresh)
    const grids = {
      grid: vit.grid,
      ...(start !== undefined && "config" in start ? { from: start.config.vit.grid } : {})
    }
    const loaded = begun ? yield* Effect.fromResult(PretrainedWeights.load(own, begun.tensors, grids, stage)) : own
    const { parameters } = yield* Inference.loadWeights(logits, Inference.parameters(loaded))
    return AdamW.initial(parameters, spec, optimizer.accumulate)
  })

  const tensors = yield* Stage.unlessFinished(
    {
      stage,
      config: plain,
      dataDigest,
      seed,
      step: total,
      model: Model.Classifier.make({ config, classes: set.classes })
    },
    Training.train({
      stage,
      step,
      config: plain,
      dataDigest,
      seed,
      steps: total,
      batchSize,
      stepsPerEpoch,
      checkpointEvery,
      initial,
      batch: Effect.fnUntraced(function*(index) {
        const views = yield* batch(index)
        recycle([views.unit.data])
        const whole = erased(views, config.erasing, (epoch, draw) => key("erasing", draw, epoch))
        const { images, labels, targets } = mixed(whole, views.labels, index)
        return {
          images: HostTensor.make(step.batch.images.shape, "float32", images),
          labels: HostTensor.make([batchSize], "int32", labels),
          ...(targets === undefined
            ? {}
            : { targets: HostTensor.make([batchSize, sizes.classes], "float32", targets) }),
          hyper: AdamW.hyper(index, rate(index), optimizer),
          ...(dropPath ? { dropPath: DropPath.draw(rates, batchSize, key("dropPath", index)) } : {})
        }
      }),
      used: ({ images }) => recycle([images.data]),
      measure: ({ accuracy, gradientNorm, loss }) => ({
        loss: HostTensor.item(loss),
        accuracy: HostTensor.item(accuracy),
        gradientNorm: HostTensor.item(gradientNorm)
      })
    }).pipe(
      Effect.map(({ computedOn, state: { parameters } }) => ({ tensors: Weights.flatten(parameters), computedOn }))
    )
  )
  const classifier: Classifier.Classifier = { config, classes: set.classes, tensors }
  return classifier
}, Effect.scoped)

const BATCH = 128

/** What a classifier thinks of sets of images: logits `[N, K]` of each, row-major. */
export const classify = Effect.fn("classify")(
  function*(classifier: Classifier.Classifier, sets: ReadonlyArray<ImageSet>) {
    const { classes, config } = classifier
    const inference = FinetuneStep.logits(Classifier.sizes(config, classes.length), Dim.named("batch", BATCH))
    const handle = yield* Inference.open(inference, Classifier.weights(classifier))
    return yield* Effect.forEach(sets, (set) =>
      Effect.map(
        Batches.evaluation(
          { set, batchSize: BATCH, size: config.vit.imageSize, augment: config.augment },
          Effect.fnUntraced(function*({ indices, normalised, valid }) {
            const { logits } = yield* handle.run({
              images: HostTensor.make(inference.batch.images.shape, "float32", normalised.data)
            })
            yield* Outputs.checkFinite("logits", logits.data, {
              rows: BATCH,
              valid,
              describe: (row) => set.describe(indices[row]!)
            })
            return Array.from(logits.data.subarray(0, valid * classes.length))
          })
        ),
        (parts) => Float32Array.from(parts.flat())
      ))
  },
  Effect.scoped
)

/**
 * What a classifier reaches on sets of images, whose classes meet its own by name. Fails with `ClassesError` when labels are
 * none of the classes or classes do not meet, and as engine and images fail.
 */
export const evaluateClassifier = Effect.fn("evaluateClassifier")(function*(
  classifier: Classifier.Classifier,
  sets: ReadonlyArray<ImageSet>,
  rule: Classes.Rule = "same"
) {
  const learned = { name: "the classifier", classes: classifier.classes }
  const met = yield* Effect.fromResult(Result.all(sets.map((set) => Classes.meet(learned, set, rule))))
  const logits = yield* classify(classifier, sets)
  return met.map((test, i) => Accuracy.measure(test, logits[i]!))
})
