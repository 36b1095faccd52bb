/** Fine-tuning: trains a classifier from a pretrained network, with all of its weights (`run_class_finetuning.py`). */
import { Effect, Option, Schema } from "effect"
import * as Config from "../domain/config/Config.ts"
import { FinetuneConfig } from "../domain/config/FinetuneConfig.ts"
import * as Model from "../domain/config/Model.ts"
import * as Classes from "../domain/evaluation/Classes.ts"
import * as LayerDecay from "../domain/method/LayerDecay.ts"
import * as Mixup from "../domain/method/Mixup.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as RandomErasing from "../domain/pixels/RandomErasing.ts"
import type * as Json from "../domain/values/Json.ts"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import * as Pauses from "../layers/machine/Pauses.ts"
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
import { examineClassifier } from "./evaluate/Classify.ts"
import * as Classifier from "./trained/Classifier.ts"
import * as Inference from "./trained/Inference.ts"
import * as Batches from "./training/Batches.ts"
import * as RankShare from "./training/RankShare.ts"
import * as SampleBatch from "./training/SampleBatch.ts"
import * as Stage from "./training/Stage.ts"
import * as Start from "./training/Start.ts"

/** The ending of the name under which a run keeps the averaged network: `finetune-ema`. */
export const EMA = "ema"

/** The ending of the name under which a run keeps the network that was best on the validation images: `finetune-best`. */
export const BEST = "best"

/**
 * A trained classifier. `averaged` is the moving average of its weights, if the configuration asks for one (`ema`). `best` is the
 * network that was best on the validation images, if there are any.
 */
export interface Finetuned extends Classifier.Classifier {
  readonly averaged?: Classifier.Classifier
  readonly best?: Classifier.Classifier & { readonly step: number }
}

/** The options of fine-tuning in addition to its configuration. */
export interface FinetuneOptions extends Stage.StageOptions {
  /**
   * The split that chooses the best network, by its top-1 accuracy after each epoch (`evaluateEvery`). By default, nothing is
   * evaluated during training.
   */
  readonly validation?: string | undefined
  /** The allowed differences between the classes of both splits; default `same`. */
  readonly classes?: Classes.Rule
}

/** Lists the networks that a run keeps beside a trained classifier, with their names there. */
export const beside = (
  stage: string,
  { averaged, best }: Finetuned
): ReadonlyArray<readonly [name: string, classifier: Classifier.Classifier]> =>
  ([[EMA, averaged], [BEST, best]] as const).flatMap(([ending, network]) =>
    network === undefined ? [] : [[`${stage}-${ending}`, network] as const]
  )

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
const erased = Effect.fnUntraced(function*(
  { draws, epoch, normalised: { data, shape: [, channels, height, width] } }: Batches.ImageBatch,
  probability: number,
  keyOf: Stage.Keys
) {
  if (probability === 0) return data
  const size = channels * height * width
  const changed = data.slice()
  for (const [place, draw] of draws.entries()) {
    yield* Pauses.pause
    const image = data.subarray(place * size, (place + 1) * size)
    const generator = KeyedRandom.generator(keyOf("erasing", draw, epoch))
    changed.set(RandomErasing.erase(image, { height, width }, probability, generator), place * size)
  }
  return changed
})

/** Applies Mixup or CutMix to the images and labels of a batch, if configured. Returns the images and the targets. */
const mixed = Effect.fnUntraced(function*(
  { labelSmoothing: smoothing, mixup }: FinetuneConfig,
  { images, labels }: { readonly images: Float32Array; readonly labels: Int32Array },
  shape: readonly [batch: number, channels: number, height: number, width: number],
  classes: number,
  key: KeyedRandom.Key
) {
  if (mixup === null) return { images, labels }
  const [, , height, width] = shape
  const mix = Mixup.draw(mixup, { height, width }, KeyedRandom.generator(key))
  return {
    images: yield* Pauses.during(Mixup.mixing({ data: images, shape }, mix)),
    labels: Mixup.majority(labels, mix),
    targets: Mixup.targets(labels, mix, { classes, smoothing })
  }
})

