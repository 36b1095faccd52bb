/**
 * Published and ready-made configurations. Each value names where it is published: "section" and "table" are the paper's
 * (arXiv 2208.06366; table 8 is on the tokenizer, 9 on pretraining, 10 on fine-tuning, 11 on segmentation), "command" is a
 * command of the official repository or the notes below it (`beit2/TOKENIZER.md`, `PRETRAINING.md`,
 * `get_started_for_image_classification.md`), "code" a default or a fixed value there (for segmentation, a file of
 * `semantic_segmentation/configs`).
 *
 * Where paper and repository disagree both exist: `base`, `large` (1600 epochs of pretraining) and `base300`, `large300`
 * follow the repository, `basePaper` and `largePaper` the paper. `24x544`, `huge14` and `giant14` are the repository's other
 * sizes, without a published recipe. `tiny` is the demo's, made for two cores and minutes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 *
 * assert.strictEqual(Effect.runSync(Presets.preset("tiny")), Presets.tiny)
 * const error = Effect.runSync(Effect.flip(Presets.preset("basse")))
 * assert.match(error.message, /did you mean base\?/)
 * ```
 */
import { Effect } from "effect"
import * as Suggest from "../values/Suggest.ts"
import { AugmentConfig } from "./AugmentConfig.ts"
import { type ConfigError, refusal } from "./Config.ts"
import { FinetuneConfig } from "./FinetuneConfig.ts"
import { KnnConfig } from "./KnnConfig.ts"
import { OptimizerConfig } from "./OptimizerConfig.ts"
import { Preset } from "./Preset.ts"
import { PretrainConfig } from "./PretrainConfig.ts"
import { ProbeConfig } from "./ProbeConfig.ts"
import { SegmentationConfig } from "./SegmentationConfig.ts"
import { TokenizerConfig } from "./TokenizerConfig.ts"
import { VitConfig } from "./VitConfig.ts"

/** Pillow's pixels. */
const official = { colour: "official" } as const // code: default_loader of torchvision

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const

const noJitter = { brightness: 0, contrast: 0, saturation: 0 }

const baseVit = new VitConfig({
  imageSize: 224, // section 3.1
  patchSize: 16, // section 3.1
  width: 768, // code: beit_base_patch16_224_8k_vocab_cls_pt
  depth: 12, // code
  heads: 12, // code
  mlpRatio: 4, // code
  layerScale: 0.1, // command
  qkvBias: true, // code
  absolutePositions: false, // code: --abs_pos_emb is off
  relativePositions: "shared", // code: pretraining
  dropPath: 0.1, // table 9, command: 0 for 300 epochs, 0.1 for 1600
  pooling: "mean" // code: fine-tuning, --use_mean_pooling
})

const largeVit = new VitConfig({
  ...baseVit,
  width: 1024, // code: beit_large_patch16_224_8k_vocab_cls_pt
  depth: 24, // code
  heads: 16, // code
  layerScale: 1e-5 // command
})

/** What makes a network base or large. */
const sizes = ({ depth, heads, width }: VitConfig) => ({ depth, heads, width })

// The tokenizer of base serves large as well (section 3.1).
const tokenizer = new TokenizerConfig({
  seed: 0, // code
  encoder: new VitConfig({
    ...baseVit,
    layerScale: 0, // code: init_values 0
    absolutePositions: true, // code
    relativePositions: "none", // code
    dropPath: 0 // table 8
  }),
  decoderDepth: 3, // section 3.1; command: vqkd_encoder_base_decoder_3x768x12_clip
  codebook: {
    size: 8192, // section 3.1, table 8
    dim: 32, // section 3.1, table 8
    decay: 0.99, // code
    kmeans: true, // command: --quantize_kmeans_init
    revival: null // code: none
  },
  optimizer: new OptimizerConfig({
    lr: 2e-4, // table 8; code: 5e-5 for every 128 images
    minLr: 1e-5, // table 8
    betas: [0.9, 0.99], // table 8, command
    eps: 1e-8, // code
    weightDecay: 1e-4, // table 8, command
    clipNorm: null, // table 8, command: none
    batchSize: 512, // table 8, command
    unit: "epochs",
    duration: 100, // table 8, command
    warmup: 10 // command; table 8 has 5
  }),
  augment: {
    cropScale: [0.08, 1], // command
    cropRatio: [3 / 4, 4 / 3], // code: torchvision
    flip: 0.5, // code
    jitter: noJitter, // code: --color_jitter 0
    interpolation: "bicubic", // command
    evaluationCrop: 224 / 256, // code
    ...official,
    mean: [0.5, 0.5, 0.5], // code: pixels are mapped to [-1, 1]
    std: [0.5, 0.5, 0.5]
  }
})

