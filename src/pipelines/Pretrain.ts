/** Pretraining by masked image modelling: predicts the codes of masked patches (paper, sections 2.3 and 2.4). */
import { Effect, Option } from "effect"
import * as Config from "../domain/config/Config.ts"
import * as Model from "../domain/config/Model.ts"
import { PretrainConfig } from "../domain/config/PretrainConfig.ts"
import type { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import type { Mask } from "../domain/method/Mask.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as Grid from "../domain/values/Grid.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import { Progress } from "../layers/run/Progress.ts"
import { Runs } from "../layers/run/Runs.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as PretrainStep from "../nn/pretrain/PretrainStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import * as HealthWatch from "./doctor/HealthWatch.ts"
import * as Backbone from "./trained/Backbone.ts"
import type * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import * as Encoder from "./training/Encoder.ts"
import * as Masking from "./training/Masking.ts"
import * as RankShare from "./training/RankShare.ts"
import * as SampleBatch from "./training/SampleBatch.ts"
import * as Stage from "./training/Stage.ts"

/** Makes the step that pretrains a network to predict `codes` codes. `images` is the batch size. */
export const stepOf = (config: PretrainConfig, codes: number, images = config.optimizer.batchSize) => {
  const { mask, optimizer, vit } = config
  const masked = Dim.named("masked", images * mask.count)
  const batch = { size: Dim.named("batch", images), masked, dropPath: vit.dropPath > 0 }
  return PretrainStep.step(Backbone.sizes(config, codes), batch, AdamW.of(optimizer, WeightDecay.decays("pretrain")))
}

/** Refuses a tokenizer with another grid of patches. */
export const checkGrid = (stage: string, { vit }: PretrainConfig, { encoder }: TokenizerConfig) =>
  Stage.requireConfig(stage, {
    "vit.imageSize": [
      !Grid.equal(encoder.grid, vit.grid),
      `expected as many patches as the tokenizer's ${encoder.imageSize} pixels in patches of ${encoder.patchSize} make, got ${vit.imageSize} in ${vit.patchSize}`
    ]
  })

/** Returns the drop-path rates of the network's blocks, followed by those of the aggregation head's blocks. */
const dropPathRates = ({ aggregation, vit }: PretrainConfig) => [
  ...Schedule.dropPathRates(vit.dropPath, vit.depth),
  ...(aggregation === null
    ? []
    : Schedule.aggregationDropPathRates(vit.dropPath, vit.depth, aggregation.earlyLayer, aggregation.headDepth))
]

/** Makes the batches of the steps: images, masks, and the tokenizer's codes of the same crops. */
const data = Effect.fnUntraced(function*(
  stage: string,
  config: PretrainConfig,
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet,
  drawn: Mask
) {
  const { augment, masking, optimizer: { accumulate, batchSize }, sampling, seed, vit } = config
  // Both see the same pictures.
  yield* Batches.checkColours(set, tokenizer.config.augment, "the tokenizer")
  const { batch, recycle, rows: own, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate,
    size: vit.imageSize,
    secondSize: tokenizer.config.encoder.imageSize,
    augment,
    sampling,
    share: RankShare.contiguous
  })
  const { batch: specs } = stepOf(config, tokenizer.config.codebook.size, own.length)
  const codesOf = yield* Encoder.open(tokenizer, set, own.length)
  const keyOf = Stage.keys(stage, seed)
  const rates = dropPathRates(config)
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      const { mask, rows } = yield* Effect.fromResult(
        Masking.draw(drawn, masking, views.draws.map((draw) => keyOf("mask", draw, views.epoch)))
      )
      const codes = yield* codesOf(views)
      recycle([views.unit.data])
      return {
        images: HostTensor.make(specs.images.shape, "float32", views.normalised.data),
        mask: HostTensor.make(specs.mask.shape, "bool", mask),
        rows: HostTensor.make(specs.rows.shape, "int32", rows),
        labels: HostTensor.make(specs.labels.shape, "int32", rows.map((row) => codes[row]!)),
        hyper,
        ...(vit.dropPath > 0
          ? {
            dropPath: RankShare.pick(DropPath.draw(rates, Dim.named("batch", batchSize), keyOf("dropPath", index)), own)
          }
          : {})
      }
    }),
    sample: (batch: Masked) => ({
      ...SampleBatch.images(batch.images, augment),
      ...SampleBatch.masked(batch, vit.grid)
    }),
    used: ({ images }: { readonly images: { readonly data: Float32Array } }) => recycle([images.data])
  }
})

