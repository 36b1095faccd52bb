import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Runtime } from "effect"
import { AugmentConfig } from "../../src/domain/config/AugmentConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { Teacher } from "../../src/layers/teacher/Teacher.ts"
import { type FeatureOptions, features } from "../../src/pipelines/evaluate/Features.ts"
import type { Network } from "../../src/pipelines/evaluate/NetworkRows.ts"
import * as SelfDistillation from "../../src/pipelines/SelfDistillation.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { images, machine, micro, set } from "./kit.ts"

const preset = micro({ duration: 2, warmup: 1 })
const few = set("val", 5)

const options: FeatureOptions = { pooling: "mean", finalNorm: true }

const refused = Effect.fnUntraced(function*(layer: Layer.Layer<Teacher, unknown, Engine>, side: number) {
  const asked = Teacher.use(({ features }) => Effect.flip(features(HostTensor.zeros([1, 3, side, side], "float32"))))
  const error = yield* Effect.provide(asked, layer, { local: true })
  assert.strictEqual(error[Runtime.errorExitCode], 65)
  return error.message
})

const means = Effect.fnUntraced(function*(network: Network, layer: Layer.Layer<Teacher, unknown, Engine>) {
  const { augment } = preset.pretrain
  return yield* Effect.gen(function*() {
    const teacher = yield* Teacher
    const [batch] = yield* Batches.evaluation({ set: few, batchSize: 5, size: 32, augment }, Effect.succeed)
    const patches = yield* teacher.features(batch!.unit)
    const [pooled] = yield* features(network, [few], options)
    const [count, tokens, width] = patches.shape
    assert.deepStrictEqual([count, tokens, width, teacher.width], [5, 16, 16, 16])
    const found = Array.from({ length: count * width }, (_, i) => {
      const rows = Array.from(
        { length: tokens },
        (_, row) => patches.data[(Math.floor(i / width) * tokens + row) * width + i % width]!
      )
      return rows.reduce((sum, value) => sum + value, 0) / tokens
    })
    return { found, expected: pooled!.features.data }
  }).pipe(Effect.provide(layer, { local: true }))
})

const close = ({ expected, found }: { readonly expected: ArrayLike<number>; readonly found: ArrayLike<number> }) =>
  Array.from(found).forEach((value, i) => assert.closeTo(value, expected[i]!, 1e-5))

const fresh = Effect.provide(Runs.layerMemory(), { local: true })

describe("SelfDistillation", () => {
  layer(Layer.merge(machine, images))((it) => {
    it.effect("teaches with a backbone's normed patch tokens", () =>
      Effect.gen(function*() {
        const backbone = Backbone.untrained(preset.pretrain, 16)
        const layer = SelfDistillation.layerBackbone(backbone)
        close(yield* means(backbone, layer))
        assert.include(
          yield* refused(layer, 40),
          "the images have the shape [1, 3, 40, 40], but [B, 3, 32, 32] is expected"
        )
      }))

    it.effect("teaches the next tokenizer with an earlier one", () =>
      Effect.gen(function*() {
        const first = yield* fresh(trainTokenizer(preset.tokenizer))
        const layer = SelfDistillation.layerTokenizer(first)
        close(yield* means(first, layer))
        const second = yield* fresh(trainTokenizer(preset.tokenizer)).pipe(Effect.provide(layer, { local: true }))
        assert.deepStrictEqual([first.teacherWidth, second.teacherWidth], [8, 16])
      }))

    it.effect("has another digest for other weights and other configurations", () =>
      Effect.gen(function*() {
        const backbone = Backbone.untrained(preset.pretrain, 16)
        const digest = (given: Backbone.Backbone) =>
          Effect.provide(Teacher.useSync(({ digest }) => digest), SelfDistillation.layerBackbone(given), {
            local: true
          })
        const augment = new AugmentConfig({ ...preset.pretrain.augment, mean: [0, 0, 0] })
        const others = [
          backbone,
          Backbone.untrained(new PretrainConfig({ ...preset.pretrain, seed: 1 }), 16),
          { ...backbone, config: new PretrainConfig({ ...preset.pretrain, augment }) }
        ]
        assert.strictEqual(new Set(yield* Effect.forEach(others, digest)).size, 3)
        assert.strictEqual(yield* digest(Backbone.untrained(preset.pretrain, 16)), yield* digest(backbone))
      }))

    it.effect("says which of a network's tensors are missing", () =>
      Effect.gen(function*() {
        const { "norm.weight": _, ...tensors } = Backbone.untrained(preset.pretrain, 16).tensors
        const message = yield* refused(
          SelfDistillation.layerBackbone({ config: preset.pretrain, codes: 16, tensors }),
          32
        )
        assert.include(message, "teacher backbone: weights patch features: ")
        assert.include(message, "1 missing: parameters.norm.weight")
      }))
  })
})
