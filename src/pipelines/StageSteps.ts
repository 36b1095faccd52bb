/** The steps that the stages of a preset train with, by their batch sizes. */
import { Effect, Schema } from "effect"
import type * as Config from "../domain/config/Config.ts"
import type { OptimizerConfig } from "../domain/config/OptimizerConfig.ts"
import type { Preset } from "../domain/config/Preset.ts"
import * as TokenizerStep from "../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../shapes/Dim.ts"
import type { Inference, TrainStep } from "../shapes/Step.ts"
import * as Finetune from "./Finetune.ts"
import * as Pretrain from "./Pretrain.ts"
import * as Segment from "./Segment.ts"
import * as Tokenizer from "./trained/Tokenizer.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** The stages that train. */
export const StageName = Schema.Literals(["tokenizer", "pretrain", "finetune", "segment"])
export type StageName = typeof StageName.Type

/** The stages that any images can be planned for. */
export const COMMON = ["tokenizer", "pretrain", "finetune"] as const satisfies ReadonlyArray<StageName>

/** Returns the optimizer of a stage. Fails with `ConfigError` if the preset has no settings of the stage. */
export const optimizerOf = (preset: Preset, stage: StageName): Effect.Effect<OptimizerConfig, Config.ConfigError> =>
  stage === "segment"
    ? Effect.map(Segment.settingsOf(preset), Segment.optimizerOf)
    : Effect.succeed(preset[stage].optimizer)

/** Returns the key of a stage's batch size in the configuration. */
export const batchKey = (stage: StageName): string =>
  stage === "segment" ? "segmentation.batchSize" : `${stage}.optimizer.batchSize`

/** Takes the step of a stage, and the inference that computes a part of its batch. */
export type Visitor<A> = <S extends { readonly parameters: object }, B, M, W, I, O>(
  stage: StageName,
  optimizer: OptimizerConfig,
  stepOf: (images: number) => TrainStep<S, B, M>,
  before: (images: number) => Inference<W, I, O> | undefined
) => A

/** Facts about the data and the teacher. */
export interface Sizes {
  readonly classes: number
  /** Number of the classes of pixels; default 1. The stage `segment` needs it. */
  readonly pixelClasses?: number
  readonly teacherWidth: number
}

const none = () => undefined

/**
 * Passes each of these stages to a visitor. Fails with `ConfigError` if the preset's quantizer is not known, or it
 * has no settings of a stage.
 */
export const visit = Effect.fnUntraced(function*<A, E, R>(
  preset: Preset,
  sizes: Sizes,
  stages: ReadonlyArray<StageName>,
  visitor: Visitor<Effect.Effect<A, E, R>>
) {
  const { classes, pixelClasses = 1, teacherWidth } = sizes
  const codes = preset.tokenizer.codebook.size
  const vocabulary = Tokenizer.sizes(preset.tokenizer, teacherWidth)
  const quantizer = yield* Effect.fromResult(Tokenizer.quantizer({ config: preset.tokenizer }))
  const visits = {
    tokenizer: () =>
      visitor(
        "tokenizer",
        preset.tokenizer.optimizer,
        (batch) => TrainTokenizer.stepOf(preset.tokenizer, teacherWidth, quantizer, batch),
        none
      ),
    pretrain: () =>
      visitor(
        "pretrain",
        preset.pretrain.optimizer,
        (batch) => Pretrain.stepOf(preset.pretrain, codes, batch),
        (batch) => TokenizerStep.encode(vocabulary, Dim.named("batch", batch), quantizer)
      ),
    finetune: () =>
      visitor(
        "finetune",
        preset.finetune.optimizer,
        (batch) => Finetune.stepOf(preset.finetune, classes, batch),
        none
      ),
    segment: () =>
      Effect.flatMap(Segment.settingsOf(preset), (config) =>
        visitor(
          "segment",
          Segment.optimizerOf(config),
          (batch) => Segment.stepOf(config, pixelClasses, batch),
          none
        ))
  }
  return yield* Effect.forEach(stages, (stage): Effect.Effect<A, E | Config.ConfigError, R> => visits[stage]())
})
