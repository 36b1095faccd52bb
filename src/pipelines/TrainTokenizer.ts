/** The first stage: learning a visual vocabulary (paper, section 2.2). */
import { Effect } from "effect"
import * as Model from "../domain/config/Model.ts"
import { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import * as Codebook from "../domain/method/Codebook.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Engine } from "../layers/engine/Engine.ts"
import { Images } from "../layers/images/Images.ts"
import { Teacher } from "../layers/teacher/Teacher.ts"
import * as Parameter from "../nn/blocks/Parameter.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Kmeans from "../nn/tokenizer/Kmeans.ts"
import * as Quantizer from "../nn/tokenizer/Quantizer.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Vqkd from "../nn/tokenizer/Vqkd.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import * as Stage from "./training/Stage.ts"
import * as Targets from "./training/Targets.ts"

/** Refuses what a tokenizer does not have. */
const supported = ({ encoder }: TokenizerConfig) =>
  Stage.requireConfig("tokenizer", {
    "encoder.absolutePositions": [!encoder.absolutePositions, "expected true: a tokenizer has absolute positions"],
    "encoder.relativePositions": [
      encoder.relativePositions !== "none",
      `expected "none", got "${encoder.relativePositions}": a tokenizer has absolute positions only`
    ],
    "encoder.layerScale": [encoder.layerScale !== 0, `expected 0, got ${encoder.layerScale}: a tokenizer has none`],
    "encoder.normEpsilon": [
      encoder.normEpsilon !== undefined,
      `expected none, got ${encoder.normEpsilon}: a tokenizer has the official 1e-6`
    ],
    "encoder.dropPath": [encoder.dropPath !== 0, `expected 0, got ${encoder.dropPath}: a tokenizer drops nothing`]
  })

/** Random vectors of length 1, row by row. */
const unit = (rows: number, width: number, draws: KeyedRandom.Generator): Float32Array => {
  const values = Float32Array.from({ length: rows * width }, () => draws.normal())
  for (let row = 0; row < rows; row++) {
    const vector = values.subarray(row * width, (row + 1) * width)
    const length = Math.hypot(...vector)
    vector.forEach((value, i) => (vector[i] = value / length))
  }
  return values
}

// Without replacement where there are enough vectors, as the official code draws them.
const startRows = (vectors: number, codes: number, key: KeyedRandom.Key): Int32Array => {
  if (vectors >= codes) return KeyedRandom.permutation(key, vectors).slice(0, codes)
  const { integer } = KeyedRandom.generator(key)
  return Int32Array.from({ length: codes }, () => integer(0, vectors - 1))
}

/** The batches that a tokenizer is trained on, and the set that they are of. Fails with `TooFewImages`. */
export const batches = Effect.fnUntraced(function*(
  config: TokenizerConfig,
  options: Pick<Stage.StageOptions, "split" | "stage"> = {}
) {
  const { augment, encoder, optimizer, sampling, seed } = config
  const { split = "train", stage = "tokenizer" } = options
  const set = yield* (yield* Images).load(split)
  const { accumulate, batchSize } = optimizer
  const size = encoder.imageSize
  const found = yield* Batches.training({ stage, set, seed, batchSize, accumulate, size, augment, sampling })
  return { ...found, set }
})

/** The step that trains a tokenizer; `images` are a batch. */
export const stepOf = (config: TokenizerConfig, teacherWidth: number, images = config.optimizer.batchSize) => {
  const { codebook, optimizer } = config
  return TokenizerStep.step(Tokenizer.sizes(config, teacherWidth), Dim.named("batch", images), {
    decay: codebook.decay,
    revival: codebook.revival,
    adamw: AdamW.of(optimizer, WeightDecay.decays("tokenizer"))
  })
}

/** What the steps are given: images, and what the teacher says of them. */
const data = (
  stage: string,
  config: TokenizerConfig,
  { batch, recycle, set, stepsPerEpoch }: Effect.Success<ReturnType<typeof batches>>,
  specs: ReturnType<typeof stepOf>["batch"]
) => {
  const { codebook: { revival, size }, encoder, optimizer: { batchSize }, seed } = config
  const keyOf = Stage.keys(stage, seed)
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      recycle([views.normalised.data])
      const targets = yield* Targets.of(config, views, set)
      const { integer } = KeyedRandom.generator(keyOf("revive", index))
      const last = batchSize * encoder.patches - 1
      return {
        images: HostTensor.make(specs.images.shape, "float32", views.unit.data),
        targets: HostTensor.make(specs.targets.shape, "float32", targets.data),
        hyper,
        ...(revival === null ? {} : {
          revive: HostTensor.make(
            [Dim.named("codes", size)],
            "int32",
            Int32Array.from({ length: size }, () => integer(0, last))
          )
        })
      }
    }),
    used: ({ images }: { readonly images: { readonly data: Float32Array } }) => recycle([images.data])
  }
}

