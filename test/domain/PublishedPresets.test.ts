import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Origins from "../../src/domain/config/Origins.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as PresetNotes from "../../src/domain/config/presets/PresetNotes.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as PaperTables from "../../src/domain/evaluation/PaperTables.ts"

type Leaves = Readonly<Record<string, unknown>>

const leaves = (preset: Preset): Leaves => Object.fromEntries(Origins.leaves(Schema.encodeSync(Preset)(preset)))

/** The values of a preset that differ from those of another one; `absent` for a value that it lacks. */
const changed = (preset: Preset, from: Preset): Leaves => {
  const [a, b] = [leaves(from), leaves(preset)]
  const value = (of: Leaves, path: string) => (path in of ? of[path] : "absent")
  return Object.fromEntries(
    Object.keys({ ...a, ...b })
      .filter((path) => JSON.stringify(value(a, path)) !== JSON.stringify(value(b, path)))
      .map((path) => [path, value(b, path)])
  )
}

const network = {
  imageSize: 224,
  patchSize: 16,
  width: 768,
  depth: 12,
  heads: 12,
  mlpRatio: 4,
  layerScale: 0.1,
  qkvBias: true,
  absolutePositions: false,
  relativePositions: "shared",
  dropPath: 0.1,
  pooling: "mean"
}

const views = {
  cropRatio: [0.75, 1.3333333333333333],
  flip: 0.5,
  interpolation: "bicubic",
  evaluationCrop: 0.875,
  colour: "official"
}

const still = { brightness: 0, contrast: 0, saturation: 0 }
const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

const base = {
  tokenizer: {
    seed: 0,
    encoder: { ...network, layerScale: 0, absolutePositions: true, relativePositions: "none", dropPath: 0 },
    decoderDepth: 3,
    codebook: { size: 8192, dim: 32, decay: 0.99, kmeans: true, revival: null },
    optimizer: {
      lr: 0.0002,
      minLr: 0.00001,
      betas: [0.9, 0.99],
      eps: 1e-8,
      weightDecay: 0.0001,
      clipNorm: null,
      batchSize: 512,
      unit: "epochs",
      duration: 100,
      warmup: 10
    },
    augment: { ...views, cropScale: [0.08, 1], jitter: still, ...half }
  },
  pretrain: {
    seed: 0,
    vit: network,
    initStd: 0.02,
    mask: { count: 75, minBlock: 16, maxBlock: null, minAspect: 0.3 },
    aggregation: { earlyLayer: 9, headDepth: 2, sharedHead: true },
    optimizer: {
      lr: 0.0015,
      minLr: 0.00001,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0.05,
      clipNorm: 3,
      batchSize: 2048,
      unit: "epochs",
      duration: 1600,
      warmup: 10
    },
    augment: { ...views, cropScale: [0.2, 1], jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4 }, ...imagenet }
  },
  finetune: {
    seed: 0,
    vit: { ...network, relativePositions: "perBlock", dropPath: 0.2 },
    layerDecay: 0.6,
    labelSmoothing: 0.1,
    headScale: 0.001,
    mixup: { mixup: 0.8, cutmix: 1 },
    randAugment: { operations: 2, magnitude: 9, deviation: 0.5 },
    erasing: 0.25,
    optimizer: {
      lr: 0.0005,
      minLr: 0.000001,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0.05,
      clipNorm: null,
      batchSize: 1024,
      unit: "epochs",
      duration: 100,
      warmup: 20
    },
    augment: { ...views, cropScale: [0.08, 1], jitter: still, ...imagenet }
  },
  probe: {
    seed: 0,
    pooling: "cls",
    finalNorm: false,
    standardise: true,
    l2: [0.000001, 0.00001, 0.0001, 0.001, 0.01],
    iterations: 1000
  },
  knn: { pooling: "cls", finalNorm: true, neighbours: 20, temperature: 0.07 },
  segmentation: {
    seed: 0,
    vit: { ...network, imageSize: 512, relativePositions: "perBlock", dropPath: 0.15 },
    head: "upernet",
    finalNorm: false,
    taps: [4, 6, 8, 12],
    channels: 768,
    auxiliary: 0.4,
    layerDecay: 0.75,
    lr: 0.00005,
    backboneRate: 1,
    schedule: "linear",
    betas: [0.9, 0.999],
    weightDecay: 0.05,
    batchSize: 16,
    steps: 160_000,
    warmup: 1500,
    resize: [2048, 512],
    scale: [0.5, 2],
    maxClassShare: 0.75,
    distortion: "mmsegmentation",
    ...imagenet,
    frozen: null,
    stride: 341
  },
  decoder: {
    seed: 0,
    width: 512,
    depth: 8,
    heads: 16,
    mlpRatio: 4,
    perceptual: 0,
    optimizer: {
      lr: 0.0002,
      minLr: 0.00001,
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.05,
      clipNorm: 3,
      batchSize: 512,
      unit: "epochs",
      duration: 20,
      warmup: 1
    },
    augment: { ...views, cropScale: [0.2, 1], jitter: still, ...imagenet }
  }
}

