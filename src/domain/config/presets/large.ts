/** The presets of ViT-L/16, as differences from those of ViT-B/16. */
import { FinetuneConfig } from "../FinetuneConfig.ts"
import { OptimizerConfig } from "../OptimizerConfig.ts"
import { Preset } from "../Preset.ts"
import { PretrainConfig } from "../PretrainConfig.ts"
import { SegmentationConfig } from "../SegmentationConfig.ts"
import { VitConfig } from "../VitConfig.ts"
import { base, base300, basePaper, segmentation } from "./base.ts"

const size = {
  width: 1024, // code: beit_large_patch16_224_8k_vocab_cls_pt
  depth: 24, // code
  heads: 16 // code
} as const

const enlarged = (pretrain: PretrainConfig): PretrainConfig =>
  new PretrainConfig({
    ...pretrain,
    vit: new VitConfig({
      ...pretrain.vit,
      ...size,
      layerScale: 1e-5 // command
    }),
    aggregation: { earlyLayer: 21, headDepth: 2, sharedHead: true } // section 3.1, command
  })

/** ViT-L/16 by the repository's commands, 1600 epochs of pretraining. */
export const large = new Preset({
  ...base,
  pretrain: enlarged(base.pretrain),
  finetune: new FinetuneConfig({
    ...base.finetune,
    vit: new VitConfig({ ...base.finetune.vit, ...size }),
    layerDecay: 0.8, // command
    optimizer: new OptimizerConfig({
      ...base.finetune.optimizer,
      lr: 2e-4, // command
      duration: 50, // command
      warmup: 5 // command
    })
  }),
  segmentation: new SegmentationConfig({
    ...segmentation,
    vit: new VitConfig({
      ...segmentation.vit,
      ...size,
      layerScale: 1e-6, // code
      dropPath: 0.2 // table 11, code
    }),
    taps: [8, 12, 16, 24], // code
    channels: 1024, // code
    layerDecay: 0.9, // code
    lr: 4e-5 // code
  })
})

/** ViT-L/16 by the repository's commands, 300 epochs of pretraining. */
export const large300 = new Preset({
  ...large,
  pretrain: enlarged(base300.pretrain),
  finetune: new FinetuneConfig({
    ...large.finetune,
    optimizer: new OptimizerConfig({
      ...large.finetune.optimizer,
      lr: 5e-4 // table 10, command
    })
  })
})

/** ViT-L/16 by the paper's tables 8 to 11 where these differ from the repository. See {@link basePaper}. */
export const largePaper = new Preset({ ...large, tokenizer: basePaper.tokenizer, finetune: large300.finetune })
