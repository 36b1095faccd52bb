/**
 * The configuration of a whole run, stage by stage.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Schema } from "effect"
 * import { Config, Preset, Presets } from "patchword/domain"
 *
 * const text = JSON.stringify(Schema.encodeSync(Preset.Preset)(Presets.tiny))
 * const read = Effect.runSync(Config.decodeJson(Preset.Preset, "tiny.json")(text))
 * assert.deepStrictEqual(read, Presets.tiny)
 * ```
 */
import { Schema } from "effect"
import { FinetuneConfig } from "./FinetuneConfig.ts"
import { KnnConfig } from "./KnnConfig.ts"
import { PretrainConfig } from "./PretrainConfig.ts"
import { ProbeConfig } from "./ProbeConfig.ts"
import { SegmentationConfig } from "./SegmentationConfig.ts"
import { TokenizerConfig } from "./TokenizerConfig.ts"

/** One configuration for each stage. */
export class Preset extends Schema.Class<Preset>("patchword/Preset")({
  tokenizer: TokenizerConfig,
  pretrain: PretrainConfig,
  finetune: FinetuneConfig,
  probe: ProbeConfig,
  knn: KnnConfig,
  /** Null where nobody published one. */
  segmentation: Schema.NullOr(SegmentationConfig)
}) {}
