import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import { Images } from "../../src/layers/images/Images.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as TeacherEncoder from "../../src/layers/teacher/TeacherEncoder.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import type * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as OtherEncoder from "../../src/pipelines/training/OtherEncoder.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Eager from "../parity/eager.ts"
import { classes, machine, micro } from "./kit.ts"

const short = micro({ duration: 1, warmup: 0 })

const closely = (found: ArrayLike<number>, expected: ArrayLike<number>, most: number) => {
  assert.strictEqual(found.length, expected.length)
  for (let i = 0; i < found.length; i++) assert.closeTo(found[i]!, expected[i]!, most)
}

const dino = Effect.gen(function*() {
  const fixture = Eager.fixture("teacher_dino")
  const tensors = Object.fromEntries(
    fixture.keys("state").map((name) => {
      const { shape } = fixture.tensor(`state/${name}`)
      return [name, HostTensor.make(shape, "float32", fixture.numbers(`state/${name}`))]
    })
  )
  const file = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/dino.safetensors`
  yield* Weights.write(file, Weights.make(tensors))
  return { file, tensors }
})

describe("other encoders", () => {
  layer(machine)((it) => {
    it.effect("of a tokenizer give its own features, and are fine-tuned", () =>
      Effect.gen(function*() {
        const tokenizer = yield* trainTokenizer(short.tokenizer)
        const start = OtherEncoder.ofTokenizer(tokenizer)
        assert.isFalse(Object.keys(start.tensors).some((name) => name.startsWith("encoder.")))
        const config = yield* OtherEncoder.configOf(short.finetune, start)
        const { absolutePositions, layerScale, relativePositions } = config.vit
        assert.deepStrictEqual([absolutePositions, layerScale, relativePositions], [true, 0, "none"])
        const before: Classifier.Classifier = {
          config,
          classes,
          tensors: {
            ...start.tensors,
            "head.weight": HostTensor.zeros([classes.length, config.vit.width], "float32"),
            "head.bias": HostTensor.zeros([classes.length], "float32")
          }
        }
        const set = yield* (yield* Images).load("val")
        const options = { pooling: "mean", finalNorm: false } as const
        const [own] = yield* features(tokenizer, [set], options)
        const [taken] = yield* features(before, [set], options)
        closely(taken!.features.data, own!.features.data, 1e-5)
        const still = { ...config, optimizer: { ...config.optimizer, lr: 1e-30, minLr: 0, weightDecay: 0 } }
        const { tensors } = yield* finetune(still, start)
        const name = "blocks.1.mlp.fc1.weight"
        assert.deepStrictEqual(tensors[name]!.data, tokenizer.tensors[`encoder.${name}`]!.data)
        const error = yield* Effect.flip(finetune({ ...short.finetune, vit: config.vit }, start, { stage: "other" }))
        assert.include(error.message, "set finetune.augment.std to it")
      }).pipe(Effect.provide(Runs.layerMemory())))

    it.effect("of DINO give the features of the teacher", () =>
      Effect.gen(function*() {
        const { file, tensors } = yield* dino
        const read = yield* TeacherEncoder.dino(file, { heads: 2 })
        const start = OtherEncoder.ofTeacher(read)
        const given = { ...tiny.finetune, vit: { ...tiny.finetune.vit, imageSize: 32, pooling: "cls" as const } }
        const config = yield* OtherEncoder.configOf({ ...given, augment: short.finetune.augment } as never, start)
        const { width } = config.vit
        const classifier: Classifier.Classifier = {
          config,
          classes,
          tensors: {
            ...start.tensors,
            "head.weight": HostTensor.zeros([classes.length, width], "float32"),
            "head.bias": HostTensor.zeros([classes.length], "float32")
          }
        }
        const set = yield* (yield* Images).load("val")
        const [found] = yield* features(classifier, [set], { pooling: "mean", finalNorm: true })
        const picture = yield* set.image(0)
        const pixels = 32 * 32
        const unit = Float32Array.from(
          { length: 3 * pixels },
          (_, i) => picture.data[3 * (i % pixels) + Math.floor(i / pixels)]! / 255
        )
        const { data } = yield* Teacher.Teacher.pipe(
          Effect.flatMap((teacher) => teacher.features(HostTensor.make([1, 3, 32, 32], "float32", unit))),
          Effect.provide(Teacher.layerDino(Weights.make(tensors), { heads: 2 }))
        )
        const mean = Float32Array.from(
          { length: width },
          (_, c) => Array.from({ length: 16 }, (_, n) => data[n * width + c]!).reduce((sum, x) => sum + x, 0) / 16
        )
        closely(found!.features.data.subarray(0, width), mean, 1e-4)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

    it.effect("of DINO with registers are refused", () =>
      Effect.gen(function*() {
        const { file, tensors } = yield* dino
        const [, , width] = tensors["cls_token"]!.shape as ReadonlyArray<number>
        const more = { ...tensors, register_tokens: HostTensor.zeros([1, 4, width!], "float32") }
        yield* Weights.write(file, Weights.make(more))
        const error = yield* Effect.flip(TeacherEncoder.dino(file, { heads: 2 }))
        assert.include(error.message, "4 registers")
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
  })
})
