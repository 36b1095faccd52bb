/** Training of a pixel decoder: it learns to draw images from the codes of a tokenizer, which stays as it is. */
import { Effect } from "effect"
import * as Config from "../domain/config/Config.ts"
import { DecoderConfig } from "../domain/config/DecoderConfig.ts"
import * as Model from "../domain/config/Model.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import * as Weights from "../layers/weights/Weights.ts"
import * as DecoderStep from "../nn/decoder/DecoderStep.ts"
import * as Perception from "../nn/decoder/Perception.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import * as CodeVectors from "./trained/CodeVectors.ts"
import * as Decoder from "./trained/Decoder.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import * as Encoder from "./training/Encoder.ts"
import * as RankShare from "./training/RankShare.ts"
import * as Stage from "./training/Stage.ts"

/** The state of training, without the types of its many shapes: the compiler would take long to compare them. */
interface State extends AdamW.State<object> {
  readonly frozen: object
  readonly baseline: object
}

/** The batch of a step. */
interface Batch {
  readonly images: Tensor<[number, 3, number, number]>
  readonly codes: Tensor<[number], "int32">
  readonly hyper: AdamW.Hyper
}

type Step = TrainStep<State, Batch, DecoderStep.Metrics>

/** Makes the step that trains a decoder for the codes of a tokenizer. `images` is the batch size. */
export const stepOf = (
  described: Decoder.Described,
  tokenizer: Tokenizer.Configured & Pick<Tokenizer.Tokenizer, "teacherWidth">,
  images = described.config.optimizer.batchSize
): Step => {
  const { augment: { mean, std }, optimizer, perceptual: factor } = described.config
  const batch = Dim.named("batch", images)
  const step: unknown = DecoderStep.step<typeof batch, Decoder.Sizes>(Decoder.sizes(described), batch, {
    adamw: AdamW.of(optimizer, WeightDecay.decays("decoder")),
    channels: { mean, std },
    ...(factor > 0 && {
      perceptual: {
        factor,
        perception: Perception.ofTokenizer<typeof batch, Tokenizer.Sizes>(
          Tokenizer.sizes(tokenizer.config, tokenizer.teacherWidth)
        )
      }
    })
  })
  return step as Step
}

/** Makes the batches of the steps: images, and the tokenizer's codes of the same crops. */
const data = Effect.fnUntraced(function*(
  stage: string,
  config: DecoderConfig,
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet,
  specsOf: (images: number) => Step["batch"]
) {
  const { augment, optimizer: { accumulate, batchSize }, sampling, seed } = config
  // Both see the same pictures.
  yield* Batches.checkColours(set, tokenizer.config.augment, "the tokenizer")
  const { batch, recycle, rows, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate,
    size: tokenizer.config.encoder.imageSize,
    augment,
    sampling,
    share: RankShare.contiguous
  })
  const specs = specsOf(rows.length)
  const codesOf = yield* Encoder.open(tokenizer, set, rows.length)
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      recycle([views.normalised.data])
      const codes = yield* codesOf(views)
      return {
        images: HostTensor.make(specs.images.shape, "float32", views.unit.data),
        codes: HostTensor.make(specs.codes.shape, "int32", codes),
        hyper
      }
    }),
    used: ({ images }: { readonly images: { readonly data: Float32Array } }) => recycle([images.data])
  }
})

/** Makes the state before the first step. The frozen weights are copies, because an engine takes over the arrays of a state. */
const initial = Effect.fnUntraced(function*(
  described: Decoder.Described,
  codebook: HostTensor.HostTensor,
  tensors: Weights.Tensors,
  step: Step
) {
  const { optimizer, seed } = described.config
  const spec = Decoder.spec(described)
  const own = new Map<string, HostTensor.Any>([["codebook", codebook]])
  for (const [name, tensor] of Object.entries(tensors)) {
    own.set(`perception.${name}`, { ...tensor, data: tensor.data.slice() } as HostTensor.Any)
  }
  const frozen = Tree.map<object>(step.state.frozen, (_, path) => own.get(path))
  const baseline = Tree.map<object>(step.state.baseline, ({ shape }) => HostTensor.zeros(shape, "float32"))
  const begun: HostOf<State> = {
    ...AdamW.initial(yield* InitialValues.draw(spec, seed), spec, optimizer),
    frozen,
    baseline
  }
  return begun
})

/** Returns the row of a step in the log. */
const measure = ({ gradientNorm, loss, perceptual, pixels }: HostOf<DecoderStep.Metrics>) => ({
  loss: HostTensor.item(loss),
  pixels: HostTensor.item(pixels),
  ...(perceptual === undefined ? {} : { perceptual: HostTensor.item(perceptual) }),
  gradientNorm: HostTensor.item(gradientNorm)
})

/** So many codes have a mean patch each, at most. */
const MOST_CODES = 65_536

/**
 * Trains a pixel decoder on the codes that a tokenizer gives to the same crops.
 *
 * Fails with `ConfigError` if the tokenizer's quantizer was given in code or has too many codes, with `TooFewImages`, with
 * `OtherColours`, with `TrainingError` if a step gives no finite loss, and as the engine, the images and the run fail.
 */
export const trainDecoder = Effect.fn("patchword.trainDecoder")(function*(
  given: typeof DecoderConfig.Encoded,
  tokenizer: Tokenizer.Tokenizer,
  options: Stage.StageOptions = {}
) {
  const { split = "train", stage = "decoder" } = options
  const config = yield* Config.check(DecoderConfig, stage)(given)
  const described = Decoder.describe(config, tokenizer, yield* Weights.digest(tokenizer.tensors))
  yield* Stage.requireConfig(stage, {
    "tokenizer.codebook.size": [
      described.codes > MOST_CODES,
      `expected at most ${MOST_CODES} codes, whose mean patches are kept, got ${described.codes}`
    ]
  })
  const codebook = yield* CodeVectors.of(stage, tokenizer)
  const set = yield* (yield* Images).load(split)
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": set.length
  })
  const step = stepOf(described, tokenizer)
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: Decoder.Described,
    config: described,
    dataDigest: `${set.digest} ${described.tokenizer}`,
    holdout: set.holdout,
    model: Decoder.NAME,
    isReplayable: true,
    teacherModel: Model.Tokenizer.make({ config: tokenizer.config, teacherWidth: tokenizer.teacherWidth }),
    teacher: "tokenizer",
    teacherDigest: described.tokenizer,
    seed: config.seed,
    step,
    ...(yield* data(stage, config, tokenizer, set, (rows) => stepOf(described, tokenizer, rows).batch)),
    optimizer: config.optimizer,
    initial: initial(described, codebook, tokenizer.tensors, step),
    measure,
    trained: ({ baseline, frozen, parameters }) => ({
      ...parameters as object,
      codebook: Object.fromEntries(Tree.leaves<HostTensor.Any>(frozen))["codebook"],
      baseline
    })
  })
  const decoder: Decoder.Decoder = { ...described, tensors }
  return decoder
}, Effect.scoped)
