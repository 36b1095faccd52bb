/** Fine-tuning: a classifier trained from a pretrained network, all of it (`run_class_finetuning.py`). */
import { Effect } from "effect"
import { FinetuneConfig } from "../domain/config/FinetuneConfig.ts"
import * as Model from "../domain/config/Model.ts"
import * as Classes from "../domain/evaluation/Classes.ts"
import * as LayerDecay from "../domain/method/LayerDecay.ts"
import * as Mixup from "../domain/method/Mixup.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as RandomErasing from "../domain/pixels/RandomErasing.ts"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Images } from "../layers/images/Images.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as PretrainedWeights from "../layers/weights/PretrainedWeights.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as Parameter from "../nn/blocks/Parameter.ts"
import * as FinetuneStep from "../nn/finetune/FinetuneStep.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Classifier from "./trained/Classifier.ts"
import * as Inference from "./trained/Inference.ts"
import * as Batches from "./training/Batches.ts"
import * as Stage from "./training/Stage.ts"
import * as Start from "./training/Start.ts"
import * as Training from "./training/Training.ts"

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
  start: Start.Start | undefined,
  options: Stage.StageOptions = {}
) {
  const { checkpointEvery = 100, split = "train", stage = "finetune" } = options
  const set = yield* (yield* Images).load(split)
  yield* Effect.fromResult(Classes.check(set))
  const { augment, mixup, optimizer, seed, vit } = config
  if (start !== undefined) yield* Start.checkAgreement(stage, config, start)
  const begun = start && Start.tensorsOf(config, set.classes, start)
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
