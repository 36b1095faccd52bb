/** Fine-tuning: trains a classifier from a pretrained network, with all of its weights (`run_class_finetuning.py`). */
import { Effect, Option } from "effect"
import * as Config from "../domain/config/Config.ts"
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
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import { Progress } from "../layers/run/Progress.ts"
import { Runs } from "../layers/run/Runs.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import * as PretrainedWeights from "../layers/weights/PretrainedWeights.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as FinetuneStep from "../nn/finetune/FinetuneStep.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import * as Classifier from "./trained/Classifier.ts"
import * as Inference from "./trained/Inference.ts"
import * as Batches from "./training/Batches.ts"
import * as Stage from "./training/Stage.ts"
import * as Start from "./training/Start.ts"

/** The ending of the name under which a run keeps the averaged network: `finetune-ema`. */
export const EMA = "ema"

/** A trained classifier, with the moving average of its weights if the configuration asks for one (`ema`). */
export interface Finetuned extends Classifier.Classifier {
  readonly averaged?: Classifier.Classifier
}

/** Lists the networks that a run keeps beside a trained classifier, with their names there. */
export const beside = (
  stage: string,
  { averaged }: Finetuned
): ReadonlyArray<readonly [name: string, classifier: Classifier.Classifier]> =>
  averaged === undefined ? [] : [[`${stage}-${EMA}`, averaged]]

/** Makes the step that trains a classifier for a number of classes. `images` is the batch size. */
export const stepOf = (config: FinetuneConfig, classes: number, images = config.optimizer.batchSize) => {
  const { ema = null, labelSmoothing, layerDecay, mixup, optimizer, vit } = config
  const batch = { size: Dim.named("batch", images), dropPath: vit.dropPath > 0, mixed: mixup !== null }
  return FinetuneStep.step(Classifier.sizes(config, classes), batch, {
    labelSmoothing,
    adamw: AdamW.of(
      { ...optimizer, ema },
      WeightDecay.decays("finetune"),
      (name) => LayerDecay.scale(name, { decay: layerDecay, depth: vit.depth })
    )
  })
}

/** Applies random erasing to the images of a batch, each by the key of its image. */
const erased = (
  { draws, epoch, normalised: { data, shape: [, channels, height, width] } }: Batches.ImageBatch,
  probability: number,
  keyOf: Stage.Keys
) => {
  if (probability === 0) return data
  const size = channels * height * width
  const changed = data.slice()
  draws.forEach((draw, place) => {
    const image = data.subarray(place * size, (place + 1) * size)
    const generator = KeyedRandom.generator(keyOf("erasing", draw, epoch))
    changed.set(RandomErasing.erase(image, { height, width }, probability, generator), place * size)
  })
  return changed
}

/** Applies Mixup or CutMix to the images and labels of a batch, if configured. Returns the images and the targets. */
const mixed = (
  { labelSmoothing: smoothing, mixup }: FinetuneConfig,
  { images, labels }: { readonly images: Float32Array; readonly labels: Int32Array },
  shape: readonly [batch: number, channels: number, height: number, width: number],
  classes: number,
  key: KeyedRandom.Key
) => {
  if (mixup === null) return { images, labels }
  const [, , height, width] = shape
  const mix = Mixup.draw(mixup, { height, width }, KeyedRandom.generator(key))
  return {
    images: Mixup.images({ data: images, shape }, mix),
    labels: Mixup.majority(labels, mix),
    targets: Mixup.targets(labels, mix, { classes, smoothing })
  }
}

/** Makes the batches of the steps: images and targets, after random erasing and mixing. */
const data = Effect.fnUntraced(function*(
  config: FinetuneConfig,
  set: ImageSet,
  specs: ReturnType<typeof stepOf>["batch"]
) {
  const { augment, erasing, optimizer: { accumulate, batchSize }, sampling, seed, vit } = config
  // Whatever the stage is called: whoever compares two starts shows them the same.
  const stage = "finetune"
  const { batch, recycle, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate,
    size: vit.imageSize,
    augment,
    sampling,
    policies: config
  })
  const keyOf = Stage.keys(stage, seed)
  const rates = Schedule.dropPathRates(vit.dropPath, vit.depth)
  const size = Dim.named("batch", batchSize)
  const classes = Dim.named("classes", set.classes.length)
  const { images: { shape } } = specs
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      recycle([views.unit.data])
      const whole = { images: erased(views, erasing, keyOf), labels: views.labels }
      const { images, labels, targets } = mixed(config, whole, shape, classes, keyOf("mixup", index))
      return {
        images: HostTensor.make(shape, "float32", images),
        labels: HostTensor.make([size], "int32", labels),
        ...(targets === undefined ? {} : { targets: HostTensor.make([size, classes], "float32", targets) }),
        hyper,
        ...(vit.dropPath > 0 ? { dropPath: DropPath.draw(rates, size, keyOf("dropPath", index)) } : {})
      }
    }),
    used: ({ images }: { readonly images: { readonly data: Float32Array } }) => recycle([images.data])
  }
})

