import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, ManagedRuntime, Option } from "effect"
import { AugmentConfig } from "../../src/domain/config/AugmentConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Laws from "../../src/laws/index.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as BlockFeatures from "../../src/pipelines/evaluate/BlockFeatures.ts"
import { blockFeatures, features } from "../../src/pipelines/evaluate/Features.ts"
import { probeSweep } from "../../src/pipelines/evaluate/ProbeSweep.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { holds } from "../laws/kit.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { machine, micro, sets } from "./kit.ts"

const preset = micro()
const CHANNELS = 3
const BLOCKS = 2

/** Only the mean of the last block knows the class, with an offset that a batch norm takes off. */
const around = (purpose: string, count: number): BlockFeatures.BlockFeatureSet => {
  const { normal } = KeyedRandom.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  const labels = Int32Array.from({ length: count }, (_, row) => row % 3)
  const width = 2 * BLOCKS * CHANNELS
  const values = Float32Array.from({ length: count * width }, (_, i) => {
    const channel = i % width - (width - CHANNELS)
    return (channel === labels[Math.floor(i / width)] ? 6 : 0) + normal() + 30
  })
  const classes = ["a", "b", "c"]
  return {
    name: purpose,
    digest: purpose,
    classes,
    labels,
    blocks: BLOCKS,
    features: HostTensor.make([count, width], "float32", values)
  }
}

const [train, val, test] = [around("train", 60), around("val", 45), around("test", 90)]

const sweep = {
  blocks: [1, 2] as const,
  pooling: ["cls", "cls+mean", "mean"] as const,
  rates: [1e-4, 1] as const,
  batchSize: 16,
  steps: 60,
  batchNorm: true,
  augment: null
}

const config = { ...preset.probe, sweep }

const STEPS = 6

const short = { ...config, sweep: { ...sweep, steps: STEPS } }

const runtime = ManagedRuntime.make(machine)
afterAll(() => runtime.dispose())

holds(
  "a sweep of probes",
  Laws.stage(runtime, {
    steps: STEPS,
    train: (options) =>
      Effect.gen(function*() {
        const found = yield* probeSweep(short, { train, validation: val, tests: [test] }, "same", {
          stage: "probe-sweep",
          ...options
        })
        const weights = Option.getOrThrow(yield* (yield* Runs.Runs).weights("probe-sweep"))
        return [JSON.stringify(found), digestOf(weights.tensors)]
      })
  }).slice(0, 1)
)

const square = { cropScale: [1, 1], cropRatio: [1, 1], flip: 0 } as const

/** A backbone whose central views are whole images. */
const backbone = Backbone.untrained(
  new PretrainConfig({
    ...preset.pretrain,
    augment: new AugmentConfig({ ...preset.pretrain.augment, evaluationCrop: 1, interpolation: "bicubic" })
  }),
  16
)

const options = { blocks: 2, finalNorm: true }

const learnt = (sweep: object, stage: string, images: ImageSet.ImageSet = sets[0]!) =>
  Effect.gen(function*() {
    const [train, val, test] = yield* blockFeatures(backbone, [sets[0]!, sets[1]!, sets[2]!], options)
    const found = yield* probeSweep(
      { ...short, finalNorm: true, sweep: { ...short.sweep, batchNorm: false, ...sweep } },
      { train: train!, validation: val!, tests: [test!] },
      "same",
      { stage, source: { network: backbone, images }, checkpointEvery: 2 }
    )
    return { found, weights: Option.getOrThrow(yield* (yield* Runs.Runs).weights(stage)).tensors }
  })

holds(
  "a sweep of probes on random views",
  Laws.stage(runtime, {
    steps: STEPS,
    train: ({ stage = "probe-sweep" }) =>
      Effect.map(
        learnt({ augment: {} }, stage),
        ({ found, weights }) => [JSON.stringify(found), digestOf(weights)]
      )
  }).slice(0, 1)
)

