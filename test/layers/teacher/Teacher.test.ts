import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Runtime } from "effect"
import * as Presets from "../../../src/domain/config/presets/Presets.ts"
import * as KeyedRandom from "../../../src/domain/values/KeyedRandom.ts"
import * as Laws from "../../../src/laws/index.ts"
import * as Images from "../../../src/layers/images/Images.ts"
import * as ImageSet from "../../../src/layers/images/reading/ImageSet.ts"
import * as Teacher from "../../../src/layers/teacher/Teacher.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { holds } from "../../laws/kit.ts"
import { ended, endsInterrupted, watched } from "../machine/workers.ts"

const { integer, uniform } = KeyedRandom.generator({ seed: 5, purpose: "pictures", epoch: 0, index: 0 })

const picture = () => {
  const [a, b, c] = [uniform(), uniform(), uniform()]
  return {
    width: 30,
    height: 26,
    data: Uint8Array.from(
      { length: 30 * 26 * 3 },
      (_, i) => 128 + 60 * Math.sin(a * i + b * (i % 90) + c) + integer(0, 40)
    )
  }
}

const train = ImageSet.memory("train", ["any"], Array.from({ length: 12 }, picture), new Int32Array(12))

const options: Teacher.HogOptions = {
  patchSize: 8,
  imageSize: 24,
  components: 10,
  fitOn: 30,
  seed: 0,
  augment: Presets.tiny.tokenizer.augment
}

const teacher = (changed: Partial<Teacher.HogOptions> = {}, set = train) =>
  Effect.provide(
    Teacher.Teacher.useSync((made) => made),
    Layer.provide(Teacher.layerHog({ ...options, ...changed }), Images.layerMemory([set])),
    { local: true }
  )

const batch = HostTensor.make(
  [2, 3, 24, 24],
  "float32",
  Float32Array.from({ length: 2 * 3 * 24 * 24 }, () => uniform())
)

const hog = ManagedRuntime.make(
  Layer.provide(Teacher.layerHog(options), Images.layerMemory([train]))
)
afterAll(() => hog.dispose())
holds("Teacher.layerHog", Laws.teacher(hog, { side: 24 }))

describe("Teacher.layerHog", () => {
  it.effect("gives every patch a feature of unit length", () =>
    Effect.gen(function*() {
      const { features, name, width } = yield* teacher()
      assert.deepStrictEqual([name, width], ["hog", 10])
      const { data, shape } = yield* features(batch)
      assert.deepStrictEqual(shape, [2, 9, 10])
      for (let row = 0; row < 18; row++) assert.closeTo(Math.hypot(...data.subarray(row * 10, row * 10 + 10)), 1, 1e-6)
    }))

  it.live("is fitted in a thread, which ends, also when it is interrupted", () =>
    Effect.gen(function*() {
      const { answering } = yield* watched
      yield* teacher()
      ended(answering)
      yield* endsInterrupted(teacher())
    }))

  it.effect("takes images of other sizes", () =>
    Effect.gen(function*() {
      const { features } = yield* teacher()
      assert.deepStrictEqual((yield* features(HostTensor.zeros([1, 3, 16, 40], "float32"))).shape, [1, 10, 10])
    }))

  it.effect("is the same for the same seed and images, and has another digest for others", () =>
    Effect.gen(function*() {
      const first = yield* teacher()
      const again = yield* teacher()
      assert.strictEqual(again.digest, first.digest)
      assert.deepStrictEqual((yield* again.features(batch)).data, (yield* first.features(batch)).data)
      const others = [
        yield* teacher({ seed: 1 }),
        yield* teacher({ fitOn: 31 }),
        yield* teacher({}, ImageSet.subset(train, [1, 2, 3]))
      ]
      assert.strictEqual(new Set([first, ...others].map(({ digest }) => digest)).size, 4)
    }))

  it.effect("refuses images that are no whole number of patches", () =>
    Effect.gen(function*() {
      const { features } = yield* teacher()
      const error = yield* Effect.flip(features(HostTensor.zeros([1, 3, 24, 20], "float32")))
      assert.strictEqual(error[Runtime.errorExitCode], 65)
      assert.include(error.message, "teacher hog: the images have the shape [1, 3, 24, 20]")
    }))

  it.effect.each([{ patchSize: 7, imageSize: 21 }, { imageSize: 20 }, { components: 145 }, { components: 0 }])(
    "refuses measures that do not fit: %j",
    (changed) =>
      Effect.map(Effect.flip(teacher(changed)), (error) => {
        assert.strictEqual(error.reason._tag, "WrongMeasures")
        assert.strictEqual(error[Runtime.errorExitCode], 64)
      })
  )

  it.effect("fails as the images fail", () =>
    Effect.gen(function*() {
      const made = Layer.provide(Teacher.layerHog(options), Images.layerMemory([]))
      const error = yield* Effect.flip(Effect.provide(Teacher.Teacher.useSync(() => 0), made))
      assert.strictEqual(error[Runtime.errorExitCode], 66)
    }))
})
