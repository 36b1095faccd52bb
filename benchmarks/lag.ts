/**
 * For how long the stages keep the event loop of an app from its timers and requests:
 * `npm run bench -- lag [--network tiny|small] [--parts tokenizer,pretrain] [--steps 40] [--most 20]`.
 *
 * Each part runs from beginning to end in the calling thread, as in an app, on the demo's emoji. Prints a line of JSON for each: the
 * milliseconds of work between two turns of the event loop, without those in which other programs had the processor, the most that a
 * stretch took of the processor, the largest delay by the clock, and the functions of the longest stretches of work. Ends with 1 if a
 * stretch is longer than `--most` milliseconds.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { FinetuneConfig } from "../src/domain/config/FinetuneConfig.ts"
import * as Preset from "../src/domain/config/Preset.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import { VitConfig } from "../src/domain/config/VitConfig.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as Images from "../src/layers/images/Images.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import * as Teacher from "../src/layers/teacher/Teacher.ts"
import { atlas } from "../src/pipelines/atlas/BuildAtlas.ts"
import { cacheFeatures } from "../src/pipelines/CacheFeatures.ts"
import { diagnoseOn } from "../src/pipelines/doctor/Diagnose.ts"
import { evaluateClassifier } from "../src/pipelines/evaluate/Classify.ts"
import { encode } from "../src/pipelines/evaluate/Encode.ts"
import { evaluatePretraining, evaluateTokenizer } from "../src/pipelines/evaluate/Evaluate.ts"
import { blockFeatures, features } from "../src/pipelines/evaluate/Features.ts"
import { knn } from "../src/pipelines/evaluate/Knn.ts"
import { probe } from "../src/pipelines/evaluate/Probe.ts"
import { probeSweep } from "../src/pipelines/evaluate/ProbeSweep.ts"
import { evaluateSegmenter } from "../src/pipelines/evaluate/Segmentation.ts"
import { finetune } from "../src/pipelines/Finetune.ts"
import { attention } from "../src/pipelines/look/Attention.ts"
import { pca } from "../src/pipelines/look/Pca.ts"
import { pretrain } from "../src/pipelines/Pretrain.ts"
import { segment } from "../src/pipelines/Segment.ts"
import { trainDecoder } from "../src/pipelines/TrainDecoder.ts"
import * as Backbone from "../src/pipelines/trained/Backbone.ts"
import * as AnnotatedBatches from "../src/pipelines/training/AnnotatedBatches.ts"
import { trainTokenizer } from "../src/pipelines/TrainTokenizer.ts"
import { scenes } from "../test/pipelines/scenes.ts"
import { watched } from "./eventLoop.ts"
import { small, smallVit, untrainedTokenizer } from "./steps.ts"

const { values } = parseArgs({
  options: {
    network: { type: "string", default: "tiny" },
    parts: { type: "string" },
    steps: { type: "string", default: "40" },
    most: { type: "string", default: "20" }
  }
})

const steps = Number(values.steps)
const options = { checkpointEvery: Math.ceil(steps / 4) }
const { mixup, randAugment, erasing } = Presets.base.finetune

const sized = values.network === "tiny" ? Presets.tiny : new Preset.Preset({
  ...small,
  finetune: new FinetuneConfig({
    ...small.finetune,
    vit: new VitConfig({ ...small.finetune.vit, ...smallVit })
  }),
  segmentation: Presets.tiny.segmentation,
  decoder: Presets.tiny.decoder!
})

const preset = (() => {
  const optimizer = { batchSize: 64, unit: "steps", duration: steps, warmup: 2 } as const
  return Effect.runSync(Preset.with(sized, {
    tokenizer: { optimizer },
    pretrain: { optimizer },
    finetune: { mixup, randAugment, erasing, optimizer },
    segmentation: { steps, warmup: 2 },
    decoder: { optimizer },
    probe: { sweep: { steps, augment: null } }
  }))
})()

const root = mkdtempSync(join(tmpdir(), "patchword-lag-"))
const { augment, encoder: { imageSize, patchSize } } = preset.tokenizer
const hog = Teacher.layerHog({ imageSize, patchSize, seed: 0, augment, components: 48 })
const machine = Layer.mergeAll(
  Engine.layerOnnx(),
  Layer.provideMerge(hog, Images.layerEmoji()),
  NodeServices.layer
)

const tokenizer = untrainedTokenizer(preset, 48)
const backbone = Backbone.untrained(preset.pretrain, preset.tokenizer.codebook.size)
const load = (split: string) => Effect.flatMap(Images.Images, (images) => images.load(split))
const within = (name: string) => Runs.layer(join(root, name), { config: { bench: "lag" } })
const inRun = <A, E, R>(name: string, self: Effect.Effect<A, E, R>) =>
  Effect.provide(self, within(name), { local: true })

const ofSets = <A, E, R>(
  use: (sets: ReadonlyArray<Effect.Success<ReturnType<typeof load>>>) => Effect.Effect<A, E, R>
) => Effect.flatMap(Effect.all([load("train"), load("val"), load("in-new")]), use)

type Part<E, R> = {
  /** What the part needs, and is not measured. */
  readonly before?: Effect.Effect<unknown, E, R>
  readonly run: Effect.Effect<unknown, E, R>
}

