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
import * as Weights from "../layers/weights/Weights.ts"
import * as Parameter from "../nn/blocks/Parameter.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import * as Kmeans from "../nn/tokenizer/Kmeans.ts"
import * as Quantizer from "../nn/tokenizer/Quantizer.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Vqkd from "../nn/tokenizer/Vqkd.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import * as Stage from "./training/Stage.ts"
import * as Targets from "./training/Targets.ts"
import * as Training from "./training/Training.ts"

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

/**
 * Trains a tokenizer on the features of the teacher in the environment.
 *
 * Fails with `ConfigError` for what a tokenizer does not have and for a teacher with other patches, with `TooFewImages`, with `TrainingError` when a step gives
 * no finite loss, and as the engine, the images, the teacher and the run fail.
 */
export const trainTokenizer = Effect.fn("trainTokenizer")(function*(
  config: TokenizerConfig,
  options: Stage.StageOptions = {}
) {
  const { checkpointEvery = 100, split = "train", stage = "tokenizer" } = options
  yield* supported(config)
  const engine = yield* Engine
  const teacher = yield* Teacher
  const { codebook, optimizer, seed } = config
  const sizes = Tokenizer.sizes(config, teacher.width)
  const batchSize = Dim.named("batch", optimizer.batchSize)
  const { batch, recycle, set, stepsPerEpoch } = yield* batches(config, { stage, split })
  const step = stepOf(config, teacher.width)
  const vectors = Dim.mul(batchSize, sizes.patches)
  const key = (purpose: string, index: number): KeyedRandom.Key => ({
    seed,
    purpose: `${stage}/${purpose}`,
    epoch: 0,
    index
  })

  const images = (values: Float32Array) => HostTensor.make(step.batch.images.shape, "float32", values)

  const kmeans = Effect.fnUntraced(function*(parameters: Parameter.ValuesOf<ReturnType<typeof parametersSpec>>) {
    const first = yield* batch(0)
    const encode = yield* engine.infer(TokenizerStep.encode(sizes, batchSize), {
      parameters,
      codebook: HostTensor.zeros(step.state.quantize.embedding.weight.shape, "float32")
    })
    const encoded = yield* encode.run({ images: images(first.unit.data) })
    const cluster = yield* engine.infer(Kmeans.inference(vectors, sizes.codes, sizes.codeWidth), {})
    return yield* cluster.run({
      vectors: encoded.vectors,
      start: HostTensor.make([sizes.codes], "int32", startRows(vectors, sizes.codes, key("kmeans", 0)))
    })
  }, Effect.scoped)

  const parametersSpec = () => Vqkd.spec(sizes)

  const initial = Effect.gen(function*() {
    const parameters = Parameter.initialise(parametersSpec(), seed)
    const shape = step.state.quantize.embedding.weight.shape
    const means = codebook.kmeans
      ? (yield* kmeans(parameters)).means
      : HostTensor.make(
        shape,
        "float32",
        unit(codebook.size, codebook.dim, KeyedRandom.generator(key("codebook", 0)))
      )
    return {
      ...AdamW.initial(parameters, parametersSpec(), optimizer.accumulate),
      quantize: {
        embedding: { weight: means },
        // The published statistic starts from zero, and nothing depends on it; revival would find every code dead.
        cluster_size: HostTensor.make(
          [sizes.codes],
          "float32",
          new Float32Array(codebook.size).fill(
            codebook.revival === null ? 0 : Quantizer.freshCount({ ...codebook, ...codebook.revival, vectors })
          )
        )
      }
    }
  })

  const { total } = optimizer.steps(stepsPerEpoch)
  const rate = optimizer.learningRate(stepsPerEpoch)
  const plain = Stage.toJson(TokenizerConfig, config)
  const dataDigest = `${set.digest} ${teacher.digest}`
  const tensors = yield* Stage.unlessFinished(
    {
      stage,
      config: plain,
      dataDigest,
      seed,
      step: total,
      model: Model.Tokenizer.make({ config, teacherWidth: teacher.width }),
      teacher: teacher.name,
      teacherDigest: teacher.digest
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
        const found = yield* batch(index)
        recycle([found.normalised.data])
        const targets = yield* Targets.of(config, found, set)
        const { integer } = KeyedRandom.generator(key("revive", index))
        return {
          images: images(found.unit.data),
          targets: HostTensor.make(step.batch.targets.shape, "float32", targets.data),
          hyper: AdamW.hyper(index, rate(index), optimizer),
          ...(codebook.revival === null ? {} : {
            revive: HostTensor.make(
              [sizes.codes],
              "int32",
              Int32Array.from({ length: sizes.codes }, () => integer(0, vectors - 1))
            )
          })
        }
      }),
      used: (taken) => recycle([taken.images.data]),
      measure: ({ commitment, counts, gradientNorm, loss, reconstruction }) => ({
        loss: HostTensor.item(loss),
        cosine: 1 - HostTensor.item(reconstruction),
        commitment: HostTensor.item(commitment),
        gradientNorm: HostTensor.item(gradientNorm),
        usage: Codebook.usage(counts.data),
        perplexity: Codebook.perplexity(counts.data)
      })
    }).pipe(Effect.map(({ computedOn, state: { parameters, quantize } }) => ({
      tensors: Weights.flatten({ ...parameters, quantize }),
      computedOn
    })))
  )
  const tokenizer: Tokenizer.Tokenizer = { config, teacherWidth: teacher.width, tensors }
  return tokenizer
}, Effect.scoped)
