import { Effect, Layer } from "effect"
import { AugmentConfig } from "../../src/domain/config/AugmentConfig.ts"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import { MaskConfig, PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import type * as Progress from "../../src/layers/run/Progress.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"

const SIDE = 32

const shapes = [
  ["disc", (x: number, y: number) => Math.hypot(x, y) < 1],
  ["stripes", (x: number) => Math.abs(x * 4) % 2 < 1],
  [
    "frame",
    (x: number, y: number) => Math.max(Math.abs(x), Math.abs(y)) < 1 && Math.min(Math.abs(x), Math.abs(y)) > 0.4
  ]
] as const

export const classes = shapes.map(([name]) => name)

const draw = (split: string, index: number): Picture => {
  const { integer, uniform } = KeyedRandom.generator({ seed: 0, purpose: `kit/${split}`, epoch: 0, index })
  const [, inside] = shapes[index % shapes.length]!
  const [left, top, radius] = [12 + 8 * uniform(), 12 + 8 * uniform(), 8 + 4 * uniform()]
  const [paint, ground] = [0, 1].map((channel) =>
    [0, 1, 2].map((at) => integer(at === index % 3 && channel === 0 ? 160 : 0, 255))
  )
  return {
    width: SIDE,
    height: SIDE,
    data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)]
      return (inside((x - left) / radius, (y - top) / radius) ? paint! : ground!)[i % 3]!
    })
  }
}

export const set = (name: string, length: number): ImageSet.ImageSet =>
  ImageSet.memory(
    name,
    classes,
    Array.from({ length }, (_, index) => draw(name, index)),
    Array.from({ length }, (_, index) => index % classes.length)
  )

export const sets = [set("train", 24), set("val", 12), set("test", 12)]

export const images = Images.layerMemory(sets)

const vit = new VitConfig({
  ...tiny.pretrain.vit,
  imageSize: SIDE,
  patchSize: 8,
  width: 16,
  heads: 2,
  depth: 2,
  mlpRatio: 2,
  dropPath: 0.1
})

const augment = new AugmentConfig({ ...tiny.pretrain.augment, cropScale: [0.6, 1] })

export const optimizer = (options: Partial<OptimizerConfig>) =>
  new OptimizerConfig({
    ...tiny.pretrain.optimizer,
    lr: 3e-3,
    batchSize: 8,
    unit: "steps",
    duration: 8,
    warmup: 2,
    ...options
  })

export const micro = (options: Partial<OptimizerConfig> = {}): Preset =>
  new Preset({
    segmentation: null,
    tokenizer: new TokenizerConfig({
      ...tiny.tokenizer,
      encoder: new VitConfig({ ...vit, layerScale: 0, relativePositions: "none", dropPath: 0 }),
      codebook: { ...tiny.tokenizer.codebook, size: 16, dim: 8 },
      optimizer: optimizer({ betas: [0.9, 0.99], weightDecay: 1e-4, ...options }),
      augment
    }),
    pretrain: new PretrainConfig({
      ...tiny.pretrain,
      vit,
      mask: new MaskConfig({ count: 5, minBlock: 2, maxBlock: null, minAspect: 0.3 }),
      aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: true },
      optimizer: optimizer(options),
      augment
    }),
    finetune: {
      ...tiny.finetune,
      vit: new VitConfig({ ...vit, relativePositions: "perBlock" }),
      optimizer: optimizer(options),
      augment
    },
    probe: { ...tiny.probe, iterations: 50 },
    knn: { ...tiny.knn, neighbours: 3 }
  })

export const engine = Engine.layerOnnx({ threads: 1 })

export const teacher = Teacher.layerHog({ patchSize: 8, imageSize: SIDE, components: 8, fitOn: 16, seed: 0, augment })

export const machineOf = <E>(runtime: Layer.Layer<Engine.Engine, E>) =>
  Layer.mergeAll(runtime, Layer.provideMerge(teacher, images))

export const machine = machineOf(engine)

export const recording = (seen: Array<string>, after?: (report: Progress.Report) => Effect.Effect<void>) => ({
  report: (report: Progress.Report) =>
    Effect.andThen(
      Effect.sync(() => void seen.push(`${report.stage} ${report.step}`)),
      after === undefined ? Effect.void : after(report)
    ),
  message: () => Effect.void
})
