/** Tokenizer training: learns a codebook of visual words (paper, section 2.2). */
import { Effect, Option, Schema } from "effect"
import * as Config from "../domain/config/Config.ts"
import * as Model from "../domain/config/Model.ts"
import { CodebookConfig, TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import * as Codebook from "../domain/method/Codebook.ts"
import * as WeightDecay from "../domain/method/WeightDecay.ts"
import { Engine } from "../layers/engine/Engine.ts"
import { Images } from "../layers/images/Images.ts"
import { Progress } from "../layers/run/Progress.ts"
import { Teacher } from "../layers/teacher/Teacher.ts"
import * as InitialValues from "../layers/weights/InitialValues.ts"
import type * as Parameter from "../nn/blocks/Parameter.ts"
import * as AdamW from "../nn/optimizer/AdamW.ts"
import type * as Quantizer from "../nn/tokenizer/Quantizer.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import type { HostOf } from "../shapes/Step.ts"
import * as Tree from "../shapes/Tree.ts"
import * as HealthWatch from "./doctor/HealthWatch.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as Batches from "./training/Batches.ts"
import type * as Continuation from "./training/Continuation.ts"
import * as GivenInCode from "./training/GivenInCode.ts"
import * as RankShare from "./training/RankShare.ts"
import * as SampleBatch from "./training/SampleBatch.ts"
import * as Stage from "./training/Stage.ts"
import * as Targets from "./training/Targets.ts"

/** Refuses settings that a tokenizer does not support. */
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

/** Returns the configuration as files hold it. It names a quantizer that is given in code. */
const configured = Effect.fnUntraced(function*(config: TokenizerConfig, given: Quantizer.Named | undefined) {
  const { codebook } = config
  const quantizer = given && { kind: "own", name: given.name } as const
  yield* Stage.requireConfig("tokenizer", {
    "codebook.quantizer": GivenInCode.problem(
      "quantizer",
      "trainTokenizer(config, { quantizer })",
      codebook.quantizer,
      quantizer
    ),
    ...(given && {
      "codebook.size": [
        codebook.size !== given.codes,
        `expected the ${given.codes} codes of the quantizer "${given.name}", got ${codebook.size}`
      ],
      "codebook.dim": [
        codebook.dim !== given.codeWidth,
        `expected the ${given.codeWidth} channels of the quantizer "${given.name}", got ${codebook.dim}`
      ],
      "codebook.kmeans": [
        codebook.kmeans && given.fit === undefined,
        `expected false, because the quantizer "${given.name}" has no fit to the first batch`
      ],
      "codebook.revival": [
        codebook.revival !== null,
        `expected null, because the quantizer "${given.name}" revives no code`
      ]
    })
  })
  return quantizer === undefined
    ? config
    : new TokenizerConfig({ ...config, codebook: new CodebookConfig({ ...codebook, quantizer }) })
})

const Quantizing = Schema.Struct({ codebook: Schema.Struct({ quantizer: CodebookConfig.fields.quantizer }) })

// The arrays of a codebook tell by their shapes whether they fit.
const codesOf = (quantizer: CodebookConfig["quantizer"]): string | undefined =>
  quantizer?.kind === "finiteScalar"
    ? `the levels ${quantizer.levels.join(", ")}`
    : quantizer?.kind === "own"
    ? `the quantizer "${quantizer.name}"`
    : undefined

/** Refuses a state with another meaning of its codes, if its arrays do not show the difference. */
const checkContinued = ({ codebook }: TokenizerConfig, from: Continuation.Continuation | undefined) => {
  const known = Option.getOrUndefined(Schema.decodeUnknownOption(Quantizing)(from?.config))
  const [before, now] = [codesOf(known?.codebook.quantizer), codesOf(codebook.quantizer)]
  return Stage.requireConfig("tokenizer", {
    "codebook.quantizer": [
      before !== undefined && now !== undefined && before !== now,
      `expected ${before} of the state that is continued, got ${now}: a code would stand for another vector`
    ]
  })
}

/** Makes the batches that a tokenizer is trained on, with their image set. Fails with `TooFewImages`. */
export const batches = Effect.fnUntraced(function*(
  config: TokenizerConfig,
  options: Pick<Stage.StageOptions, "split" | "stage"> = {}
) {
  const { augment, encoder, optimizer, sampling, seed } = config
  const { split = "train", stage = "tokenizer" } = options
  const set = yield* (yield* Images).load(split)
  const { accumulate, batchSize } = optimizer
  const size = encoder.imageSize
  const found = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    accumulate,
    size,
    augment,
    sampling,
    share: RankShare.contiguous
  })
  return { ...found, set }
})

/** Returns the row of a step in the log. */
const measure = (metrics: HostOf<TokenizerStep.Metrics<Tokenizer.Sizes, Quantizer.Parts>>) => {
  const { counts, gradientNorm, loss, reconstruction, ...losses } = metrics
  return {
    loss: HostTensor.item(loss),
    cosine: 1 - HostTensor.item(reconstruction),
    ...Stage.scalars(losses),
    gradientNorm: HostTensor.item(gradientNorm),
    usage: Codebook.usage(counts.data),
    perplexity: Codebook.perplexity(counts.data)
  }
}

