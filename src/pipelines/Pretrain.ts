/** The second stage: predicting the visual words behind masks (paper, sections 2.3 and 2.4). */
import { Effect } from "effect"
import * as Model from "../domain/config/Model.ts"
import { PretrainConfig } from "../domain/config/PretrainConfig.ts"
import * as Schedule from "../domain/method/Schedule.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as Grid from "../domain/values/Grid.ts"
import type * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Images } from "../layers/images/Images.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DropPath from "../nn/blocks/DropPath.ts"
import * as Parameter from "../nn/blocks/Parameter.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Mim from "../nn/pretrain/Mim.ts"
import * as PretrainStep from "../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Backbone from "./trained/Backbone.ts"
import * as Inference from "./trained/Inference.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import * as Masking from "./training/Masking.ts"
import * as Outputs from "./training/Outputs.ts"
import * as Stage from "./training/Stage.ts"
import * as Training from "./training/Training.ts"

/** The step that pretrains a network to predict some number of codes; `images` are a batch. */
export const stepOf = (config: PretrainConfig, codes: number, images = config.optimizer.batchSize) => {
  const { mask, optimizer, vit } = config
  const masked = Dim.named("masked", images * mask.count)
  const batch = { size: Dim.named("batch", images), masked, dropPath: vit.dropPath > 0 }
  return PretrainStep.step(Backbone.sizes(config, codes), batch, AdamW.of(optimizer, WeightDecay.decays("pretrain")))
}

/**
 * Pretrains a network on the codes that a tokenizer gives the same crops.
 *
 * Fails with `ConfigError` when tokenizer and network see different grids, with `TooFewImages`, with `TrainingError` when a
 * step gives no finite loss, and as the engine, the images and the run fail.
 */
export const pretrain = Effect.fn("pretrain")(function*(
  config: PretrainConfig,
  tokenizer: Tokenizer.Tokenizer,
  options: Stage.StageOptions = {}
) {
  const { checkpointEvery = 100, split = "train", stage = "pretrain" } = options
  const { aggregation, mask, optimizer, seed, vit } = config
  const { encoder } = tokenizer.config
  yield* Stage.requireConfig(stage, {
    "vit.imageSize": [
      !Grid.equal(encoder.grid, vit.grid),
      `expected as many patches as the tokenizer's ${encoder.imageSize} pixels in patches of ${encoder.patchSize} make, got ${vit.imageSize} in ${vit.patchSize}`
    ]
  })
  const set = yield* (yield* Images).load(split)
  // Both see the same pictures.
  yield* Batches.checkColours(set, tokenizer.config.augment, "the tokenizer")
  const codes = tokenizer.config.codebook.size
  const sizes = Backbone.sizes(config, codes)
  const batchSize = Dim.named("batch", optimizer.batchSize)
  const masked = Dim.named("masked", optimizer.batchSize * mask.count)
  const { batch, recycle, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate: optimizer.accumulate,
    size: vit.imageSize,
    secondSize: encoder.imageSize,
    augment: config.augment,
    sampling: config.sampling
  })
  const rates = [
    ...Schedule.dropPathRates(vit.dropPath, vit.depth),
    ...(aggregation === null
      ? []
      : Schedule.aggregationDropPathRates(vit.dropPath, vit.depth, aggregation.earlyLayer, aggregation.headDepth))
  ]
  const dropPath = vit.dropPath > 0
  const step = stepOf(config, codes)
  const encode = TokenizerStep.encode(Tokenizer.sizes(tokenizer.config, tokenizer.teacherWidth), batchSize)
  const encoderHandle = yield* Inference.open(encode, Tokenizer.weights(tokenizer))
  const key = (purpose: string, epoch: number, index: number): KeyedRandom.Key => ({
    seed,
    purpose: `${stage}/${purpose}`,
    epoch,
    index
  })

  const { total } = optimizer.steps(stepsPerEpoch)
  const rate = optimizer.learningRate(stepsPerEpoch)
  const plain = Stage.toJson(PretrainConfig, config)
  const teacherDigest = Stage.digest(tokenizer.tensors)
  const dataDigest = `${set.digest} ${teacherDigest}`
  const tensors = yield* Stage.unlessFinished(
    {
      stage,
      config: plain,
      dataDigest,
      seed,
      step: total,
      model: Model.Backbone.make({ config, codes }),
      teacher: "tokenizer",
      teacherDigest
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
      initial: Effect.sync(() => {
        const spec = Mim.spec(sizes)
        return AdamW.initial(Parameter.initialise(spec, seed), spec, optimizer.accumulate)
      }),
      batch: Effect.fnUntraced(function*(index) {
        const { draws, epoch, indices, normalised, unit } = yield* batch(index)
        const hidden = Masking.draw(config.masking, draws.map((draw) => key("mask", epoch, draw)))
        const found = yield* encoderHandle.run({
          images: HostTensor.make(encode.batch.images.shape, "float32", unit.data)
        })
        recycle([unit.data])
        yield* Outputs.checkFinite("vectors before their codes", found.vectors.data, {
          rows: batchSize,
          valid: batchSize,
          describe: (row) => set.describe(indices[row]!)
        })
        return {
          images: HostTensor.make(step.batch.images.shape, "float32", normalised.data),
          mask: HostTensor.make(step.batch.mask.shape, "bool", hidden.mask),
          rows: HostTensor.make([masked], "int32", hidden.rows),
          labels: HostTensor.make([masked], "int32", hidden.rows.map((row) => found.codes.data[row]!)),
          hyper: AdamW.hyper(index, rate(index), optimizer),
          ...(dropPath ? { dropPath: DropPath.draw(rates, batchSize, key("dropPath", 0, index)) } : {})
        }
      }),
      used: ({ images }) => recycle([images.data]),
      measure: ({ accuracy_1, accuracy_2, gradientNorm, loss, loss_1, loss_2 }) => ({
        loss: HostTensor.item(loss),
        loss_1: HostTensor.item(loss_1),
        accuracy_1: HostTensor.item(accuracy_1),
        ...(loss_2 === undefined ? {} : { loss_2: HostTensor.item(loss_2) }),
        ...(accuracy_2 === undefined ? {} : { accuracy_2: HostTensor.item(accuracy_2) }),
        gradientNorm: HostTensor.item(gradientNorm)
      })
    }).pipe(
      Effect.map(({ computedOn, state: { parameters } }) => ({ tensors: Weights.flatten(parameters), computedOn }))
    )
  )
  const backbone: Backbone.Backbone = { config, codes, tensors }
  return backbone
}, Effect.scoped)