/** Makes the state before the first step. Its parameters come from `tensors` if these have them. */
const initial = Effect.fnUntraced(function*(
  stage: string,
  config: FinetuneConfig,
  classes: number,
  start: Start.Start | undefined,
  tensors: Weights.Tensors | undefined
) {
  const { ema = null, optimizer, seed, vit } = config
  const spec = Classifier.spec(config, classes)
  const own = Weights.flatten(yield* InitialValues.draw(spec, seed))
  const grids = {
    grid: vit.grid,
    ...(start !== undefined && "config" in start ? { from: start.config.vit.grid } : {})
  }
  const loaded = tensors ? yield* Effect.fromResult(PretrainedWeights.load(own, tensors, grids, stage)) : own
  const logits = FinetuneStep.logits(Classifier.sizes(config, classes), optimizer.batchSize)
  const { parameters } = yield* Inference.loadWeights(logits, Inference.parameters(loaded))
  return AdamW.initial(parameters, spec, optimizer.accumulate, ema !== null)
})

/** Returns the row of a step in the log. */
const measure = ({ accuracy, gradientNorm, loss }: HostOf<FinetuneStep.Metrics>) => ({
  loss: HostTensor.item(loss),
  accuracy: HostTensor.item(accuracy),
  gradientNorm: HostTensor.item(gradientNorm)
})

/**
 * Trains a classifier from a backbone, from another classifier (intermediate fine-tuning), or from weights of others. Without
 * one, it starts from random weights. The head of a classifier for other classes is left out, with a message. If the
 * configuration asks for it, the run also keeps the moving average of the weights, as `STAGE-ema`.
 *
 * Fails with `ClassesError` if a label is not a class or all images belong to one class, with `ConfigError` if the
 * configuration contradicts that of the network that it starts from, with `WeightsError` if the weights do not fit, with
 * `TrainingError` if a step gives no finite loss, and as the engine, the images and the run fail.
 */
export const finetune = Effect.fn("patchword.finetune")(function*(
  given: typeof FinetuneConfig.Encoded,
  start: Start.Start | undefined,
  options: Stage.StageOptions = {}
) {
  const { split = "train", stage = "finetune" } = options
  const config = yield* Config.check(FinetuneConfig, stage)(given)
  const set = yield* (yield* Images).load(split)
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": set.length
  })
  const { classes } = set
  yield* Effect.fromResult(Classes.check(set))
  yield* Stage.requireConfig(stage, {
    "": [
      start !== undefined && options.continueFrom !== undefined,
      "expected one start, got a network to start from and a state to continue from"
    ]
  })
  if (start !== undefined) yield* Start.checkAgreement(stage, config, start)
  const begun = start && Start.tensorsOf(config, classes, start)
  const { message } = yield* Progress
  for (const line of begun?.said ?? []) yield* message(`${stage}: ${line}`)
  const step = stepOf(config, classes.length)
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: FinetuneConfig,
    config,
    dataDigest: `${set.digest} ${start === undefined ? "random" : Weights.digest(start.tensors)}`,
    holdout: set.holdout,
    model: Model.Classifier.make({ config, classes }),
    seed: config.seed,
    step,
    ...(yield* data(config, set, step.batch)),
    optimizer: config.optimizer,
    also: ({ ema }) => ema === undefined ? {} : { [EMA]: ema },
    initial: initial(stage, config, classes.length, start, begun?.tensors),
    measure
  })
  const kept = yield* (yield* Runs).weights(`${stage}-${EMA}`)
  const trained: Finetuned = {
    config,
    classes,
    tensors,
    ...(typeof config.ema === "number" && Option.isSome(kept)
      ? { averaged: { config, classes, tensors: kept.value.tensors } }
      : {})
  }
  return trained
}, Effect.scoped)