const pretrainBase = new PretrainConfig({
  seed: 0, // code
  vit: baseVit,
  initStd: 0.02, // code: init_std
  mask: {
    count: 75, // command; section 3.1: 40 %, about 75 patches
    minBlock: 16, // code: --min_mask_patches_per_block
    maxBlock: null, // code
    minAspect: 0.3 // code
  },
  aggregation: {
    earlyLayer: 9, // section 3.1, command
    headDepth: 2, // section 3.1, command
    sharedHead: true // section 2.3, command
  },
  optimizer: new OptimizerConfig({
    lr: 1.5e-3, // command
    minLr: 1e-5, // code
    betas: [0.9, 0.999], // command: 0.98 for 300 epochs, 0.999 for 1600
    eps: 1e-8, // command
    weightDecay: 0.05, // code
    clipNorm: 3, // command
    batchSize: 2048, // command
    unit: "epochs",
    duration: 1600, // command
    warmup: 10 // command
  }),
  augment: {
    cropScale: [0.2, 1], // command
    cropRatio: [3 / 4, 4 / 3], // code
    flip: 0.5, // code
    jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4 }, // code: fixed
    interpolation: "bicubic", // command
    evaluationCrop: 224 / 256, // as the tokenizer's; pretraining has no evaluation of its own
    ...official,
    ...imagenet // command: --imagenet_default_mean_and_std
  }
})

const pretrainLarge = new PretrainConfig({
  ...pretrainBase,
  vit: largeVit,
  aggregation: { earlyLayer: 21, headDepth: 2, sharedHead: true } // section 3.1, command
})

/** The 300-epoch run that belongs to a 1600-epoch one. */
const shorter = (pretrain: PretrainConfig): PretrainConfig =>
  new PretrainConfig({
    ...pretrain,
    vit: new VitConfig({ ...pretrain.vit, dropPath: 0 }), // table 9, command
    optimizer: new OptimizerConfig({
      ...pretrain.optimizer,
      betas: [0.9, 0.98], // command
      duration: 300 // command
    })
  })

const finetune = new FinetuneConfig({
  seed: 0, // code
  vit: new VitConfig({
    ...baseVit,
    layerScale: 0.1, // code, for every size; the checkpoint's values replace it
    relativePositions: "perBlock", // code
    dropPath: 0.2 // command, after 1600 epochs of pretraining
  }),
  layerDecay: 0.6, // command, after 1600 epochs
  labelSmoothing: 0.1, // code: --smoothing
  headScale: 0.001, // code: --init_scale
  mixup: { mixup: 0.8, cutmix: 1 }, // command; table 10 calls the alphas probabilities
  randAugment: { operations: 2, magnitude: 9, deviation: 0.5 }, // code: rand-m9-mstd0.5-inc1
  erasing: 0.25, // code: --reprob
  optimizer: new OptimizerConfig({
    lr: 5e-4, // table 10, command
    minLr: 1e-6, // code
    betas: [0.9, 0.999], // code
    eps: 1e-8, // code
    weightDecay: 0.05, // command
    clipNorm: null, // code
    batchSize: 1024, // command
    unit: "epochs",
    duration: 100, // command
    warmup: 20 // the paper; the commands show it for other checkpoints
  }),
  augment: {
    cropScale: [0.08, 1], // code: timm
    cropRatio: [3 / 4, 4 / 3], // code: timm
    flip: 0.5, // code: timm
    jitter: noJitter, // code: --color_jitter 0.4 has no effect beside RandAugment
    interpolation: "bicubic", // code
    evaluationCrop: 224 / 256, // code: crop_pct
    ...official,
    ...imagenet // command
  }
})

/** What differs between the fine-tuning runs: command and, after 300 epochs of pretraining, table 10. */
const finetuneAs = (options: {
  readonly vit: VitConfig
  readonly lr: number
  readonly layerDecay: number
  readonly dropPath: number
  readonly duration: number
  readonly warmup: number
}): FinetuneConfig =>
  new FinetuneConfig({
    ...finetune,
    vit: new VitConfig({ ...finetune.vit, ...sizes(options.vit), dropPath: options.dropPath }),
    layerDecay: options.layerDecay,
    optimizer: new OptimizerConfig({
      ...finetune.optimizer,
      lr: options.lr,
      duration: options.duration,
      warmup: options.warmup
    })
  })

