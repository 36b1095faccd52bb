/** The presets of ViT-B/16. `Presets` explains the comments. The other published presets derive from these. */
import { DecoderConfig } from "../DecoderConfig.ts"
import { FinetuneConfig } from "../FinetuneConfig.ts"
import { KnnConfig } from "../KnnConfig.ts"
import { OptimizerConfig } from "../OptimizerConfig.ts"
import { Preset } from "../Preset.ts"
import { PretrainConfig } from "../PretrainConfig.ts"
import { ProbeConfig } from "../ProbeConfig.ts"
import { SegmentationConfig } from "../SegmentationConfig.ts"
import { TokenizerConfig } from "../TokenizerConfig.ts"
import { VitConfig } from "../VitConfig.ts"

/** Colours as Pillow decodes them. */
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

const pretrain = new PretrainConfig({
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

/** UperNet on ViT-B/16, by the repository's files. */
export const segmentation = new SegmentationConfig({
  seed: 0, // code
  vit: new VitConfig({
    ...baseVit,
    imageSize: 512, // table 11, code
    layerScale: 0.1, // code; the checkpoint's values replace it
    relativePositions: "perBlock", // code
    dropPath: 0.15 // code
  }),
  head: "upernet", // section 3.2
  finalNorm: false, // code
  taps: [4, 6, 8, 12], // code: 3, 5, 7 and 11, counted from 0
  channels: 768, // code
  auxiliary: 0.4, // code
  layerDecay: 0.75, // code; table 11 searched 0.75, 0.8 and 0.85
  lr: 5e-5, // code; table 11 searched 5e-5, 8e-5 and 1e-4
  backboneRate: 1, // code
  schedule: "linear", // code: poly with the power 1
  betas: [0.9, 0.999], // code
  weightDecay: 0.05, // table 11, code
  batchSize: 16, // table 11, code: 8 times 2
  steps: 160_000, // table 11, code
  warmup: 1500, // table 11, code
  resize: [2048, 512], // code
  scale: [0.5, 2], // code
  maxClassShare: 0.75, // code
  distortion: "mmsegmentation", // code
  ...imagenet, // code
  frozen: null,
  stride: 341 // code
})

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

/**
 * A pixel decoder for the codes of the tokenizer. Neither the paper nor the repository has one. Its sizes are those of the
 * decoder of masked autoencoders (arXiv 2111.06377, section 4), the rest is the tokenizer's. Nobody has trained it yet.
 */
const decoder = new DecoderConfig({
  seed: 0,
  width: 512,
  depth: 8,
  heads: 16,
  mlpRatio: 4,
  perceptual: 0,
  optimizer: new OptimizerConfig({
    ...tokenizer.optimizer,
    betas: [0.9, 0.95],
    weightDecay: 0.05,
    clipNorm: 3,
    duration: 20,
    warmup: 1
  }),
  augment: { ...tokenizer.augment, cropScale: [0.2, 1], ...imagenet }
})

/** ViT-B/16 by the repository's commands, 1600 epochs of pretraining. */
export const base = new Preset({ tokenizer, pretrain, finetune, probe, knn, segmentation, decoder })

/** ViT-B/16 by the repository's commands, 300 epochs of pretraining. */
export const base300 = new Preset({
  ...base,
  pretrain: new PretrainConfig({
    ...pretrain,
    vit: new VitConfig({ ...pretrain.vit, dropPath: 0 }), // table 9, command
    optimizer: new OptimizerConfig({
      ...pretrain.optimizer,
      betas: [0.9, 0.98], // command
      duration: 300 // command
    })
  }),
  finetune: new FinetuneConfig({
    ...finetune,
    vit: new VitConfig({ ...finetune.vit, dropPath: 0.1 }), // table 10, command
    layerDecay: 0.65 // table 10, command
  })
})

/**
 * ViT-B/16 by the paper's tables 8 to 11 where these differ from the repository. The tokenizer has a shorter warmup.
 * Segmentation has less drop path. One fine-tuning serves both lengths of pretraining; the repository uses it for 300 epochs
 * only.
 */
export const basePaper = new Preset({
  ...base,
  tokenizer: new TokenizerConfig({
    ...tokenizer,
    optimizer: new OptimizerConfig({
      ...tokenizer.optimizer,
      warmup: 5 // table 8; the command has 10
    })
  }),
  finetune: base300.finetune,
  segmentation: new SegmentationConfig({
    ...segmentation,
    vit: new VitConfig({ ...segmentation.vit, dropPath: 0.1 }) // table 11
  })
})