/** The part of a batch that a sample is made of. */
type Masked =
  & { readonly images: Parameters<typeof SampleBatch.images>[0] }
  & Parameters<typeof SampleBatch.masked>[0]

/** Makes the state before the first step. */
const initial = Effect.fnUntraced(function*(config: PretrainConfig, codes: number) {
  const spec = Backbone.spec(config, codes)
  return AdamW.initial(yield* InitialValues.draw(spec, config.seed), spec, config.optimizer)
})

/** Returns the row of a step in the log. */
const measure = ({ accuracy_1, accuracy_2, gradientNorm, loss, loss_1, loss_2 }: HostOf<PretrainStep.Metrics>) => ({
  loss: HostTensor.item(loss),
  loss_1: HostTensor.item(loss_1),
  accuracy_1: HostTensor.item(accuracy_1),
  ...(loss_2 === undefined ? {} : { loss_2: HostTensor.item(loss_2) }),
  ...(accuracy_2 === undefined ? {} : { accuracy_2: HostTensor.item(accuracy_2) }),
  gradientNorm: HostTensor.item(gradientNorm)
})

/** Says that the run has another tokenizer than the given one: what is measured of both does not fit together. */
const tellOther = Effect.fnUntraced(function*(stage: string, given: string) {
  // A tokenizer that cannot be read is no reason to stop: it is not used.
  const held = yield* Effect.orElseSucceed((yield* Runs).weights("tokenizer"), Option.none)
  if (Option.isNone(held)) return
  const own = yield* Weights.digest(held.value.tensors)
  if (own === given) return
  yield* (yield* Progress).message(
    `${stage}: the tokenizer that was given is not the one of the run (SHA-256 ${
      given.slice(0, 12)
    }; that of the run is ${own.slice(0, 12)})`
  )
})

/** The options of pretraining in addition to its configuration. */
export interface PretrainOptions extends Stage.StageOptions {
  /** A mask generator of one's own. The configuration must name no mask pattern, or this one. Files contain its name. */
  readonly mask?: Mask
}

/**
 * Pretrains a network on the codes that a tokenizer gives to the same crops.
 *
 * Fails with `ConfigError` if tokenizer and network have different grids, or if the configuration names another mask than the
 * given one or one that is not given. Fails with `MaskError` if the mask does not fit its options, with `TooFewImages`, with
 * `TrainingError` if a step gives no finite loss, and as the engine, the images and the run fail.
 */
export const pretrain = Effect.fn("patchword.pretrain")(function*(
  given: typeof PretrainConfig.Encoded,
  tokenizer: Tokenizer.Tokenizer,
  options: PretrainOptions = {}
) {
  const { mask: own, split = "train", stage = "pretrain" } = options
  const { config, mask } = yield* Masking.of(yield* Config.check(PretrainConfig, stage)(given), own)
  yield* checkGrid(stage, config, tokenizer.config)
  const set = yield* (yield* Images).load(split)
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": set.length
  })
  const codes = tokenizer.config.codebook.size
  const step = stepOf(config, codes)
  const teacherDigest = yield* Weights.digest(tokenizer.tensors)
  yield* tellOther(stage, teacherDigest)
  const batches = yield* data(stage, config, tokenizer, set, mask)
  const look = HealthWatch.ofBackbone(stage, config, codes, config.optimizer.steps(batches.stepsPerEpoch))
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: PretrainConfig,
    config,
    dataDigest: `${set.digest} ${teacherDigest}`,
    holdout: set.holdout,
    model: Model.Backbone.make({ config, codes }),
    isReplayable: true,
    teacher: "tokenizer",
    teacherDigest,
    seed: config.seed,
    step,
    ...batches,
    optimizer: config.optimizer,
    initial: initial(config, codes),
    measure,
    watch: ({ batch: { labels }, metrics: { accuracy_1, loss_1 }, step }) =>
      look({ step, labels: labels.data, loss: HostTensor.item(loss_1), accuracy: HostTensor.item(accuracy_1) })
  })
  const backbone: Backbone.Backbone = { config, codes, tensors, ...(own && { mask: own }) }
  return backbone
}, Effect.scoped)