const segmentation = new SegmentationConfig({
  seed: 0, // code
  vit: new VitConfig({
    ...baseVit,
    imageSize: 512, // table 11, code
    layerScale: 0.1, // code; the checkpoint's values replace it
    relativePositions: "perBlock", // code
    dropPath: 0.15 // code
  }),
  taps: [4, 6, 8, 12], // code: 3, 5, 7 and 11, counted from 0
  channels: 768, // code
  auxiliary: 0.4, // code
  layerDecay: 0.75, // code
  lr: 5e-5, // code
  betas: [0.9, 0.999], // code
  weightDecay: 0.05, // table 11, code
  batchSize: 16, // table 11, code: 8 times 2
  steps: 160_000, // table 11, code
  warmup: 1500, // table 11, code
  resize: [2048, 512], // code
  scale: [0.5, 2], // code
  stride: 341 // code
})

const segmentationLarge = new SegmentationConfig({
  ...segmentation,
  vit: new VitConfig({
    ...segmentation.vit,
    ...sizes(largeVit),
    layerScale: 1e-6, // code
    dropPath: 0.2 // table 11, code
  }),
  taps: [8, 12, 16, 24], // code
  channels: 1024, // code
  layerDecay: 0.9, // code
  lr: 4e-5 // code
})

/** What the paper searched for segmentation (table 11); the repository's files hold one value of each. */
export const segmentationSearch = {
  lr: [5e-5, 8e-5, 1e-4],
  layerDecay: [0.75, 0.8, 0.85]
} as const

// Neither is in the paper. The probe's feature is: the class token for networks with patch aggregation (section 3.2).
const probe = new ProbeConfig({
  seed: 0,
  pooling: "cls",
  finalNorm: false,
  standardise: true,
  l2: [1e-6, 1e-5, 1e-4, 1e-3, 1e-2],
  iterations: 1000
})

// As DINO evaluates (arXiv 2104.14294 and its eval_knn.py).
const knn = new KnnConfig({ pooling: "cls", finalNorm: true, neighbours: 20, temperature: 0.07 })

/** ViT-B/16 by the repository's commands, 1600 epochs of pretraining. */
export const base = new Preset({ tokenizer, pretrain: pretrainBase, finetune, probe, knn, segmentation })

/** ViT-B/16 by the repository's commands, 300 epochs of pretraining. */
export const base300 = new Preset({
  ...base,
  pretrain: shorter(pretrainBase),
  finetune: finetuneAs({
    vit: baseVit,
    lr: 5e-4,
    layerDecay: 0.65,
    dropPath: 0.1,
    duration: 100,
    warmup: 20
  })
})

/** ViT-L/16 by the repository's commands, 1600 epochs of pretraining. */
export const large = new Preset({
  ...base,
  pretrain: pretrainLarge,
  finetune: finetuneAs({
    vit: largeVit,
    lr: 2e-4,
    layerDecay: 0.8,
    dropPath: 0.2,
    duration: 50,
    warmup: 5
  }),
  segmentation: segmentationLarge
})

/** ViT-L/16 by the repository's commands, 300 epochs of pretraining. */
export const large300 = new Preset({
  ...large,
  pretrain: shorter(pretrainLarge),
  finetune: finetuneAs({
    vit: largeVit,
    lr: 5e-4,
    layerDecay: 0.8,
    dropPath: 0.2,
    duration: 50,
    warmup: 5
  })
})

const tokenizerPaper = new TokenizerConfig({
  ...tokenizer,
  optimizer: new OptimizerConfig({
    ...tokenizer.optimizer,
    warmup: 5 // table 8; the command has 10
  })
})

/**
 * ViT-B/16 by the paper's tables 8 to 11 where these differ from the repository: a shorter warm-up of the tokenizer, one
 * fine-tuning for both lengths of pretraining, which the repository uses for 300 epochs only, and less drop path in
 * segmentation.
 */
export const basePaper = new Preset({
  ...base,
  tokenizer: tokenizerPaper,
  finetune: base300.finetune,
  segmentation: new SegmentationConfig({
    ...segmentation,
    vit: new VitConfig({ ...segmentation.vit, dropPath: 0.1 }) // table 11
  })
})

/** ViT-L/16 by the paper's tables 8 to 11 where these differ from the repository; see {@link basePaper}. */
export const largePaper = new Preset({ ...large, tokenizer: tokenizerPaper, finetune: large300.finetune })

/**
 * A network of the repository for which no recipe and no weights are published: sizes are the code's, all else is that of
 * `large`. Its tokenizer is base's, with the network's patches. Aggregation is where the code registers it.
 */
