import { Preset, Presets } from "../../../src/domain/index.ts"

export const changed = Preset.with(Presets.tiny, {
  tokenizer: { optimizer: { batchSize: 8, betas: [0.9, 0.98] }, codebook: { revival: null } },
  pretrain: { aggregation: { earlyLayer: 2 } },
  segmentation: null
})
