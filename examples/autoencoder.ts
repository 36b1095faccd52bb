/** Rebuilds the codes of emoji from few numbers, half a minute: `npm run example examples/autoencoder.ts`. */
import { Console, Effect, Layer, Schema } from "effect"
import { KeyedRandom, OptimizerConfig, Preset, Presets, Quantity } from "patchword/domain"
import { Engine, Images, type ImageSet, Runs, Teacher, Weights } from "patchword/layers"
import { AdamW, Parameter } from "patchword/nn"
import { encode, Stage, type Tokenizer, trainTokenizer } from "patchword/pipelines"
import {
  Activation,
  Arrange,
  Codes,
  Dim,
  Gradient,
  HostTensor,
  Linear,
  Loss,
  type Step,
  Tensor
} from "patchword/shapes"

/** An autoencoder and its training. */
export class AutoencoderConfig extends Schema.Class<AutoencoderConfig>("AutoencoderConfig")({
  seed: Schema.Int,
  /** Channels of a code. */
  width: Quantity.Size,
  /** Numbers that are left of an image. */
  narrow: Quantity.Size,
  optimizer: OptimizerConfig.OptimizerConfig
}) {}

type Size<Name extends string> = Dim.Dim<Name>

interface Params {
  readonly table: Tensor.Tensor<[Size<"codes">, Size<"width">]>
  readonly down: Linear.LinearParams<Size<"patches*width">, Size<"narrow">>
  readonly up: Linear.LinearParams<Size<"narrow">, Size<"patches*width">>
}

interface Batch {
  readonly codes: Tensor.Tensor<[Size<"batch">, Size<"patches">], "int32">
  readonly hyper: AdamW.Hyper
}

interface Metrics {
  readonly loss: Tensor.Tensor<[]>
  readonly accuracy: Tensor.Tensor<[]>
  readonly gradientNorm: Tensor.Tensor<[]>
}

const sizesOf = (config: AutoencoderConfig, { config: { codebook, encoder } }: Tokenizer.Tokenizer) => {
  const [batch, patches] = [Dim.named("batch", config.optimizer.batchSize), Dim.named("patches", encoder.patches)]
  const [codes, width] = [Dim.named("codes", codebook.size), Dim.named("width", config.width)]
  return { batch, patches, codes, width, narrow: Dim.named("narrow", config.narrow), flat: Dim.mul(patches, width) }
}
type Sizes = ReturnType<typeof sizesOf>

const specOf = ({ codes, flat, narrow, width }: Sizes) => ({
  table: Parameter.normal([codes, width], Parameter.finetuning, 10),
  down: { weight: Parameter.byFanIn([narrow, flat], flat), bias: Parameter.zeros([narrow]) },
  up: { weight: Parameter.byFanIn([flat, narrow], narrow), bias: Parameter.zeros([flat]) }
})

/** Codes to vectors, all vectors of an image to few numbers, and the way back to codes. */
const stepOf = (
  config: AutoencoderConfig,
  sizes: Sizes
): Step.TrainStep<AdamW.State<Params>, Batch, Metrics> => {
  const { batch, flat, patches, width } = sizes
  const adamw = AdamW.of(config.optimizer, (_, rank) => rank > 1)
  const rows = Dim.mul(batch, patches)
  return {
    name: "autoencoder",
    state: AdamW.stateSpec(specOf(sizes), adamw),
    batch: { codes: { shape: [batch, patches], dtype: "int32" }, hyper: AdamW.hyperSpec(adamw) },
    run: (state, { codes, hyper }) => {
      const { aux, gradients, loss } = Gradient.valueAndGradient(({ down, table, up }: Params) => {
        const seen = Arrange.reshape(Codes.lookup(table, codes), [batch, flat])
        const rebuilt = Linear.linear(Activation.gelu(Linear.linear(seen, down)), up)
        const logits = Linear.project(Arrange.reshape(rebuilt, [rows, width]), table)
        const labels = Arrange.reshape(codes, [rows])
        return { loss: Loss.crossEntropy(logits, labels), aux: { accuracy: Loss.accuracy(logits, labels) } }
      }, state.parameters)
      const { norm, state: next } = AdamW.update(state, gradients, hyper, adamw, loss)
      return { metrics: { loss, ...aux, gradientNorm: norm }, state: next }
    }
  }
}