/** Makes the batches of the steps: images and targets, after random erasing and mixing. */
const data = Effect.fnUntraced(function*(
  config: FinetuneConfig,
  set: ImageSet
) {
  const { augment, erasing, optimizer: { accumulate, batchSize }, sampling, seed, vit } = config
  // Whatever the stage is called: whoever compares two starts shows them the same.
  const stage = "finetune"
  const { batch, recycle, rows, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate,
    size: vit.imageSize,
    augment,
    sampling,
    share: RankShare.mirrored,
    policies: config
  })
  const keyOf = Stage.keys(stage, seed)
  const rates = Schedule.dropPathRates(vit.dropPath, vit.depth)
  const size = Dim.named("batch", rows.length)
  const classes = Dim.named("classes", set.classes.length)
  const { images: { shape } } = stepOf(config, classes, size).batch
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      recycle([views.unit.data])
      const whole = { images: yield* erased(views, erasing, keyOf), labels: views.labels }
      const { images, labels, targets } = yield* mixed(config, whole, shape, classes, keyOf("mixup", index))
      return {
        images: HostTensor.make(shape, "float32", images),
        labels: HostTensor.make([size], "int32", labels),
        ...(targets === undefined ? {} : { targets: HostTensor.make([size, classes], "float32", targets) }),
        hyper,
        ...(vit.dropPath > 0
          ? {
            dropPath: RankShare.pick(
              DropPath.draw(rates, Dim.named("batch", batchSize), keyOf("dropPath", index)),
              rows
            )
          }
          : {})
      }
    }),
    sample: ({ images }: { readonly images: Parameters<typeof SampleBatch.images>[0] }) =>
      SampleBatch.images(images, augment),
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
  return AdamW.initial(parameters, spec, { ...optimizer, ema })
})

/** The side from which on the official code evaluates whole images (`crop_pct`). */
const WHOLE_FROM = 384

/** Says so if large images are cropped for evaluation, unlike in the official code. */
const croppedLate = ({ augment: { evaluationCrop }, vit: { imageSize } }: FinetuneConfig): ReadonlyArray<string> =>
  imageSize < WHOLE_FROM || evaluationCrop === 1 ? [] : [
    `evaluation crops ${evaluationCrop} of each image. From ${WHOLE_FROM} pixels on, the official code takes the whole image: ` +
    "set augment.evaluationCrop to 1"
  ]

/** Returns the row of a step in the log. */
const measure = ({ accuracy, gradientNorm, loss }: HostOf<FinetuneStep.Metrics>) => ({
  loss: HostTensor.item(loss),
  accuracy: HostTensor.item(accuracy),
  gradientNorm: HostTensor.item(gradientNorm)
})

/** The best network so far. */
const Best = Schema.Struct({
  /** The steps after which it was evaluated. */
  step: Schema.Int,
  /** Its ending in the run, if it is the moving average. */
  network: Schema.optionalKey(Schema.Literal(EMA)),
  top1: Schema.Finite
})

/**
 * Evaluates the trained network, and the moving average of its weights, on a set. It selects the first of the networks with the
 * highest top-1 accuracy: a later one must be better.
 */
const choosing = Effect.fnUntraced(function*(
  stage: string,
  config: FinetuneConfig,
  classes: ReadonlyArray<string>,
  set: ImageSet,
  rule: Classes.Rule,
  stepsPerEpoch: number
) {
  const { message } = yield* Progress
  const { weights } = yield* Runs
  const every = (config.evaluateEvery ?? 1) * stepsPerEpoch
  const { total } = config.optimizer.steps(stepsPerEpoch)
  const examine = Effect.fnUntraced(function*(tensors: Weights.Tensors) {
    const [examined] = yield* examineClassifier({ config, classes, tensors }, [set], rule)
    return { top1: examined!.figure.top1, loss: examined!.report.loss }
  })
  let compared = false
  /**
   * Returns the best network so far. A process that was killed may have kept one of a later step than its last checkpoint. On
   * another engine, that step need not come again. So the network that is there is evaluated, and is the best so far.
   */
  const formerOf = Effect.fnUntraced(function*(before: Json.Json | undefined) {
    const known = Option.getOrUndefined(Schema.decodeUnknownOption(Best)(before))
    if (compared) return known
    compared = true
    const kept = Option.getOrUndefined(yield* weights(`${stage}-${BEST}`))
    const step = kept && Option.getOrUndefined(kept.provenance)?.step
    if (kept === undefined || step === undefined || step === known?.step) return known
    const { top1 } = yield* examine(kept.tensors)
    yield* message(
      `${stage}: the run keeps a network of step ${step}, which is after its last checkpoint; it is evaluated again`
    )
    const found: typeof Best.Type = { step, top1 }
    return found
  })
  return {
    at: (steps: number) => steps % every === 0 || steps === total,
    measure: Effect.fnUntraced(function*(
      { ema, parameters }: { readonly parameters: object; readonly ema?: object },
      step: number,
      before: Json.Json | undefined
    ) {
      const former = yield* formerOf(before)
      const plain = yield* examine(Weights.flatten(parameters))
      const averaged = ema && (yield* examine(Weights.flatten(ema)))
      const candidates = [
        { parameters, best: { step, top1: plain.top1 } },
        ...(averaged ? [{ parameters: ema!, best: { step, network: EMA, top1: averaged.top1 } as const }] : [])
      ]
      const [first, second] = candidates
      const chosen = second !== undefined && second.best.top1 > first!.best.top1 ? second : first!
      const again = chosen.best.step === former?.step && chosen.best.top1 === former.top1
      const better = former === undefined || chosen.best.top1 > former.top1 || again
      const percent = (share: number) => `${(100 * share).toFixed(1)} %`
      yield* message(
        `${stage}: top-1 on ${set.name} after step ${step}: ${percent(plain.top1)}` +
          (averaged ? `, ${percent(averaged.top1)} with averaged weights` : "") +
          (better ? "; the best so far" : `; the best is ${percent(former.top1)} after step ${former.step}`)
      )
      return {
        row: {
          ...plain,
          ...(averaged ? { averagedTop1: averaged.top1, averagedLoss: averaged.loss } : {})
        },
        value: Schema.encodeSync(Best)(better ? chosen.best : former),
        ...(better ? { keep: { [BEST]: chosen.parameters } } : {})
      }
    })
  }
})