describe("a sweep of probes", () => {
  layer(machine)((it) => {
    it.effect("names the best head on the validation images, and measures it on others", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const before = yield* engine.memory
        const found = yield* probeSweep(config, { train, validation: val, tests: [test, val] })
        assert.deepStrictEqual(yield* engine.memory, before)
        assert.strictEqual(found.chosenOn, "a held-out part of train (6 of 60 images)")
        const given = yield* probeSweep(config, { train, validation: val, tests: [test] }, "same", { stage: "given" })
        assert.strictEqual(given.chosenOn, "val")
        assert.lengthOf(given.tried, 12)
        const best = Math.max(...given.tried.map(({ top1 }) => top1))
        assert.strictEqual(given.winner.name, given.tried.find(({ top1 }) => top1 === best)!.name)
        assert.match(given.winner.features.pooling, /mean/)
        assert.strictEqual(given.winner.rate, 1)
        assert.isTrue(given.atEdge)
        assert.isAbove(given.figures[0]!.top1, 0.9)
        for (const { features, top1 } of given.tried.filter(({ features }) => features.pooling === "cls")) {
          assert.isBelow(top1, 0.7, `${features.blocks}`)
        }
        const { name: _, ...winner } = given.winner
        const alone = { blocks: [winner.features.blocks], pooling: [winner.features.pooling], rates: [winner.rate] }
        const single = yield* probeSweep(
          { ...config, sweep: { ...sweep, ...alone } as never },
          { train, tests: [test] },
          "same",
          { stage: "given" }
        ).pipe(Effect.flip)
        assert.strictEqual(single._tag, "OtherStage")
        const only = yield* probeSweep(
          { ...config, sweep: { ...sweep, ...alone } as never },
          { train, tests: [test] },
          "same",
          { stage: "only" }
        )
        assert.deepStrictEqual(only, { ...only, winner: given.winner, tried: [], figures: given.figures })
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("learns from random views of the images, anew in each epoch", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const before = yield* engine.memory
        const alone = (sweep: object) =>
          Effect.provide(learnt(sweep, "probe-sweep"), Runs.layerMemory(), { local: true })
        const central = yield* alone({ augment: null })
        const whole = yield* alone({ augment: square })
        assert.deepStrictEqual(whole.found.tried.map(({ name }) => name), central.found.tried.map(({ name }) => name))
        for (const [name, { data }] of Object.entries(central.weights)) {
          whole.weights[name]!.data.forEach((value, i) => assert.closeTo(value, data[i]!, 2e-3, name))
        }
        const drawn = yield* alone({ augment: { ...square, cropScale: [0.1, 0.2] } })
        assert.notStrictEqual(digestOf(drawn.weights), digestOf(whole.weights))
        const mirrored = yield* alone({ augment: { ...square, flip: 1 } })
        assert.notStrictEqual(digestOf(mirrored.weights), digestOf(whole.weights))
        assert.deepStrictEqual(yield* engine.memory, before)
      }))

    it.effect("refuses random views without the images, or of others", () =>
      Effect.gen(function*() {
        const official = { ...config, sweep: { ...sweep, augment: {} } }
        const none = yield* Effect.flip(probeSweep(official, { train, tests: [] }))
        assert.match(none.message, /sweep\.augment: expected null, because the network and the images .* not given/)
        const others = yield* Effect.flip(learnt({ augment: {} }, "others", sets[1]!))
        assert.match(others.message, /sweep\.augment: expected null, because the images .* not those of train/)
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("takes its features from one pass, which are those of each evaluation", () =>
      Effect.gen(function*() {
        const backbone = Backbone.untrained(preset.pretrain, 16)
        const [all] = yield* blockFeatures(backbone, [sets[1]!], { blocks: 2, finalNorm: true })
        for (const pooling of ["cls", "mean"] as const) {
          const [alone] = yield* features(backbone, [sets[1]!], { pooling, finalNorm: true })
          const selected = BlockFeatures.select(all!, { blocks: 1, pooling })
          assert.deepStrictEqual(selected.features.shape, alone!.features.shape)
          selected.features.data.forEach((value, i) => assert.closeTo(value, alone!.features.data[i]!, 1e-5))
          assert.strictEqual(selected.digest, alone!.digest)
        }
        const both = BlockFeatures.select(all!, { blocks: 2, pooling: "cls+mean" })
        assert.deepStrictEqual(both.features.shape, [12, 48])
        const row = all!.features.data.subarray(64, 128)
        assert.deepStrictEqual(
          both.features.data.subarray(48, 96),
          Float32Array.of(...row.subarray(0, 32), ...row.subarray(48, 64))
        )
        const error = yield* Effect.flip(blockFeatures(backbone, [sets[1]!], { blocks: 3, finalNorm: true }))
        assert.match(error.message, /blocks: expected at most 2, the blocks of the network, got 3/)
      }))

    it.effect("refuses features of fewer blocks than it tries", () =>
      Effect.gen(function*() {
        const more = { ...config, sweep: { ...sweep, blocks: [4] as const } }
        const error = yield* Effect.flip(probeSweep(more, { train, tests: [] }))
        assert.match(error.message, /sweep\.blocks: expected at most 2, the blocks of the given features, got 4/)
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))
  })
})