const zero = HostTensor.scalar(0)

/** The columns of the log. A quantizer must not give one of these names to a loss. */
const columns = [
  ...Stage.columns,
  ...Object.keys(measure({
    loss: zero,
    reconstruction: zero,
    gradientNorm: zero,
    counts: HostTensor.zeros([Dim.named("codes", 1)], "float32")
  }))
]

/** Makes the step that trains a tokenizer. `images` is the batch size. */
export const stepOf = (
  config: TokenizerConfig,
  teacherWidth: number,
  quantizer: Quantizer.Named,
  images = config.optimizer.batchSize
) =>
  TokenizerStep.step(Tokenizer.sizes(config, teacherWidth), Dim.named("batch", images), {
    quantizer,
    adamw: AdamW.of(config.optimizer, WeightDecay.decays("tokenizer")),
    columns
  })

/** Returns the number of vectors that a step quantizes. */
const vectorsOf = ({ encoder, optimizer }: TokenizerConfig): number => optimizer.batchSize * encoder.patches

/** Makes the batches of the steps: images, and the teacher's features. */
const data = (
  stage: string,
  config: TokenizerConfig,
  quantizer: Quantizer.Named,
  { batch, recycle, set, stepsPerEpoch }: Effect.Success<ReturnType<typeof batches>>,
  specs: ReturnType<typeof stepOf>["batch"]
) => {
  const keyOf = Stage.keys(stage, config.seed)
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(index: number, hyper: HostOf<AdamW.Hyper>) {
      const views = yield* batch(index)
      recycle([views.normalised.data])
      const targets = yield* Targets.of(config, views, set)
      return {
        images: HostTensor.make(specs.images.shape, "float32", views.unit.data),
        targets: HostTensor.make(specs.targets.shape, "float32", targets.data),
        hyper,
        ...quantizer.draw?.((purpose) => keyOf(purpose, index), vectorsOf(config))
      }
    }),
    sample: ({ images }: { readonly images: Parameters<typeof SampleBatch.images>[0] }) => SampleBatch.images(images),
    used: ({ images }: { readonly images: { readonly data: Float32Array } }) => recycle([images.data])
  }
}

/** Encodes the first batch before the first step, for a quantizer that is initialised from it. */
const encoded = Effect.fnUntraced(function*(
  sizes: Tokenizer.Sizes,
  quantizer: Quantizer.Named,
  parameters: Parameter.ValuesOf<ReturnType<typeof parametersOf>>,
  begun: object,
  first: Batches.ImageBatch
) {
  const engine = yield* Engine
  const known = new Map(Tree.leaves<HostTensor.Any>(begun))
  const inference = TokenizerStep.encode(sizes, Dim.named("batch", first.indices.length), quantizer)
  const quantize = Tree.map<object>(
    inference.weights.quantize,
    ({ shape }, path) => known.get(path) ?? HostTensor.zeros(shape, "float32")
  )
  const encode = yield* engine.infer(inference, { parameters, quantize })
  return yield* encode.run({ images: HostTensor.make(inference.batch.images.shape, "float32", first.unit.data) })
}, Effect.scoped)

/** Initialises a quantizer from the vectors of the first batch. */
const fitted = Effect.fnUntraced(function*(
  sizes: Tokenizer.Sizes,
  quantizer: Quantizer.Named,
  fit: Quantizer.Fit<Tokenizer.Sizes["codeWidth"], Quantizer.Parts>,
  keyOf: Quantizer.KeyOf,
  { vectors }: Effect.Success<ReturnType<typeof encoded>>,
  first: Batches.ImageBatch
) {
  const start = fit.draw(keyOf, vectors.shape[0])
  const inference = TokenizerStep.fit(sizes, Dim.named("batch", first.indices.length), quantizer, start)
  const found = yield* (yield* (yield* Engine).infer(inference, {})).run({ vectors, ...start })
  yield* Tokenizer.checkMembers(quantizer, "fit", found, found)
  return found
}, Effect.scoped)

const parametersOf = (sizes: Tokenizer.Sizes, quantizer: Quantizer.Named) => TokenizerStep.spec(sizes, quantizer)

/**
 * Makes the state before the first step. `first` returns the first batch, for a quantizer that is initialised from it. If the
 * quantizer is given in code, the codes of that batch are checked.
 */
