/** The check of a configuration's stages against each other, before any of them runs. */
import { Effect } from "effect"
import type { Preset } from "../domain/config/Preset.ts"
import type { VitConfig } from "../domain/config/VitConfig.ts"
import { checkGrid } from "./Pretrain.ts"
import * as Segment from "./Segment.ts"
import * as Stage from "./training/Stage.ts"
import * as Start from "./training/Start.ts"

/** Refuses a network that has not the arrays of the pretrained one. Those for another size of images are resized. */
const checkShape = (stage: string, part: string, vit: VitConfig, from: VitConfig) => {
  const differs = (key: keyof typeof VitConfig.Encoded, isOther = from[key] !== vit[key]) =>
    [
      `vit.${key}`,
      [
        isOther,
        `expected ${JSON.stringify(from[key])}, the value of pretrain, got ${
          JSON.stringify(vit[key])
        }; set ${part}.vit.${key} to it`
      ]
    ] as const
  // A table that all blocks share is copied to each of them.
  const isCopied = from.relativePositions === "shared" && vit.relativePositions === "perBlock"
  return Stage.requireConfig(
    stage,
    Object.fromEntries([
      differs("patchSize"),
      differs("width"),
      differs("depth"),
      differs("mlpRatio", from.hidden !== Math.round(from.width * vit.mlpRatio)),
      differs("layerScale", from.layerScale > 0 !== vit.layerScale > 0),
      differs("qkvBias"),
      differs("absolutePositions"),
      differs("relativePositions", from.relativePositions !== vit.relativePositions && !isCopied)
    ])
  )
}

/**
 * Checks that the stages of a configuration fit each other: the networks that `pretrain`, `finetune` and `segment` take from the stages before
 * them. `stages` are those that run. Fails with the `ConfigError` with which the later stage would fail, after hours.
 */
export const checkStages = Effect.fnUntraced(function*(preset: Preset, stages: ReadonlyArray<string>) {
  const { finetune, pretrain, tokenizer } = preset
  const runs = (...names: ReadonlyArray<string>) => names.every((name) => stages.includes(name))
  if (runs("tokenizer", "pretrain")) yield* checkGrid("pretrain", pretrain, tokenizer)
  if (runs("pretrain", "finetune")) {
    yield* checkShape("finetune", "finetune", finetune.vit, pretrain.vit)
    yield* Start.checkAgreement("finetune", finetune, { config: pretrain })
  }
  if (runs("segment")) {
    const segmentation = yield* Segment.settingsOf(preset)
    if (runs("pretrain")) {
      yield* checkShape("segment", "segmentation", segmentation.vit, pretrain.vit)
      yield* Segment.checkAgreement("segment", segmentation, { config: pretrain })
    }
  }
})