/**
 * Trains a classifier from a backbone, from another classifier (intermediate fine-tuning), or from weights of others. Without
 * one, it starts from random weights. The head of a classifier for other classes is left out, with a message. If the
 * configuration asks for it, the run also keeps the moving average of the weights, as `STAGE-ema`. With `validation`, it keeps the
 * network of the epoch with the highest top-1 accuracy, as `STAGE-best`. What was best so far is part of the checkpoints.
 *
 * Fails with `ClassesError` if a label is not a class or all images belong to one class, with `ConfigError` if the
 * configuration contradicts that of the network that it starts from, with `WeightsError` if the weights do not fit, with
 * `TrainingError` if a step gives no finite loss, and as the engine, the images and the run fail.
 */
export const finetune = Effect.fn("patchword.finetune")(function*(
  given: typeof FinetuneConfig.Encoded,
  start: Start.Start | undefined,
  options: FinetuneOptions = {}
) {
  const { classes: rule = "same", split = "train", stage = "finetune", validation } = options
  const config = yield* Config.check(FinetuneConfig, stage)(given)
  const { load } = yield* Images
  const set = yield* load(split)
  const chooser = validation === undefined ? undefined : yield* load(validation)
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": set.length
  })
  const { classes, synsets } = set
  const known = { classes, ...(synsets === undefined ? {} : { synsets }) }
  yield* Effect.fromResult(Classes.meetAll(set, chooser === undefined ? [] : [chooser], rule))
  yield* Stage.requireConfig(stage, {
    "": [
      start !== undefined && options.continueFrom !== undefined,
      "expected one start, got a network to start from and a state to continue from"
    ]
  })
  if (start !== undefined) yield* Start.checkAgreement(stage, config, start)
  const begun = start && Start.tensorsOf(config, classes, start)
  const { message } = yield* Progress
  for (const line of [...begun?.said ?? [], ...croppedLate(config)]) yield* message(`${stage}: ${line}`)
  const step = stepOf(config, classes.length)
  const made = yield* data(config, set)
  const evaluation = chooser && (yield* choosing(stage, config, classes, chooser, rule, made.stepsPerEpoch))
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: FinetuneConfig,
    config,
    dataDigest: [
      set.digest,
      start === undefined ? "random" : yield* Weights.digest(start.tensors),
      ...(chooser === undefined ? [] : [chooser.digest])
    ].join(" "),
    holdout: set.holdout,
    model: Model.Classifier.make({ config, ...known }),
    isReplayable: true,
    seed: config.seed,
    step,
    ...made,
    evaluation,
    optimizer: config.optimizer,
    also: ({ ema }) => ema === undefined ? {} : { [EMA]: ema },
    initial: initial(stage, config, classes.length, start, begun?.tensors),
    measure
  })
  const { weights } = yield* Runs
  const kept = (ending: string) => Effect.map(weights(`${stage}-${ending}`), Option.getOrUndefined)
  const averaged = typeof config.ema === "number" ? yield* kept(EMA) : undefined
  const best = chooser === undefined ? undefined : yield* kept(BEST)
  const trained: Finetuned = {
    config,
    ...known,
    tensors,
    ...(averaged === undefined ? {} : { averaged: { config, ...known, tensors: averaged.tensors } }),
    ...(best === undefined ? {} : {
      best: {
        config,
        ...known,
        tensors: best.tensors,
        step: Option.match(best.provenance, { onNone: () => 0, onSome: ({ step }) => step })
      }
    })
  }
  return trained
}, Effect.scoped)