const initial = Effect.fnUntraced(function*<E, R>(
  stage: string,
  config: TokenizerConfig,
  quantizer: Quantizer.Named,
  sizes: Tokenizer.Sizes,
  first: Effect.Effect<Batches.ImageBatch, E, R>
) {
  const { optimizer, seed } = config
  const keys = Stage.keys(stage, seed)
  const keyOf: Quantizer.KeyOf = (purpose) => keys(purpose, 0)
  const spec = parametersOf(sizes, quantizer)
  const drawn = yield* InitialValues.draw(spec, seed)
  const { codes, fit, statistics, state } = quantizer
  const vectors = vectorsOf(config)
  if (fit !== undefined && codes > vectors) {
    const { message } = yield* Progress
    yield* message(
      `${stage}: ${codes} codes begin with the ${vectors} vectors of the first batch, so that some begin alike; a larger ` +
        "optimizer.batchSize gives each of them a vector of its own"
    )
  }
  const specs = { ...state, ...statistics }
  const moved = quantizer.initial?.(keyOf, vectors) ??
    Tree.map<object>(specs, ({ shape }) => HostTensor.zeros(shape, "float32"))
  if (quantizer.initial !== undefined) yield* Tokenizer.checkMembers(quantizer, "initial", specs, moved)
  const found = fit === undefined ? {} : yield* Effect.flatMap(first, (first) =>
    Effect.flatMap(
      encoded(sizes, quantizer, drawn, {}, first),
      (seen) => fitted(sizes, quantizer, fit, keyOf, seen, first)
    ))
  const better = new Map(Tree.leaves<HostTensor.Any>(found))
  const over = <T extends object>(values: T) => Tree.map<T>(values, (leaf, path) => better.get(path) ?? leaf)
  const parameters = { ...drawn, quantize: over(drawn.quantize) }
  const quantize = over(moved)
  if (config.codebook.quantizer?.kind === "own") {
    const seen = yield* encoded(sizes, quantizer, drawn, { ...parameters.quantize, ...quantize }, yield* first)
    yield* Tokenizer.checkCodes(quantizer, seen.codes.data)
  }
  return { ...AdamW.initial(parameters, spec, optimizer), quantize }
})

/** The options of tokenizer training in addition to its configuration. */
export interface TokenizerOptions extends Stage.StageOptions {
  /**
   * A quantizer of one's own. The configuration must name no quantizer, or this one. Files contain its name, and their readers
   * have to give it again.
   */
  readonly quantizer?: Quantizer.Named
}

/**
 * Trains a tokenizer on the features of the teacher of the environment.
 *
 * Fails with `ConfigError` for unsupported settings, for a teacher with other patches, for a quantizer that contradicts the
 * configuration, and for a quantizer whose codes are not those of the state that training continues from. Fails with
 * `QuantizerError` if a quantizer returns a code that is not one of its own or invalid initial values, with `TooFewImages`, with `TrainingError` if a
 * step cannot be taken, and as the engine, the images, the teacher and the run fail.
 */
export const trainTokenizer = Effect.fn("patchword.trainTokenizer")(function*(
  given: typeof TokenizerConfig.Encoded,
  options: TokenizerOptions = {}
) {
  const { continueFrom, quantizer: own, split = "train", stage = "tokenizer" } = options
  const checked = yield* Config.check(TokenizerConfig, stage)(given)
  yield* supported(checked)
  const config = yield* configured(checked, own)
  yield* checkContinued(config, continueFrom)
  const quantizer = yield* Effect.fromResult(Tokenizer.quantizer({ config, ...(own && { quantizer: own }) }))
  const { digest: teacherDigest, name: teacher, width: teacherWidth } = yield* Teacher
  const images = yield* batches(config, { stage, split })
  yield* Effect.annotateCurrentSpan({
    "patchword.stage": stage,
    "patchword.split": split,
    "patchword.images": images.set.length,
    "patchword.teacher": teacher
  })
  const step = stepOf(config, teacherWidth, quantizer)
  const look = HealthWatch.ofTokenizer(stage, config, config.optimizer.steps(images.stepsPerEpoch))
  const tensors = yield* Stage.train({
    ...options,
    stage,
    schema: TokenizerConfig,
    config,
    dataDigest: `${images.set.digest} ${teacherDigest}`,
    holdout: images.set.holdout,
    model: Model.Tokenizer.make({ config, teacherWidth }),
    isReplayable: own === undefined,
    teacher,
    teacherDigest,
    seed: config.seed,
    step,
    ...data(stage, config, quantizer, images, stepOf(config, teacherWidth, quantizer, images.rows.length).batch),
    optimizer: config.optimizer,
    initial: initial(stage, config, quantizer, Tokenizer.sizes(config, teacherWidth), images.whole(0)),
    measure,
    watch: ({ metrics: { counts, gradientNorm, reconstruction }, step }) =>
      look({
        step,
        counts: counts.data,
        cosine: 1 - HostTensor.item(reconstruction),
        gradientNorm: HostTensor.item(gradientNorm)
      }),
    trained: ({ parameters, quantize }) => ({ ...parameters, quantize: { ...parameters.quantize, ...quantize } })
  })
  const tokenizer: Tokenizer.Tokenizer = { config, teacherWidth, tensors, ...(own && { quantizer: own }) }
  return tokenizer
}, Effect.scoped)
