import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import { type ImageSet, memory } from "../../src/layers/images/reading/ImageSet.ts"
import * as Augment from "../../src/layers/images/views/Augment.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import { micro, set } from "./kit.ts"

const train = set("train", 24)
const { augment } = micro().pretrain
const asked = { stage: "pretrain", set: train, seed: 3, batchSize: 6, size: 32, augment }

const bytes = ({ unit }: Batches.ImageBatch, at: number) => {
  const length = unit.data.length / unit.shape[0]
  return unit.data.subarray(at * length, (at + 1) * length)
}

describe("batches", () => {
  it.effect("refuse images in other colours than the configuration's", () =>
    Effect.gen(function*() {
      const official = { ...augment, colour: "official" as const }
      const managed: ImageSet = { ...train, colour: "managed" }
      const error = yield* Effect.flip(Batches.training({ ...asked, set: managed, augment: official }))
      assert.instanceOf(error, Batches.OtherColours)
      assert.include(error.message, "read in managed colours, but augment.colour of the network is official")
      const evaluated = (set: ImageSet, augment: typeof official | typeof asked.augment) =>
        Batches.evaluation({ set, batchSize: 24, size: 32, augment }, () => Effect.void)
      assert.instanceOf(yield* Effect.flip(evaluated(managed, official)), Batches.OtherColours)
      yield* evaluated(managed, augment)
      yield* evaluated({ ...train, colour: "official" }, official)
      yield* evaluated(train, official)
    }))
})