/** The centres of the vectors that the untrained network gives the first batch. */
const kmeans = Effect.fnUntraced(function*(
  { codebook, optimizer }: TokenizerConfig,
  sizes: Tokenizer.Sizes,
  parameters: HostOf<Vqkd.VqkdParams<Tokenizer.Sizes>>,
  images: Float32Array,
  key: KeyedRandom.Key
) {
  const engine = yield* Engine
  const batchSize = Dim.named("batch", optimizer.batchSize)
  const vectors = Dim.mul(batchSize, sizes.patches)
  const inference = TokenizerStep.encode(sizes, batchSize)
  const encode = yield* engine.infer(inference, {
    parameters,
    codebook: HostTensor.zeros(inference.weights.codebook.shape, "float32")
  })
  const encoded = yield* encode.run({ images: HostTensor.make(inference.batch.images.shape, "float32", images) })
  const cluster = yield* engine.infer(Kmeans.inference(vectors, sizes.codes, sizes.codeWidth), {})
  const { means } = yield* cluster.run({
    vectors: encoded.vectors,
    start: HostTensor.make([sizes.codes], "int32", startRows(vectors, codebook.size, key))
  })
  return means
}, Effect.scoped)

/** The state before the first step, its codebook from the first batch or drawn; `first` gives that batch. */
const initial = Effect.fnUntraced(function*<E, R>(
  stage: string,
  config: TokenizerConfig,
  sizes: Tokenizer.Sizes,
  first: Effect.Effect<Batches.ImageBatch, E, R>
) {
  const { codebook, encoder, optimizer, seed } = config
  const keyOf = Stage.keys(stage, seed)
  const spec = Vqkd.spec(sizes)
  const parameters = Parameter.initialise(spec, seed)
  const weight = codebook.kmeans
    ? yield* kmeans(config, sizes, parameters, (yield* first).unit.data, keyOf("kmeans", 0))
    : HostTensor.make(
      [sizes.codes, sizes.codeWidth],
      "float32",
      unit(codebook.size, codebook.dim, KeyedRandom.generator(keyOf("codebook", 0)))
    )
  const vectors = optimizer.batchSize * encoder.patches
  // The published statistic starts from zero, and nothing depends on it; revival would find every code dead.
  const count = codebook.revival === null ? 0 : Quantizer.freshCount({ ...codebook, ...codebook.revival, vectors })
  return {
    ...AdamW.initial(parameters, spec, optimizer.accumulate),
    quantize: {
      embedding: { weight },
      cluster_size: HostTensor.make([sizes.codes], "float32", new Float32Array(codebook.size).fill(count))
    }
  }
})

/** A step's row in the log. */
const measure = (
  { commitment, counts, gradientNorm, loss, reconstruction }: HostOf<TokenizerStep.Metrics<Tokenizer.Sizes>>
) => ({
  loss: HostTensor.item(loss),
  cosine: 1 - HostTensor.item(reconstruction),
  commitment: HostTensor.item(commitment),
  gradientNorm: HostTensor.item(gradientNorm),
  usage: Codebook.usage(counts.data),
  perplexity: Codebook.perplexity(counts.data)
})

/**
 * Trains a tokenizer on the features of the teacher in the environment.
 *
 * Fails with `ConfigError` for what a tokenizer does not have and for a teacher with other patches, with `TooFewImages`, with
 * `TrainingError` when a step gives no finite loss, and as the engine, the images, the teacher and the run fail.
 */
export const trainTokenizer = Effect.fn("trainTokenizer")(function*(
  config: TokenizerConfig,
  options: Stage.StageOptions = {}
) {
  const { split = "train", stage = "tokenizer" } = options
  yield* supported(config)
  const { digest: teacherDigest, name: teacher, width: teacherWidth } = yield* Teacher
  const images = yield* batches(config, { stage, split })
  const step = stepOf(config, teacherWidth)
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: TokenizerConfig,
    config,
    dataDigest: `${images.set.digest} ${teacherDigest}`,
    model: Model.Tokenizer.make({ config, teacherWidth }),
    teacher,
    teacherDigest,
    seed: config.seed,
    step,
    ...data(stage, config, images, step.batch),
    optimizer: config.optimizer,
    initial: initial(stage, config, Tokenizer.sizes(config, teacherWidth), images.batch(0)),
    measure,
    trained: ({ parameters, quantize }) => ({ ...parameters, quantize })
  })
  const tokenizer: Tokenizer.Tokenizer = { config, teacherWidth, tensors }
  return tokenizer
}, Effect.scoped)