const under = (part: string, values: Leaves): Leaves =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${part}.${key}`, value]))

const large = { width: 1024, depth: 24, heads: 16 }

const withoutSegmentation = Object.fromEntries(
  Object.keys(leaves(Presets.large)).filter((path) => path.startsWith("segmentation.")).map((path) => [path, "absent"])
)

const sized = (sizes: Leaves, patch: Leaves, pretrain: Leaves): Leaves => ({
  segmentation: null,
  ...withoutSegmentation,
  ...under("tokenizer.encoder", patch),
  ...under("pretrain.vit", { ...patch, ...sizes }),
  ...under("pretrain", pretrain),
  ...under("finetune.vit", { ...patch, ...sizes })
})

const noHead = {
  aggregation: null,
  "aggregation.earlyLayer": "absent",
  "aggregation.headDepth": "absent",
  "aggregation.sharedHead": "absent"
}

const small = {
  ...network,
  imageSize: 48,
  patchSize: 8,
  width: 128,
  depth: 5,
  heads: 4,
  absolutePositions: true,
  dropPath: 0
}

const smallOptimizer = {
  lr: 0.002,
  minLr: 0.00001,
  betas: [0.9, 0.99],
  eps: 1e-8,
  weightDecay: 0.0001,
  clipNorm: 3,
  batchSize: 48,
  unit: "steps",
  duration: 300,
  warmup: 24
}

const smallViews = {
  cropScale: [0.5, 1],
  cropRatio: [0.75, 1.3333333333333333],
  flip: 0.5,
  jitter: { brightness: 0.3, contrast: 0.3, saturation: 0.3 },
  interpolation: "bilinear",
  evaluationCrop: 1,
  mean: [0.5, 0.5, 0.5],
  std: [0.27, 0.27, 0.27]
}

const tiny = {
  tokenizer: {
    seed: 0,
    encoder: { ...small, depth: 3, layerScale: 0, relativePositions: "none" },
    decoderDepth: 1,
    codebook: { size: 256, dim: 32, decay: 0.99, kmeans: true, revival: { threshold: 0.02 } },
    optimizer: smallOptimizer,
    augment: smallViews
  },
  pretrain: {
    seed: 0,
    vit: small,
    initStd: 0.1,
    mask: { count: 14, minBlock: 3, maxBlock: null, minAspect: 0.3 },
    aggregation: { earlyLayer: 3, headDepth: 2, sharedHead: true },
    optimizer: { ...smallOptimizer, lr: 0.003, betas: [0.9, 0.98], weightDecay: 0.05, duration: 600, warmup: 48 },
    augment: smallViews
  },
  finetune: {
    seed: 0,
    vit: { ...small, relativePositions: "perBlock" },
    layerDecay: 1,
    labelSmoothing: 0,
    headScale: 0.001,
    mixup: null,
    randAugment: null,
    erasing: 0,
    optimizer: { ...smallOptimizer, lr: 0.001, betas: [0.9, 0.999], weightDecay: 0.05, duration: 200, warmup: 16 },
    augment: smallViews
  },
  probe: { seed: 0, pooling: "mean", finalNorm: true, standardise: true, l2: [0.001, 0.01, 0.1], iterations: 300 },
  knn: { pooling: "mean", finalNorm: true, neighbours: 10, temperature: 0.1 },
  segmentation: {
    seed: 0,
    vit: { ...small, imageSize: 64, relativePositions: "perBlock" },
    head: "linear",
    finalNorm: false,
    taps: [2, 3, 4, 5],
    channels: 64,
    auxiliary: 0.4,
    layerDecay: 1,
    lr: 0.01,
    backboneRate: 0.1,
    schedule: "cosine",
    betas: [0.9, 0.999],
    weightDecay: 0.05,
    batchSize: 32,
    steps: 250,
    warmup: 20,
    resize: null,
    scale: [1, 1],
    maxClassShare: 1,
    distortion: smallViews.jitter,
    mean: smallViews.mean,
    std: smallViews.std,
    frozen: { imageSize: 96, finalNorm: true, images: 300, l2: 0.001, iterations: 40 },
    stride: 32
  },
  decoder: {
    seed: 0,
    width: 96,
    depth: 2,
    heads: 4,
    mlpRatio: 4,
    perceptual: 0,
    optimizer: { ...smallOptimizer, lr: 0.003, betas: [0.9, 0.95], weightDecay: 0.05, duration: 100, warmup: 8 },
    augment: { ...smallViews, jitter: still }
  }
}

describe("the demo's preset", () => {
  it("has the values that the figures of the README were measured with", () => {
    assert.deepStrictEqual<unknown>(Schema.encodeSync(Preset)(Presets.tiny), tiny)
  })
})

describe("the published presets", () => {
  it("have the values of the repository's commands and files for ViT-B/16", () => {
    assert.deepStrictEqual<unknown>(Schema.encodeSync(Preset)(Presets.base), base)
  })

  it("differ in what the repository and the paper tell about lengths and sizes alone", () => {
    const { base, base300, basePaper, deepNarrow, giant14, huge14, large: large1600, large300, largePaper } = Presets
    assert.deepStrictEqual(changed(base300, base), {
      "pretrain.vit.dropPath": 0,
      "pretrain.optimizer.betas": [0.9, 0.98],
      "pretrain.optimizer.duration": 300,
      "finetune.vit.dropPath": 0.1,
      "finetune.layerDecay": 0.65
    })
    assert.deepStrictEqual(changed(basePaper, base), {
      "tokenizer.optimizer.warmup": 5,
      "finetune.vit.dropPath": 0.1,
      "finetune.layerDecay": 0.65,
      "segmentation.vit.dropPath": 0.1
    })
    assert.deepStrictEqual(changed(large1600, base), {
      ...under("pretrain.vit", { ...large, layerScale: 0.00001 }),
      "pretrain.aggregation.earlyLayer": 21,
      ...under("finetune.vit", large),
      "finetune.layerDecay": 0.8,
      ...under("finetune.optimizer", { lr: 0.0002, duration: 50, warmup: 5 }),
      ...under("segmentation.vit", { ...large, layerScale: 0.000001, dropPath: 0.2 }),
      ...under("segmentation", { taps: [8, 12, 16, 24], channels: 1024, layerDecay: 0.9, lr: 0.00004 })
    })
    assert.deepStrictEqual(changed(large300, large1600), {
      "pretrain.vit.dropPath": 0,
      "pretrain.optimizer.betas": [0.9, 0.98],
      "pretrain.optimizer.duration": 300,
      "finetune.optimizer.lr": 0.0005
    })
    assert.deepStrictEqual(changed(largePaper, large1600), {
      "tokenizer.optimizer.warmup": 5,
      "finetune.optimizer.lr": 0.0005
    })
    assert.deepStrictEqual(changed(deepNarrow, large1600), sized({ width: 544 }, {}, {}))
    assert.deepStrictEqual(
      changed(huge14, large1600),
      sized({ width: 1280, depth: 32 }, { patchSize: 14 }, { "mask.count": 102, ...noHead })
    )
    assert.deepStrictEqual(
      changed(giant14, large1600),
      sized({ width: 1408, depth: 40, mlpRatio: 6144 / 1408 }, { patchSize: 14 }, { "mask.count": 102, ...noHead })
    )
  })

  it("expect the accuracies of the paper's tables, on ImageNet-1k", () => {
    const of = (section: string, column = "ImageNet-1k top-1, fine-tuned", table = 1) =>
      PaperTables.find({ table, section, row: "BEiT v2", column })!.value
    const probed = of("ViT-B/16, 300 epochs (MAE 1600)", "ImageNet-1k top-1, linear probe", 2)
    const { tiny, ...published } = PresetNotes.all
    const found = Object.entries(published).map(([name, { expected, images }]) => {
      assert.strictEqual(images, 1_281_167)
      return [name, ...expected.map(({ top1 }) => top1)]
    })
    assert.deepStrictEqual(found, [
      ["base", of("ViT-B/16, longer")],
      ["base300", of("ViT-B/16"), probed],
      ["basePaper", of("ViT-B/16, longer")],
      ["large", of("ViT-L/16, longer")],
      ["large300", of("ViT-L/16")],
      ["largePaper", of("ViT-L/16, longer")],
      ["24x544"],
      ["huge14"],
      ["giant14"]
    ])
    assert.deepStrictEqual([tiny.images, ...tiny.expected.map(({ top1 }) => top1)], [3958, 42.7, 44.8, 43.4])
  })
})
