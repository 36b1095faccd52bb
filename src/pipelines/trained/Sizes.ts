/** From configurations, whose sizes are plain numbers, to named dimensions: the edge at which networks become typed. */
import type { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import type { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import * as Vit from "../../nn/blocks/Vit.ts"
import * as Dim from "../../shapes/Dim.ts"

const common = (config: VitConfig) => ({
  ...Vit.dims({
    image: Dim.named("image", config.imageSize),
    patch: Dim.named("patch", config.patchSize),
    width: Dim.named("width", config.width),
    heads: Dim.named("heads", config.heads)
  }),
  hidden: Dim.named("hidden", config.hidden),
  depth: config.depth,
  qkvBias: config.qkvBias
})

const positioned = (config: VitConfig) => ({
  ...common(config),
  relativeRows: Dim.named("relativeRows", RelativePosition.rows(config.grid)),
  absolutePositions: config.absolutePositions,
  relativePositions: config.relativePositions,
  layerScale: config.layerScale,
  epsilon: config.normEpsilon
})

/** The sizes of a tokenizer for a teacher of some width. */
export const tokenizer = (config: TokenizerConfig, teacherWidth: number) => ({
  ...common(config.encoder),
  decoderDepth: config.decoderDepth,
  codes: Dim.named("codes", config.codebook.size),
  codeWidth: Dim.named("codeWidth", config.codebook.dim),
  teacherWidth: Dim.named("teacherWidth", teacherWidth)
})

/** The sizes of a network that predicts some number of codes. */
export const backbone = (config: PretrainConfig, codes: number) => ({
  ...positioned(config.vit),
  codes: Dim.named("codes", codes),
  initStd: config.initStd,
  aggregation: config.aggregation
})

/** The sizes of a classifier over some number of classes. */
export const classifier = (config: FinetuneConfig, classes: number) => ({
  ...positioned(config.vit),
  pooling: config.vit.pooling,
  headScale: config.headScale,
  classes: Dim.named("classes", classes)
})
