import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Runtime } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as MeanIou from "../../src/domain/evaluation/MeanIou.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Laws from "../../src/laws/index.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Progress from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Segmentation from "../../src/pipelines/evaluate/Segmentation.ts"
import { segment } from "../../src/pipelines/Segment.ts"
import { segmentFrozen } from "../../src/pipelines/SegmentFrozen.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as AnnotatedBatches from "../../src/pipelines/training/AnnotatedBatches.ts"
import type { StageOptions } from "../../src/pipelines/training/Stage.ts"
import { holds } from "../laws/kit.ts"
import { engine, micro } from "./kit.ts"
import { CLASSES, scenes } from "./scenes.ts"

const train = scenes("train", 20)

const { pretrain } = micro()

const deep = new PretrainConfig({ ...pretrain, vit: new VitConfig({ ...pretrain.vit, depth: 4, dropPath: 0 }) })

const backbone = Backbone.untrained(deep, 16)

const config = new SegmentationConfig({
  ...Presets.tiny.segmentation!,
  vit: new VitConfig({ ...deep.vit, relativePositions: "perBlock" }),
  taps: [1, 2, 3, 4],
  batchSize: 4,
  steps: 6,
  warmup: 2,
  stride: 24,
  frozen: { imageSize: 40, finalNorm: true, images: 20, l2: 1e-3, iterations: 20 }
})

const machine = Layer.mergeAll(engine, NodeServices.layer, Images.layerMemory([train, scenes("val", 6)]))

const runtime = ManagedRuntime.make(machine)
afterAll(() => runtime.dispose())

holds(
  "segmentation",
  Laws.stage(runtime, {
    train: (options: StageOptions) =>
      Effect.map(
        segment(config, backbone, options),
        ({ tensors }) => Buffer.from(Safetensors.encode(tensors)).toString("hex")
      ),
    steps: 6
  })
)

/** The mean IoU of the class that has the most pixels, guessed everywhere. */
const majority = Effect.fnUntraced(function*(set: AnnotatedBatches.AnnotatedSet) {
  let counts = MeanIou.empty(CLASSES.length)
  for (let index = 0; index < set.length; index++) {
    const { data } = yield* set.annotation(index)
    counts = MeanIou.add(counts, new Uint8Array(data.length), data)
  }
  return MeanIou.scores(counts).meanIou
})

const inMemory = { local: true } as const

