/**
 * An encoder that was not pretrained as a backbone, as the start of a classifier: that of a tokenizer, or a teacher (paper,
 * table 6).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { OtherEncoder } from "patchword/pipelines"
 *
 * const { finetune, tokenizer } = Presets.tiny
 * const config = Effect.runSync(OtherEncoder.configOf(finetune, OtherEncoder.settingsOf(tokenizer)))
 * assert.deepStrictEqual([config.vit.absolutePositions, config.vit.relativePositions], [true, "none"])
 * ```
 */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import type { Channels } from "../../domain/pixels/Normalize.ts"
import type * as TeacherEncoder from "../../layers/teacher/TeacherEncoder.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import type * as Tokenizer from "../trained/Tokenizer.ts"

type Key = Exclude<keyof typeof VitConfig.Encoded, "imageSize" | "pooling" | "dropPath">

/** The settings of an encoder that a classifier takes from it. The others are those of the fine-tuning. */
export type Settings = Pick<VitConfig, Key>

/** The encoder, its settings, and its arrays under the official names of classifiers. */
export interface OtherEncoder {
  /** The path of its file, or the name of its network. */
  readonly source: string
  readonly encoder: Omit<
    VitConfig,
    "imageSize" | "pooling" | "dropPath" | "grid" | "patches" | "tokens" | "headWidth" | "hidden"
  >
  /** Mean and standard deviation of its input channels. */
  readonly channels: Channels
  readonly tensors: Weights.Tensors
}

const ENCODER = "encoder."

/** Returns the settings of a tokenizer's encoder. It sees images from -1 to 1. */
export const settingsOf = (config: TokenizerConfig): Pick<OtherEncoder, "encoder" | "channels"> => ({
  encoder: config.encoder,
  channels: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }
})

/** Takes the encoder of a tokenizer: `encoder.` is stripped from its names, and the rest is left out. */
export const ofTokenizer = (tokenizer: Tokenizer.Tokenizer, source = "the tokenizer's encoder"): OtherEncoder => ({
  source,
  ...settingsOf(tokenizer.config),
  tensors: Object.fromEntries(
    Object.entries(tokenizer.tensors)
      .filter(([name]) => name.startsWith(ENCODER))
      .map(([name, tensor]) => [name.slice(ENCODER.length), tensor])
  )
})

/** Takes the network of a teacher. */
export const ofTeacher = (teacher: TeacherEncoder.TeacherEncoder): OtherEncoder => {
  const { channels, depth, epsilon, hasLayerScale, heads, hidden, patchSize, source, tensors, width } = teacher
  return {
    source,
    channels,
    tensors,
    encoder: {
      patchSize,
      width,
      depth,
      heads,
      mlpRatio: hidden / width,
      // Any value above 0 asks for the arrays, which the file has.
      layerScale: hasLayerScale ? 1 : 0,
      qkvBias: true,
      absolutePositions: true,
      relativePositions: "none",
      normEpsilon: epsilon
    }
  }
}

/**
 * Changes the network of a fine-tuning to that of an encoder: its sizes, absolute positions, no relative ones, its layer scale
 * and its channels. The rest of the configuration stays. Fails with `ConfigError` if the image size is no multiple of its patches.
 */
export const configOf = (
  config: FinetuneConfig,
  other: Pick<OtherEncoder, "channels" | "encoder">
): Effect.Effect<FinetuneConfig, Config.ConfigError> => {
  const { channels, encoder } = other
  const { depth, heads, layerScale, mlpRatio, normEpsilon, patchSize, qkvBias, relativePositions, width } = encoder
  const { normEpsilon: _, ...own } = config.vit
  return Config.check(FinetuneConfig, "finetune")({
    ...config,
    vit: {
      ...own,
      patchSize,
      width,
      depth,
      heads,
      mlpRatio,
      layerScale,
      qkvBias,
      absolutePositions: true,
      relativePositions,
      ...(normEpsilon === undefined ? {} : { normEpsilon })
    },
    augment: { ...config.augment, mean: channels.mean, std: channels.std }
  })
}
