/**
 * The settings of a whole run: one configuration for each stage.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Schema } from "effect"
 * import { Config, Preset, Presets } from "patchword/domain"
 *
 * const small = Effect.runSync(Preset.with(Presets.tiny, { tokenizer: { optimizer: { batchSize: 8 } } }))
 * assert.strictEqual(small.tokenizer.optimizer.batchSize, 8)
 * assert.strictEqual(small.tokenizer.optimizer.lr, Presets.tiny.tokenizer.optimizer.lr)
 *
 * const text = JSON.stringify(Schema.encodeSync(Preset.Preset)(Presets.tiny))
 * const read = Effect.runSync(Config.decodeJson(Preset.Preset, "tiny.json")(text))
 * assert.deepStrictEqual(read, Presets.tiny)
 * ```
 */
import { Schema } from "effect"
import * as Config from "./Config.ts"
import { DecoderConfig } from "./DecoderConfig.ts"
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
  /** Segmentation; null if no settings are published. */
  segmentation: Schema.NullOr(SegmentationConfig),
  /** The pixel decoder. Configurations of former versions have none. */
  decoder: Schema.optionalKey(DecoderConfig)
}) {}

/** The changes of a preset: any value at any depth. */
export type Changes = Config.Changes<typeof Preset.Encoded>

const merge = Config.merge(Preset, "the changed preset")

/**
 * Changes values of a preset and checks the result as a whole. `--config` and `--set` do this on the command line. A tuple, an
 * array, `null` or a whole configuration replaces the former value. An undefined value stays as it is.
 *
 * Fails with a `ConfigError` that names each wrong path. In plain code, `Effect.runSync` returns the preset or throws that
 * error.
 */
const change = (preset: Preset, changes: Changes) => merge(preset, changes)

export { change as with }