describe("a segmenter", () => {
  layer(machine)((it) => {
    const sets = Effect.gen(function*() {
      const { load } = yield* Images.Images
      return {
        seen: yield* AnnotatedBatches.annotated(yield* load("train")),
        held: yield* AnnotatedBatches.annotated(yield* load("val"))
      }
    })

    it.effect("learns 20 images far better than the most frequent class", () =>
      Effect.gen(function*() {
        const { seen } = yield* sets
        const long = new SegmentationConfig({ ...config, steps: 80, warmup: 4, distortion: null })
        const trained = yield* segment(long, undefined).pipe(Effect.provide(Runs.layerMemory(), inMemory))
        const { examples, scores } = yield* Segmentation.evaluateSegmenter(trained, seen, { examples: 2 })
        assert.isAbove(scores.meanIou, (yield* majority(seen)) + 0.2)
        assert.deepStrictEqual(scores.classes, CLASSES)
        assert.isAbove(scores.foregroundIou!, scores.meanIou - 0.3)
        assert.deepStrictEqual(examples.map(({ name, predicted }) => [name, predicted.width]), [["0", 40], ["1", 40]])
      }), 60_000)

    it.effect("refuses annotations that ignore all pixels, to learn from and to measure on", () =>
      Effect.gen(function*() {
        const { seen } = yield* sets
        const annotation: AnnotatedBatches.AnnotatedSet["annotation"] = (index) =>
          Effect.map(seen.annotation(index), (labels) => ({ ...labels, data: labels.data.map(() => 255) }))
        const blank = { ...seen, annotation }
        const said = "train: no pixel of its annotations has a class"
        const images = Images.layerMemory([blank])
        for (const stage of [segment(config, backbone), segmentFrozen(config, backbone)]) {
          const error = yield* stage.pipe(Effect.flip, Effect.provide([Runs.layerMemory(), images], inMemory))
          assert.include(error.message, said)
        }
        const trained = yield* segment(new SegmentationConfig({ ...config, steps: 3 }), backbone).pipe(
          Effect.provide(Runs.layerMemory(), inMemory)
        )
        assert.include((yield* Effect.flip(Segmentation.evaluateSegmenter(trained, blank))).message, said)
      }))

    it.effect("trains UperNet, and refuses what it has no recipe for", () =>
      Effect.gen(function*() {
        const { held } = yield* sets
        const upernet = new SegmentationConfig({ ...config, head: "upernet", channels: 8, steps: 2, warmup: 1 })
        const trained = yield* segment(upernet, backbone).pipe(Effect.provide(Runs.layerMemory(), inMemory))
        assert.deepStrictEqual(trained.tensors["decode_head.conv_seg.weight"]!.shape, [3, 8, 1, 1])
        const { scores } = yield* Segmentation.evaluateSegmenter(trained, held)
        assert.strictEqual(scores.images, 6)
        const other = new SegmentationConfig({ ...upernet, auxiliary: 0.3 })
        const refused = yield* Effect.flip(segment(other, backbone).pipe(Effect.provide(Runs.layerMemory(), inMemory)))
        assert.include(refused.message, "auxiliary: expected 0.4")
        const normed = { ...upernet, finalNorm: true }
        const contradicted = yield* Effect.flip(
          segment(normed, backbone).pipe(Effect.provide(Runs.layerMemory(), inMemory))
        )
        const wide = { ...upernet, stride: 500, scale: [2, 1] as const, maxClassShare: 0 }
        const { problems } = yield* Effect.flip(Config.decode(SegmentationConfig, "it")(wide))
        assert.deepStrictEqual(problems.map(({ path }) => path), ["stride", "scale", "maxClassShare"])
        assert.include(contradicted.message, "finalNorm: expected false, because the head is upernet, got true")
      }), 60_000)

    it.effect("makes one update from several steps", () =>
      Effect.gen(function*() {
        const several = new SegmentationConfig({
          ...config,
          batchSize: 2,
          accumulate: 2,
          steps: 3,
          warmup: 1,
          schedule: "linear"
        })
        const seen: Array<string> = []
        yield* segment(several, backbone).pipe(
          Effect.andThen(Effect.flatMap(Runs.Runs, ({ readLog }) => readLog)),
          Effect.map((rows) => rows.map(({ gradientNorm, lr }) => seen.push(`${lr} ${gradientNorm !== undefined}`))),
          Effect.provide(Runs.layerMemory(), inMemory)
        )
        assert.lengthOf(seen, 6)
        const [rates, ends] = [0, 1].map((part) => seen.map((row) => row.split(" ")[part]!)) as [
          Array<string>,
          Array<string>
        ]
        assert.deepStrictEqual(ends, ["false", "true", "false", "true", "false", "true"])
        for (const at of [0, 2, 4]) assert.strictEqual(rates[at], rates[at + 1])
        assert.strictEqual(new Set(rates).size, 3)
      }))

    it.effect("learns its head alone, leaves the network as it is, and is kept", () =>
      Effect.gen(function*() {
        const { held, seen } = yield* sets
        const steps: Array<readonly [step: number, total: number]> = []
        const report = ({ stage, step, total }: Progress.Report) =>
          Effect.sync(() => void (stage === "segment head" && steps.push([step, total])))
        const first = yield* segmentFrozen(config, backbone).pipe(
          Effect.provideService(Progress.Progress, { ...Progress.silent, report })
        )
        assert.isAbove(steps.length, 2)
        assert.deepStrictEqual(steps.filter(([step, total]) => step === total), [steps.at(-1)!])
        assert.deepStrictEqual(first.tensors["backbone.cls_token"]!.data, backbone.tensors["cls_token"]!.data)
        assert.strictEqual(first.config.vit.imageSize, 40)
        const { scores } = yield* Segmentation.evaluateSegmenter(first, seen)
        assert.isAbove(scores.meanIou, (yield* majority(seen)) + 0.1)
        assert.strictEqual((yield* Segmentation.evaluateSegmenter(first, held)).scores.images, 6)
        const again = yield* segmentFrozen(config, backbone)
        assert.deepStrictEqual(again.tensors, first.tensors)
      }).pipe(Effect.provide(Runs.layerMemory(), inMemory)))

    it.effect("looks at an image in several sizes and mirrored, and at one smaller than its windows", () =>
      Effect.gen(function*() {
        const trained = yield* segmentFrozen(config, backbone)
        const one = yield* Segmentation.open(trained)
        const several = yield* Segmentation.open(trained, { ratios: [0.75, 1, 1.25], flip: true })
        const { held } = yield* sets
        const picture = yield* held.image(0)
        const [plain, mixed] = [yield* one(picture, "0"), yield* several(picture, "0")]
        assert.deepStrictEqual([mixed.width, mixed.height], [40, 40])
        const same = plain.data.filter((label, at) => label === mixed.data[at]).length
        assert.isAbove(same, 0.7 * plain.data.length)
        const small = { width: 24, height: 16, data: picture.data.subarray(0, 3 * 24 * 16) }
        assert.strictEqual((yield* one(small, "small")).data.length, 24 * 16)
      }).pipe(Effect.scoped, Effect.provide(Runs.layerMemory(), inMemory)))

    it.effect("refuses images without classes of pixels, or with others, and settings of another network", () =>
      Effect.gen(function*() {
        const { held } = yield* sets
        const bare = ImageSet.memory("train", ["."], [yield* held.image(0)], [0])
        const nameless = { ...bare, annotation: held.annotation }
        for (const set of [bare, nameless]) {
          const none = yield* Effect.flip(
            segment(config, backbone).pipe(Effect.provide(Images.layerMemory([set]), inMemory))
          )
          assert.strictEqual(none._tag, "NoPixelClasses")
          assert.strictEqual(none[Runtime.errorExitCode], 66)
        }
        const trained = yield* segmentFrozen(config, backbone)
        const others = { ...held, pixelClasses: ["ground", "red", "green"] }
        const other = yield* Effect.flip(Segmentation.evaluateSegmenter(trained, others))
        assert.strictEqual(other._tag, "OtherPixelClasses")
        assert.include(other.message, "class 2 of its pixels is green, but that of the segmenter is blue")
        const wrong = new SegmentationConfig({ ...config, mean: [0, 0, 0] })
        assert.include((yield* Effect.flip(segment(wrong, backbone))).message, "mean: expected [0.5,0.5,0.5]")
        const bareConfig = new SegmentationConfig({ ...config, frozen: null })
        assert.include((yield* Effect.flip(segmentFrozen(bareConfig, backbone))).message, "frozen: expected settings")
      }).pipe(Effect.provide(Runs.layerMemory(), inMemory)))
  })
})
