/** The training steps that benchmarks run: those of a preset, with random weights and data. */
import { Result } from "effect"
import { OptimizerConfig } from "../src/domain/config/OptimizerConfig.ts"
import { Preset } from "../src/domain/config/Preset.ts"
import { base } from "../src/domain/config/presets/Presets.ts"
import { MaskConfig, PretrainConfig } from "../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../src/domain/config/VitConfig.ts"
import * as Mask from "../src/domain/method/Mask.ts"
import * as WeightDecay from "../src/domain/method/WeightDecay.ts"
import * as Weights from "../src/layers/weights/Weights.ts"
import * as Parameter from "../src/nn/blocks/Parameter.ts"
import * as VitInference from "../src/nn/blocks/VitInference.ts"
import * as AdamW from "../src/nn/optimizer/AdamW.ts"
import * as Mim from "../src/nn/pretrain/Mim.ts"
import * as PretrainStep from "../src/nn/pretrain/PretrainStep.ts"
import * as MovingAverage from "../src/nn/tokenizer/MovingAverage.ts"
import * as TokenizerStep from "../src/nn/tokenizer/TokenizerStep.ts"
import * as Backbone from "../src/pipelines/trained/Backbone.ts"
import * as Tokenizer from "../src/pipelines/trained/Tokenizer.ts"
import * as Masking from "../src/pipelines/training/Masking.ts"
import * as Dim from "../src/shapes/Dim.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import type { Shape } from "../src/shapes/Shape.ts"

/** The width of CLIP's features. */
export const TEACHER_WIDTH = 512

/** The sizes of {@link small}. */
export const smallVit = { imageSize: 64, patchSize: 8, width: 192, heads: 3, depth: 4 }

/** A network between the demo's and the published ones: 64 pixels, width 192, depth 4, the published codebook. */
export const small = new Preset({
  ...base,
  tokenizer: new TokenizerConfig({
    ...base.tokenizer,
    encoder: new VitConfig({ ...base.tokenizer.encoder, ...smallVit })
  }),
  pretrain: new PretrainConfig({
    ...base.pretrain,
    vit: new VitConfig({ ...base.pretrain.vit, ...smallVit }),
    mask: new MaskConfig({ ...base.pretrain.mask, count: 26, minBlock: 6 }),
    aggregation: { earlyLayer: 3, headDepth: 2, sharedHead: true }
  })
})

/** A preset with networks of another depth, whose early layer stays where it is in proportion. */
export const ofDepth = (preset: Preset, depth: number): Preset => {
  const { pretrain, tokenizer } = preset
  const early = pretrain.aggregation
  const earlyLayer = early === null ? 0 : Math.round(early.earlyLayer * depth / pretrain.vit.depth)
  return new Preset({
    ...preset,
    tokenizer: new TokenizerConfig({ ...tokenizer, encoder: new VitConfig({ ...tokenizer.encoder, depth }) }),
    pretrain: new PretrainConfig({
      ...pretrain,
      vit: new VitConfig({ ...pretrain.vit, depth }),
      aggregation: early === null ? null : { ...early, earlyLayer }
    })
  })
}

/** A preset that takes several steps for one update. */
export const accumulating = (preset: Preset, accumulate: number): Preset => {
  const { pretrain, tokenizer } = preset
  const optimizer = (of: OptimizerConfig) => new OptimizerConfig({ ...of, accumulate })
  return new Preset({
    ...preset,
    tokenizer: new TokenizerConfig({ ...tokenizer, optimizer: optimizer(tokenizer.optimizer) }),
    pretrain: new PretrainConfig({ ...pretrain, optimizer: optimizer(pretrain.optimizer) })
  })
}

const waves = <S extends Shape>(shape: S): HostTensor.HostTensor<S, "float32"> => ({
  shape,
  dtype: "float32",
  data: Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => Math.sin(i))
})

const random = <T extends object>(spec: T, accumulate: number | undefined) =>
  AdamW.initial(Parameter.initialise(spec, 0), spec, { accumulate })

const quantizerOf = ({ tokenizer: { codebook } }: Preset, sizes: Tokenizer.Sizes) =>
  MovingAverage.make({ ...codebook, ...sizes, decay: codebook.decay!, revival: null })

