/** The presets of the repository's other sizes: deep and narrow, huge, giant. */
import { FinetuneConfig } from "../FinetuneConfig.ts"
import { Preset } from "../Preset.ts"
import { PretrainConfig } from "../PretrainConfig.ts"
import { TokenizerConfig } from "../TokenizerConfig.ts"
import { VitConfig } from "../VitConfig.ts"
import { large } from "./large.ts"

/**
 * Makes the preset of a network of the repository without a published recipe or weights. The sizes are those of the code. All
 * else is that of `large`. The tokenizer is base's, with the patch size of the network. Aggregation is used if the code
 * registers it.
 */
const sized = (
  options: Pick<VitConfig, "depth" | "heads" | "mlpRatio" | "patchSize" | "width"> & {
    /** Number of masked patches: 40 %, as in section 3.1. */
    readonly masked: number
    readonly aggregation: PretrainConfig["aggregation"]
  }
): Preset => {
  const { aggregation, masked, patchSize, ...network } = options
  return new Preset({
    ...large,
    tokenizer: new TokenizerConfig({
      ...large.tokenizer,
      encoder: new VitConfig({ ...large.tokenizer.encoder, patchSize })
    }),
    pretrain: new PretrainConfig({
      ...large.pretrain,
      vit: new VitConfig({ ...large.pretrain.vit, ...network, patchSize }),
      mask: { ...large.pretrain.mask, count: masked },
      aggregation
    }),
    finetune: new FinetuneConfig({
      ...large.finetune,
      vit: new VitConfig({ ...large.finetune.vit, ...network, patchSize })
    }),
    segmentation: null
  })
}

/** The deep and narrow network of the repository, `beit_24x544_patch16_224`. */
export const deepNarrow = sized({
  width: 544, // code
  depth: 24, // code
  heads: 16, // code
  mlpRatio: 4, // code
  patchSize: 16, // code
  masked: 75,
  aggregation: { earlyLayer: 21, headDepth: 2, sharedHead: true } // as large's, for as many blocks
})

/** ViT-H/14 of the repository, `beit_huge_patch14_224`. */
export const huge14 = sized({
  width: 1280, // code
  depth: 32, // code
  heads: 16, // code
  mlpRatio: 4, // code
  patchSize: 14, // code
  masked: 102,
  aggregation: null // code: registered without
})

/** ViT-g/14 of the repository, `beit_giant_patch14_224`. The repository registers it for fine-tuning only. */
export const giant14 = sized({
  width: 1408, // code
  depth: 40, // code
  heads: 16, // code
  mlpRatio: 6144 / 1408, // code
  patchSize: 14, // code
  masked: 102,
  aggregation: null
})