/** The codes of all images of a set, one image after the other. */
const codesOf = Effect.fn("codesOf")(function*(tokenizer: Tokenizer.Tokenizer, set: ImageSet.ImageSet) {
  const { patches } = tokenizer.config.encoder
  const all = new Int32Array(set.length * patches)
  yield* encode(
    tokenizer,
    set,
    (images) => Effect.sync(() => images.forEach(({ codes, index }) => all.set(codes, index * patches)))
  )
  return all
})

/** Learns to rebuild the codes that a tokenizer gives to the images of a set. */
export const autoencoder = Effect.fn("autoencoder")(function*(
  config: AutoencoderConfig,
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet.ImageSet,
  options: Stage.StageOptions = {}
) {
  const { optimizer, seed } = config
  const sizes = sizesOf(config, tokenizer)
  const { batch, patches } = sizes
  const all = yield* codesOf(tokenizer, set)
  const keyOf = Stage.keys("autoencoder", seed)
  return yield* Stage.train({
    stage: "autoencoder",
    ...options,
    model: "Autoencoder",
    config,
    schema: AutoencoderConfig,
    dataDigest: `${set.digest} ${yield* Weights.digest(tokenizer.tensors)}`,
    seed,
    optimizer,
    stepsPerEpoch: Math.ceil(set.length / batch),
    step: stepOf(config, sizes),
    initial: Effect.sync(() => {
      const spec = specOf(sizes)
      return AdamW.initial(Parameter.initialise(spec, seed), spec, optimizer)
    }),
    batch: (step, hyper) =>
      Effect.sync(() => {
        const { integer } = KeyedRandom.generator(keyOf("images", step))
        const codes = new Int32Array(batch * patches)
        for (let row = 0; row < batch; row++) {
          const image = integer(0, set.length - 1)
          codes.set(all.subarray(image * patches, (image + 1) * patches), row * patches)
        }
        return { codes: HostTensor.make([batch, patches], "int32", codes), hyper }
      })
  })
})

/** Halves the learning rate after a step that is not finite, three times at most. */
export const steadily = (config: AutoencoderConfig, tokenizer: Tokenizer.Tokenizer, set: ImageSet.ImageSet) =>
  Stage.retryNonFinite({ stage: "autoencoder", times: 3 }, (attempt, options) => {
    const lr = config.optimizer.lr / 2 ** attempt
    const optimizer = new OptimizerConfig.OptimizerConfig({ ...config.optimizer, lr })
    return autoencoder({ ...config, optimizer }, tokenizer, set, { ...options, checkpointEvery: 2 })
  })

const short = { optimizer: { duration: 15, warmup: 2 } }

/** The tokenizer, the autoencoder of its codes, and how many codes it rebuilt in the last step. */
export const emoji = Effect.gen(function*() {
  const preset = yield* Preset.with(Presets.tiny, { tokenizer: short })
  const { optimizer } = preset.tokenizer
  const set = yield* (yield* Images.Images).load("train")
  const tokenizer = yield* trainTokenizer(preset.tokenizer)
  yield* autoencoder(new AutoencoderConfig({ seed: 0, width: 16, narrow: 32, optimizer }), tokenizer, set)
  const last = (yield* (yield* Runs.Runs).readLog).at(-1)
  yield* Console.log(`step ${last?.step}: ${JSON.stringify(last)}`)
}).pipe(
  Effect.provide(
    Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer("runs/autoencoder", { config: { preset: "tiny", short } })
    ).pipe(Layer.provideMerge(Images.layerEmoji()))
  )
)

if (import.meta.main) await Effect.runPromise(emoji)