let seen: Effect.Success<ReturnType<typeof features>> = []
let blocks: Effect.Success<ReturnType<typeof blockFeatures>> = []

const parts = {
  engine: { run: Effect.scoped(Layer.build(Layer.fresh(Engine.layerOnnx()))) },
  teacher: { before: load("train"), run: Effect.scoped(Layer.build(Layer.fresh(hog))) },
  tokenizer: { run: inRun("tokenizer", trainTokenizer(preset.tokenizer, options)) },
  "tokenizer evaluation": { run: Effect.flatMap(load("in-new"), (set) => evaluateTokenizer(tokenizer, set)) },
  pretrain: { run: inRun("pretrain", pretrain(preset.pretrain, tokenizer, options)) },
  "pretrain evaluation": {
    run: Effect.gen(function*() {
      const set = yield* load("in-new")
      const { images } = yield* evaluateTokenizer(tokenizer, set)
      yield* evaluatePretraining(backbone, images, set)
    })
  },
  finetune: {
    run: inRun(
      "finetune",
      Effect.flatMap(
        finetune(preset.finetune, backbone, { ...options, validation: "val" }),
        (classifier) => Effect.flatMap(load("in-new"), (set) => evaluateClassifier(classifier, [set]))
      )
    )
  },
  segment: {
    run: inRun(
      "segment",
      Effect.gen(function*() {
        const segmenter = yield* segment(preset.segmentation!, undefined, options)
        yield* evaluateSegmenter(segmenter, yield* AnnotatedBatches.annotated(yield* load("val")), { examples: 4 })
      })
    ).pipe(Effect.provide(Images.layerMemory([scenes("train", 256), scenes("val", 16)]), { local: true }))
  },
  decoder: { run: inRun("decoder", trainDecoder(preset.decoder!, tokenizer, options)) },
  features: {
    run: ofSets((sets) => Effect.map(features(backbone, sets, preset.probe), (found) => void (seen = found)))
  },
  probe: {
    before: ofSets((sets) => Effect.map(features(backbone, sets, preset.probe), (found) => void (seen = found))),
    run: Effect.suspend(() => probe(preset.probe, { train: seen[0]!, validation: seen[1]!, tests: [seen[2]!] }))
  },
  knn: { run: Effect.suspend(() => knn(preset.knn, seen[0]!, [seen[2]!])) },
  sweep: {
    before: ofSets((sets) =>
      Effect.map(blockFeatures(backbone, sets, { blocks: 4, finalNorm: true }), (found) => void (blocks = found))
    ),
    run: Effect.suspend(() =>
      inRun("sweep", probeSweep(preset.probe, { train: blocks[0]!, validation: blocks[1]!, tests: [blocks[2]!] }))
    )
  },
  encode: { run: Effect.flatMap(load("train"), (set) => encode(tokenizer, set, () => Effect.void)) },
  cache: { run: cacheFeatures(preset.tokenizer, join(root, "cache"), { steps: 10, shardBytes: 2 ** 20 }) },
  atlas: { run: Effect.flatMap(load("train"), (set) => atlas(tokenizer, set, join(root, "atlas"))) },
  attention: {
    run: Effect.flatMap(load("in-new"), (set) => attention(backbone, set, () => Effect.void))
  },
  pca: { run: Effect.flatMap(load("in-new"), (set) => pca(backbone, set, () => Effect.void)) },
  doctor: {
    before: inRun(
      "doctor",
      Effect.flatMap(trainTokenizer(preset.tokenizer), (trained) => pretrain(preset.pretrain, trained))
    ),
    run: Effect.flatMap(load("in-new"), (set) => diagnoseOn(join(root, "doctor"), set))
  }
} satisfies Record<string, Part<unknown, Layer.Success<typeof machine>>>

const runtime = ManagedRuntime.make(machine)
let isLate = false
try {
  await runtime.runPromise(ofSets(() => Effect.void))
  const chosen = values.parts?.split(",")
  for (const [name, part] of Object.entries(parts)) {
    if (chosen !== undefined && !chosen.includes(name)) continue
    const { before, run } = part as Part<unknown, Layer.Success<typeof machine>>
    if (before !== undefined) await runtime.runPromise(before)
    const [lag] = await watched(Number(values.most), () => runtime.runPromise(run))
    isLate ||= lag.over > 0
    process.stdout.write(`${JSON.stringify({ part: name, ...lag })}\n`)
  }
} finally {
  await runtime.dispose()
  rmSync(root, { recursive: true, force: true })
}
process.exitCode = isLate ? 1 : 0