/** A preset's tokenizer step at a batch size, its first state, and one batch. */
export const tokenizing = (preset: Preset, size: number) => {
  const { optimizer } = preset.tokenizer
  const sizes = Tokenizer.sizes(preset.tokenizer, TEACHER_WIDTH)
  const step = TokenizerStep.step(sizes, Dim.named("batch", size), {
    quantizer: quantizerOf(preset, sizes),
    adamw: AdamW.of(optimizer, WeightDecay.decays("tokenizer"))
  })
  const state = () => ({
    ...random(TokenizerStep.spec(sizes, quantizerOf(preset, sizes)), optimizer.accumulate),
    quantize: {
      embedding: { weight: waves(step.state.quantize.embedding.weight.shape) },
      cluster_size: HostTensor.zeros([sizes.codes], "float32")
    }
  })
  const batch = {
    images: waves(step.batch.images.shape),
    targets: waves(step.batch.targets.shape),
    hyper: AdamW.hyper(0, optimizer.lr, optimizer)
  }
  return { step, state, batch }
}

/** A preset's pretraining step at a batch size, its first state, and one batch. */
export const pretraining = (preset: Preset, batchSize: number) => {
  const { mask, masking, optimizer } = preset.pretrain
  const codes = preset.tokenizer.codebook.size
  const sizes = Backbone.sizes(preset.pretrain, codes)
  const masked = Dim.named("masked", batchSize * mask.count)
  const step = PretrainStep.step(
    sizes,
    { size: Dim.named("batch", batchSize), masked, dropPath: false },
    AdamW.of(optimizer, WeightDecay.decays("pretrain"))
  )
  const state = () => random(Mim.spec(sizes), optimizer.accumulate)
  const keys = Array.from({ length: batchSize }, (_, index) => ({ seed: 0, purpose: "mask", epoch: 0, index }))
  const hidden = Result.getOrThrow(Masking.draw(Mask.blockwise, masking, keys))
  const batch = {
    images: waves(step.batch.images.shape),
    mask: HostTensor.make(step.batch.mask.shape, "bool", hidden.mask),
    rows: HostTensor.make([masked], "int32", hidden.rows),
    labels: HostTensor.make([masked], "int32", hidden.rows.map((row) => row % codes)),
    hyper: AdamW.hyper(0, optimizer.lr, optimizer)
  }
  return { step, state, batch }
}

/** A preset's tokenizer that turns images to codes, random weights, and one batch. */
export const encoding = (preset: Preset, size: number) => {
  const { state } = tokenizing(preset, size)
  const sizes = Tokenizer.sizes(preset.tokenizer, TEACHER_WIDTH)
  const inference = TokenizerStep.encode(sizes, Dim.named("batch", size), quantizerOf(preset, sizes))
  const weights = () => {
    const { parameters, quantize: { embedding } } = state()
    return { parameters, quantize: { embedding } }
  }
  return { inference, weights, batch: { images: waves(inference.batch.images.shape) } }
}

/** A preset's backbone that turns images to mean patch tokens, random weights, and one batch. */
export const describing = (preset: Preset, size: number) => {
  const sizes = Backbone.sizes(preset.pretrain, preset.tokenizer.codebook.size)
  const inference = VitInference.features(PretrainStep.model(sizes), Dim.named("batch", size), {
    pooling: "mean",
    finalNorm: true
  })
  const weights = () => ({ parameters: Parameter.initialise(Mim.spec(sizes), 0) })
  return { inference, weights, batch: { images: waves(inference.batch.images.shape) } }
}

/** A preset's tokenizer with random weights and codes. */
export const untrainedTokenizer = (
  { tokenizer: config }: Preset,
  width: number = TEACHER_WIDTH
): Tokenizer.Tokenizer => {
  const { dim, size } = config.codebook
  const weight = Parameter.normal([size, dim], { ...Parameter.finetuning, deviation: 1 })
  return {
    config,
    teacherWidth: Dim.named("teacherWidth", width),
    tensors: Weights.flatten(Parameter.initialise({
      ...Tokenizer.spec(Tokenizer.sizes(config, width), { parameters: {}, state: {} }),
      quantize: { embedding: { weight } }
    }, 0))
  }
}