describe("training batches", () => {
  it.effect("by default show the views of the epoch's permutation", () =>
    Effect.gen(function*() {
      const { batch, stepsPerEpoch } = yield* Batches.training(asked)
      assert.strictEqual(stepsPerEpoch, 4)
      const { draws, epoch, indices, normalised, unit } = yield* batch(5)
      const order = KeyedRandom.permutation({ seed: 3, purpose: "pretrain/order", epoch: 1, index: 0 }, 24)
      assert.deepStrictEqual([epoch, indices], [1, [...order.subarray(6, 12)]])
      assert.deepStrictEqual(draws, indices)
      const views = yield* Effect.forEach(indices, (index) =>
        Effect.map(
          train.image(index),
          (picture) => Augment.view(picture, 32, augment, { seed: 3, purpose: "pretrain/view", epoch: 1, index })
        ))
      assert.deepStrictEqual({ normalised, unit }, Augment.batch(views, 32, augment))
    }))

  it.effect("of pretraining show the tokenizer the same rectangle in another size and by another filter", () =>
    Effect.gen(function*() {
      const twice = { ...augment, secondInterpolation: "lanczos" as const }
      const { batch } = yield* Batches.training({ ...asked, augment: twice, secondSize: 48 })
      const { indices, normalised, unit } = yield* batch(0)
      const alone = (size: number, change: Partial<typeof augment>) =>
        Effect.forEach(
          indices,
          (index) =>
            Effect.map(train.image(index), (picture) =>
              Augment.view(picture, size, { ...augment, ...change }, {
                seed: 3,
                purpose: "pretrain/view",
                epoch: 0,
                index
              }))
        )
      assert.deepStrictEqual(normalised, Augment.batch(yield* alone(32, {}), 32, augment).normalised)
      assert.deepStrictEqual(unit, Augment.batch(yield* alone(48, { interpolation: "lanczos" }), 48, augment).unit)
    }))

  it.effect("are refused by class where there is one class only", () =>
    Effect.gen(function*() {
      const lost = { ...train, labels: train.labels.map(() => 0), labelSource: "the column `x`" }
      for (const sampling of [{ balanced: true }, { perClass: 2 }]) {
        const error = yield* Effect.flip(Batches.training({ ...asked, set: lost, sampling }))
        assert.match(
          error.message,
          /train: its 24 images are all of one class, "disc"\. The label was read from the column `x`/
        )
      }
      assert.strictEqual((yield* Batches.training({ ...asked, set: lost })).stepsPerEpoch, 4)
    }))

  it.effect("draw a filter for each view where it is random", () =>
    Effect.gen(function*() {
      const picture = yield* train.image(0)
      const view = (index: number, interpolation: "bilinear" | "bicubic" | "random") =>
        Augment.view(picture, 20, { ...augment, interpolation }, { seed: 3, purpose: "view", epoch: 0, index })
      const drawn = Array.from({ length: 24 }, (_, index) =>
        (["bilinear", "bicubic"] as const).filter((filter) =>
          Buffer.compare(view(index, filter).data, view(index, "random").data) === 0
        ))
      assert.isTrue(drawn.every((filters) =>
        filters.length >= 1
      ))
      for (const filter of ["bilinear", "bicubic"]) {
        assert.isAtLeast(drawn.filter((filters) => filters.length === 1 && filters[0] === filter).length, 4, filter)
      }
      assert.deepStrictEqual(
        Augment.evaluationView(picture, 20, { ...augment, interpolation: "random" }),
        Augment.evaluationView(picture, 20, { ...augment, interpolation: "bicubic" })
      )
    }))

  it.effect("show a repeated image in another view", () =>
    Effect.gen(function*() {
      const { batch } = yield* Batches.training({ ...asked, sampling: { repeats: 3 } })
      const found = yield* batch(0)
      assert.deepStrictEqual(found.indices.map((place) => place === found.indices[0]), [
        true,
        true,
        true,
        false,
        false,
        false
      ])
      assert.notDeepEqual(bytes(found, 0), bytes(found, 1))
      assert.notDeepEqual(bytes(found, 1), bytes(found, 2))
    }))

  it.effect("of large pictures are what their recipe says, for classifiers too", () =>
    Effect.gen(function*() {
      const pictures = [0, 1, 2, 3].map((index) => ({
        width: 220 + index,
        height: 230,
        data: Uint8Array.from({ length: (220 + index) * 230 * 3 }, (_, i) => (i * (29 + index)) % 251)
      }))
      const large = memory("large", ["one"], pictures, [0, 0, 0, 0])
      const policies = { randAugment: { operations: 2, magnitude: 9, deviation: 0.5 } }
      for (const recipe of [{ size: 32, augment }, { size: 32, augment, policies }]) {
        const { batch } = yield* Batches.training({ ...asked, ...recipe, set: large, batchSize: 4 })
        const { indices, normalised, unit } = yield* batch(0)
        const views = indices.map((index) =>
          Augment.make(pictures[index]!, recipe, { seed: 3, purpose: "pretrain/view", epoch: 0, index }).first
        )
        assert.deepStrictEqual({ normalised, unit }, Augment.batch(views, 32, augment))
      }
    }))

  it.effect("are the same in memory that is used again", () =>
    Effect.gen(function*() {
      const { batch, recycle } = yield* Batches.training(asked)
      const first = yield* batch(0)
      const kept = first.normalised.data.slice()
      recycle([first.unit.data, first.normalised.data])
      const second = yield* batch(1)
      const arrays = new Set([first.unit.data, first.normalised.data])
      assert.isTrue(arrays.has(second.unit.data) && arrays.has(second.normalised.data))
      assert.notStrictEqual(second.unit.data, second.normalised.data)
      const own = second.normalised.data.slice()
      recycle([own])
      assert.notStrictEqual((yield* batch(2)).unit.data, own)
      const again = yield* batch(0)
      assert.deepStrictEqual(again.normalised.data, kept)
      assert.isFalse(arrays.has(again.unit.data))
      const fresh = yield* (yield* Batches.training(asked)).batch(1)
      assert.deepStrictEqual(second, fresh)
    }))

  it.effect("of two readers are the halves of one reader's", () =>
    Effect.gen(function*() {
      const whole = yield* (yield* Batches.training(asked)).batch(2)
      for (const index of [0, 1]) {
        const { batch } = yield* Batches.training({ ...asked, batchSize: 3, shard: { index, count: 2 } })
        const half = yield* batch(2)
        half.indices.forEach((place, at) => {
          assert.strictEqual(place, whole.indices[2 * at + index])
          assert.deepStrictEqual(bytes(half, at), bytes(whole, 2 * at + index))
        })
      }
    }))

  it.effect("fail when the part that is used, or all readers' share, is less than one", () =>
    Effect.gen(function*() {
      const few = yield* Effect.flip(Batches.training({ ...asked, sampling: { perClass: 1 } }))
      assert.include(few.message, "train has 3 images, but one update takes 6")
      const many = yield* Effect.flip(Batches.training({ ...asked, shard: { index: 0, count: 5 } }))
      assert.include(many.message, "24 images, but one update takes 30")
    }))

  it.effect("are configured by a key that may be absent, and whose parts are checked", () =>
    Effect.gen(function*() {
      const plain = JSON.parse(JSON.stringify(micro()))
      const read = (sampling: object) =>
        Config.decode(Preset, "run.json")({ ...plain, pretrain: { ...plain.pretrain, sampling } })
      assert.deepStrictEqual((yield* read({ repeats: 3 })).pretrain.sampling, { repeats: 3 })
      const { problems } = yield* Effect.flip(read({ balnced: true, share: 2 }))
      assert.deepStrictEqual(problems.map(({ path }) => path).toSorted(), [
        "pretrain.sampling.balnced",
        "pretrain.sampling.share"
      ])
    }))
})