const sized = (
  options: Pick<VitConfig, "depth" | "heads" | "mlpRatio" | "patchSize" | "width"> & {
    /** Masked patches: 40 %, as in section 3.1. */
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

/** ViT-g/14 of the repository, `beit_giant_patch14_224`, which registers it for fine-tuning only. */
export const giant14 = sized({
  width: 1408, // code
  depth: 40, // code
  heads: 16, // code
  mlpRatio: 6144 / 1408, // code
  patchSize: 14, // code
  masked: 102,
  aggregation: null
})

const tinyVit = new VitConfig({
  imageSize: 48,
  patchSize: 8,
  width: 128,
  depth: 5,
  heads: 4,
  mlpRatio: 4,
  layerScale: 0.1,
  qkvBias: true,
  absolutePositions: true,
  relativePositions: "shared",
  dropPath: 0,
  pooling: "mean"
})

const tinyOptimizer = new OptimizerConfig({
  lr: 2e-3,
  minLr: 1e-5,
  betas: [0.9, 0.99],
  eps: 1e-8,
  weightDecay: 1e-4,
  clipNorm: 3,
  batchSize: 64,
  unit: "steps",
  duration: 300,
  warmup: 24 // 8 % of the steps, in every stage
})

const tinyAugment = new AugmentConfig({
  cropScale: [0.5, 1],
  cropRatio: [3 / 4, 4 / 3],
  flip: 0.5,
  jitter: { brightness: 0.3, contrast: 0.3, saturation: 0.3 },
  interpolation: "bilinear",
  evaluationCrop: 1,
  mean: [0.5, 0.5, 0.5],
  std: [0.27, 0.27, 0.27]
})

/**
 * The demo: images of 48 pixels, a tokenizer and a pretraining run of minutes on two cores. Two departures from the published
 * method: hardly used codes are revived, which a codebook trained for 300 steps needs, and positions are absolute as well
 * as relative.
 */
export const tiny = new Preset({
  tokenizer: new TokenizerConfig({
    seed: 0,
    encoder: new VitConfig({ ...tinyVit, depth: 3, layerScale: 0, relativePositions: "none" }),
    decoderDepth: 1,
    codebook: { size: 256, dim: 32, decay: 0.99, kmeans: true, revival: { threshold: 0.02 } },
    optimizer: tinyOptimizer,
    augment: tinyAugment
  }),
  pretrain: new PretrainConfig({
    seed: 0,
    vit: tinyVit,
    // To a unit of width 128, 0.05 brings what the official 0.02 brings at 768. Twice that learned soonest.
    initStd: 0.1,
    mask: { count: 14, minBlock: 3, maxBlock: null, minAspect: 0.3 }, // 3 of 14 are a fifth, as the official 16 of 75
    aggregation: { earlyLayer: 3, headDepth: 2, sharedHead: true },
    optimizer: new OptimizerConfig({
      ...tinyOptimizer,
      lr: 3e-3,
      betas: [0.9, 0.98],
      weightDecay: 0.05,
      duration: 1000,
      warmup: 80
    }),
    augment: tinyAugment
  }),
  finetune: new FinetuneConfig({
    seed: 0,
    vit: new VitConfig({ ...tinyVit, relativePositions: "perBlock" }),
    layerDecay: 1,
    labelSmoothing: 0,
    headScale: 0.001,
    mixup: null,
    randAugment: null,
    erasing: 0,
    optimizer: new OptimizerConfig({
      ...tinyOptimizer,
      lr: 1e-3,
      betas: [0.9, 0.999],
      weightDecay: 0.05,
      duration: 200,
      warmup: 16
    }),
    augment: tinyAugment
  }),
  probe: new ProbeConfig({
    seed: 0,
    pooling: "mean",
    finalNorm: true,
    standardise: true,
    l2: [1e-3, 1e-2, 1e-1],
    iterations: 300
  }),
  knn: new KnnConfig({ pooling: "mean", finalNorm: true, neighbours: 10, temperature: 0.1 }),
  segmentation: null
})

/** Every preset by name. */
export const all = {
  tiny,
  base,
  base300,
  basePaper,
  large,
  large300,
  largePaper,
  "24x544": deepNarrow,
  huge14,
  giant14
}

/** The name of a preset. */
export type Name = keyof typeof all

const isName = (name: string): name is Name => Object.hasOwn(all, name)

/** The preset of that name; fails with a {@link ConfigError} that names the nearest one. */
export const preset = (name: string): Effect.Effect<Preset, ConfigError> => {
  if (isName(name)) return Effect.succeed(all[name])
  const names = Object.keys(all)
  const meant = Suggest.nearest(name, names)
  const message = `expected one of ${names.join(", ")}, got "${name}"` +
    (meant === undefined ? "" : `; did you mean ${meant}?`)
  return Effect.fail(refusal("preset", message))
}
