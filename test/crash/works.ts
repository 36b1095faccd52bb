import { Context, Effect, type FileSystem, Layer, type Path } from "effect"
import * as ImageRows from "../../src/cli/terminal/ImageRows.ts"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import type { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Ablation from "../../src/domain/study/Ablation.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Results from "../../src/layers/run/Results.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import { atlas } from "../../src/pipelines/atlas/BuildAtlas.ts"
import { cacheFeatures } from "../../src/pipelines/CacheFeatures.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { knn } from "../../src/pipelines/evaluate/Knn.ts"
import { probe } from "../../src/pipelines/evaluate/Probe.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { segment } from "../../src/pipelines/Segment.ts"
import { study } from "../../src/pipelines/study/Study.ts"
import { trainDecoder } from "../../src/pipelines/TrainDecoder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { engine, micro, optimizer, set, teacher } from "../pipelines/kit.ts"
import { scenes } from "../pipelines/scenes.ts"

const options = { checkpointEvery: 2 }
const preset = micro({ duration: 5, warmup: 1 })
const epochs = micro({ unit: "epochs", duration: 2, warmup: 1 })

const deep = new PretrainConfig({
  ...preset.pretrain,
  vit: new VitConfig({ ...preset.pretrain.vit, depth: 4, dropPath: 0 })
})

const segmentation = new SegmentationConfig({
  ...Presets.tiny.segmentation!,
  vit: new VitConfig({ ...deep.vit, relativePositions: "perBlock" }),
  taps: [1, 2, 3, 4],
  batchSize: 4,
  steps: 5,
  warmup: 2,
  stride: 24,
  frozen: null
})

const decoder = new DecoderConfig({
  ...Presets.tiny.decoder!,
  width: 16,
  depth: 1,
  heads: 2,
  mlpRatio: 2,
  perceptual: 0.5,
  optimizer: optimizer({ duration: 5 })
})

const sizes = Tokenizer.sizes(preset.tokenizer, 8)
const { dim, size } = preset.tokenizer.codebook

const tokenizer: Tokenizer.Tokenizer = {
  config: preset.tokenizer,
  teacherWidth: Dim.named("teacherWidth", 8),
  tensors: Weights.flatten(Parameter.initialise({
    ...Tokenizer.spec(sizes, { parameters: {}, state: {} }),
    quantize: { embedding: { weight: Parameter.normal([size, dim], { ...Parameter.finetuning, deviation: 1 }) } }
  }, 0))
}

const backbone = Backbone.untrained(preset.pretrain, size)

const images = Images.layerMemory([
  set("train", 24),
  set("val", 6),
  set("held", 40),
  scenes("scenes", 12)
])

export const machine = Layer.mergeAll(engine, Layer.provideMerge(teacher, images))

const load = (name: string) => Effect.flatMap(Images.Images, (all) => all.load(name))

export const Around = Context.Reference<<A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>>(
  "test/crash/Around",
  { defaultValue: () => (self) => self }
)

const within = (folder: string) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Around, (around) => around(self)).pipe(
    Effect.provide(Runs.layerNoDeps(folder, { config: { test: "crash" } }), { local: true })
  )

const hog = {
  name: "hog",
  kind: "hog",
  layer: ({ tokenizer: { augment, encoder: { imageSize, patchSize } } }: Preset) =>
    Teacher.layerHog({ patchSize, imageSize, components: 8, fitOn: 16, seed: 0, augment })
}

const results = Effect.fnUntraced(function*(folder: string) {
  const [train, val] = yield* Effect.all([load("train"), load("val")])
  const [seen, held] = yield* features(backbone, [train, val], preset.probe)
  const about = {
    network: "pretrain",
    weights: digestOf(backbone.tensors),
    train: train.digest,
    settings: { probe: 1 }
  }
  const probed = yield* probe(preset.probe, { train: seen!, tests: [held!] })
  const near = yield* knn(preset.knn, seen!, [held!])
  const made = [
    ...yield* Results.make({ verb: "probe", ...about }, [val], probed.figures),
    ...yield* Results.make({ verb: "knn", ...about }, [val], near)
  ]
  yield* Results.save(folder, made)
})

const arrays = Effect.fnUntraced(function*(folder: string) {
  const held = yield* load("held")
  const codes = new Int32Array(held.length * 16)
  yield* encode(
    tokenizer,
    held,
    (some) => Effect.sync(() => some.forEach((one) => codes.set(one.codes, one.index * 16)))
  )
  yield* ImageRows.write(`${folder}/codes.safetensors`, held, {
    codes: { dtype: "int32", shape: [held.length, 16], data: codes }
  })
  const [found] = yield* features(backbone, [held], preset.probe)
  const { data, shape } = found!.features
  yield* ImageRows.write(`${folder}/features.safetensors`, held, { features: { dtype: "float32", shape, data } })
})

type Environment = FileSystem.FileSystem | Path.Path | Layer.Success<typeof machine>

export interface Work {
  readonly name: string
  readonly locks: boolean
  readonly run: (folder: string) => Effect.Effect<unknown, { readonly _tag: string }, Environment>
}

export const works: ReadonlyArray<Work> = [
  { name: "tokenizer", locks: true, run: (folder) => within(folder)(trainTokenizer(preset.tokenizer, options)) },
  { name: "pretrain", locks: true, run: (folder) => within(folder)(pretrain(preset.pretrain, tokenizer, options)) },
  {
    name: "finetune",
    locks: true,
    run: (folder) => within(folder)(finetune(epochs.finetune, backbone, { ...options, validation: "val" }))
  },
  {
    name: "segment",
    locks: true,
    run: (folder) =>
      within(folder)(segment(segmentation, Backbone.untrained(deep, 16), { ...options, split: "scenes" }))
  },
  { name: "decoder", locks: true, run: (folder) => within(folder)(trainDecoder(decoder, tokenizer, options)) },
  { name: "results", locks: false, run: results },
  { name: "arrays", locks: false, run: arrays },
  {
    name: "cache",
    locks: true,
    run: (folder) => cacheFeatures(preset.tokenizer, folder, { shardBytes: 4096, dtype: "float32" })
  },
  {
    name: "atlas",
    locks: true,
    run: (folder) =>
      Effect.flatMap(load("held"), (held) =>
        Effect.scoped(atlas(tokenizer, held, folder, {
          lists: { nearest: 2, farthest: 1, misses: 1, sample: 2 },
          every: 16
        })))
  },
  {
    name: "study",
    locks: true,
    run: (folder) =>
      study(Ablation.table5, micro({ duration: 2, warmup: 0 }), {
        seeds: [0],
        teachers: [hog],
        checkpointEvery: 1,
        rows: ["none"],
        out: folder,
        cache: true
      })
  }
]

export const shards: Work = {
  name: "shards",
  locks: true,
  run: (folder) =>
    cacheFeatures(preset.tokenizer, `${folder}/cache`, {
      shardBytes: 4096,
      dtype: "float32",
      shards: `${folder}/shards`
    })
}
