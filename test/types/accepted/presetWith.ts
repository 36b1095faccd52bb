import { Preset, Presets } from "../../../src/domain/index.ts"

export const changed = Preset.with(Presets.tiny, {
  tokenizer: { optimizer: { batchSize: 8, betas: [0.9, 0.98] }, codebook: { revival: null } },
  probe: undefined,
  knn: { neighbours: Presets.base.knn.neighbours, temperature: undefined },
  pretrain: { aggregation: { earlyLayer: 2 }, optimizer: { epochs: 3, warmupEpochs: 1 } },
  segmentation: null
})

export const copied = Preset.with({ ...Presets.tiny }, { tokenizer: Presets.base.tokenizer })
