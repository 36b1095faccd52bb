import { assert, describe, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Option, Result, Runtime, Schema } from "effect"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { interruptedAt } from "../../src/laws/Interruption.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Images from "../../src/layers/images/Images.ts"
import { Checkpoints, CheckpointsError } from "../../src/layers/run/Checkpoints.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import type { Tokenizer } from "../../src/pipelines/trained/Tokenizer.ts"
import type { TrainingError } from "../../src/pipelines/training/Training.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import { images, machine, micro, optimizer, set } from "./kit.ts"

const preset = micro({ duration: 6 })

const untrained: Tokenizer = { config: preset.tokenizer, teacherWidth: 8, tensors: {} }

const finetuneWith = (options: Partial<FinetuneConfig>) => new FinetuneConfig({ ...preset.finetune, ...options })

const tokenizerWith = (encoder: Partial<VitConfig>) =>
  new TokenizerConfig({ ...preset.tokenizer, encoder: new VitConfig({ ...preset.tokenizer.encoder, ...encoder }) })

const fresh = Effect.provide(Runs.layerMemory(), { local: true })

const tagged = <E extends { readonly _tag: string }, T extends E["_tag"]>(error: E, tag: T) => {
  assert.strictEqual(error._tag, tag)
  return error as Extract<E, { readonly _tag: T }>
}

const single = Layer.provide(
  Teacher.layerHog({
    patchSize: 8,
    imageSize: 8,
    components: 8,
    fitOn: 24,
    seed: 0,
    augment: preset.tokenizer.augment
  }),
  images
)

const nanAt = (call: number) => {
  let calls = 0
  return Engine.use((engine) =>
    Effect.succeed(Engine.of({
      ...engine,
      train: (step, initial, steps) =>
        Effect.map(engine.train(step, initial, steps), (handle) => ({
          ...handle,
          run: (batch) =>
            Effect.suspend(() => {
              if (++calls === call) (batch as { readonly targets: HostTensor.Any }).targets.data[5] = NaN
              return handle.run(batch)
            })
        }))
    }))
  )
}

const teaching = (change: (data: Float32Array) => void) =>
  Effect.provideServiceEffect(
    Teacher.Teacher,
    Teacher.Teacher.use((teacher) =>
      Effect.succeed(Teacher.Teacher.of({
        ...teacher,
        features: (images) => Effect.tap(teacher.features(images), ({ data }) => Effect.sync(() => change(data)))
      }))
    )
  )

describe("stages refuse", () => {
  layer(machine)((it) => {
    it.effect("a network that the machine cannot hold before it makes any of it", () =>
      Effect.gen(function*() {
        const vit = new VitConfig({ ...preset.finetune.vit, mlpRatio: 1e10 })
        const error = yield* Effect.flip(finetune(finetuneWith({ vit }), undefined).pipe(fresh))
        assert.strictEqual(tagged(error, "EngineError").reason._tag, "OutOfMemory")
        assert.match(error.message, /^engine, finetune: .* take \S+ TiB, and the machine has \S+ GiB/)
      }))

    it.effect("a tokenizer with what tokenizers do not have, naming every key", () =>
      Effect.gen(function*() {
        const config = tokenizerWith({
          relativePositions: "shared",
          absolutePositions: false,
          layerScale: 0.1,
          dropPath: 0.2
        })
        const error = tagged(yield* Effect.flip(fresh(trainTokenizer(config))), "ConfigError")
        assert.strictEqual(error[Runtime.errorExitCode], 64)
        assert.deepStrictEqual(error.problems.map(({ path }) => path), [
          "encoder.absolutePositions",
          "encoder.relativePositions",
          "encoder.layerScale",
          "encoder.dropPath"
        ])
        assert.include(error.message, `expected "none", got "shared"`)
      }))

    it.effect("a grid that is not the tokenizer's", () =>
      Effect.gen(function*() {
        const config = new PretrainConfig({
          ...preset.pretrain,
          vit: new VitConfig({ ...preset.pretrain.vit, patchSize: 4 })
        })
        const error = tagged(yield* Effect.flip(fresh(pretrain(config, untrained))), "ConfigError")
        assert.include(
          error.message,
          "expected as many patches as the tokenizer's 32 pixels in patches of 8 make, got 32 in 4"
        )
      }))

    it.effect.each(
      [
        ["hold NaN", (data: Float32Array): void => void data.fill(NaN, 8 * 19 + 3, 8 * 19 + 4)],
        ["hold -Infinity", (data: Float32Array): void => void data.fill(-Infinity, 8 * 19, 8 * 19 + 1)],
        ["are all 0", (data: Float32Array): void => void data.fill(0, 8 * 19, 8 * 20)],
        ["are too small for 32 bits", (data: Float32Array): void => void data.fill(1e-30, 8 * 19, 8 * 20)],
        ["are too large for 32 bits", (data: Float32Array): void => void data.fill(1e20, 8 * 19, 8 * 20)]
      ] as const
    )("a teacher's features that %s, naming image and patch", ([problem, change]) =>
      Effect.gen(function*() {
        const error = tagged(
          yield* Effect.flip(fresh(trainTokenizer(preset.tokenizer)).pipe(teaching(change))),
          "TeacherError"
        )
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        const { reason } = error
        assert.strictEqual(reason._tag, "NoDirection")
        assert.match(error.message, /teacher hog: the features of patch 3 of image \d+ (.+)\. They have no direction/)
        assert.include(error.message, problem)
        assert.notInclude(error.message, "learning rate")
      }))

    it.effect("fewer images than an update takes", () =>
      Effect.gen(function*() {
        const few = Layer.fresh(Images.layerMemory([set("train", 7)]))
        const error = tagged(
          yield* Effect.flip(fresh(trainTokenizer(preset.tokenizer)).pipe(Effect.provide(few))),
          "TooFewImages"
        )
        assert.strictEqual(error[Runtime.errorExitCode], 66)
        assert.strictEqual(
          error.message,
          "tokenizer: train has 7 images, but one update takes 8; " +
            "add 1 image or more, or lower optimizer.batchSize to 7 or less"
        )
      }))

    it.effect("another configuration or other data for a stage that the run has finished", () =>
      fresh(Effect.gen(function*() {
        yield* trainTokenizer(preset.tokenizer)
        const other = new TokenizerConfig({ ...preset.tokenizer, seed: 1 })
        const error = tagged(yield* Effect.flip(trainTokenizer(other)), "OtherStage")
        assert.strictEqual(error[Runtime.errorExitCode], 73)
        assert.include(error.message, "(seed: the folder has 0, you ask for 1)")
        assert.include(error.message, "choose another run folder: its stages can take the weights of this one")
        const images = Images.layerMemory([set("train", 16)])
        const data = tagged(
          yield* Effect.flip(trainTokenizer(preset.tokenizer).pipe(Effect.provide(images))),
          "OtherStage"
        )
        assert.match(data.message, /\(images: the folder has "[0-9a-f]+…, you ask for "[0-9a-f]+…\)/)
        yield* trainTokenizer(other, { stage: "second" })
      })))
  })
})

describe("stages take", () => {
  layer(machine)((it) => {
    it.effect("batches of one image", () =>
      Effect.gen(function*() {
        const one = micro({ batchSize: 1, duration: 3, warmup: 1 })
        const tokenizer = yield* trainTokenizer(one.tokenizer)
        const backbone = yield* pretrain(one.pretrain, tokenizer)
        const classifier = yield* finetune(one.finetune, backbone)
        const rows = yield* (yield* Runs.Runs).readLog
        assert.strictEqual(rows.length, 9)
        assert.isTrue(rows.every(({ loss }) => Number.isFinite(loss)))
        assert.isTrue(Object.values(classifier.tensors).every(({ data }) => data.every(Number.isFinite)))
      }).pipe(fresh))

    it.effect("images of one patch, which leave nothing to predict from", () =>
      Effect.gen(function*() {
        const small = { imageSize: 8, patchSize: 8 }
        const config = tokenizerWith(small)
        const tokenizer = yield* trainTokenizer(config).pipe(Effect.provide(single))
        assert.isTrue(Object.values(tokenizer.tensors).every(({ data }) => data.every(Number.isFinite)))
        const vit = new VitConfig({ ...preset.finetune.vit, ...small })
        yield* finetune(finetuneWith({ vit }), undefined)
        const rows = yield* (yield* Runs.Runs).readLog
        assert.isTrue(rows.every(({ loss }) => Number.isFinite(loss)))
        const mask = { ...preset.pretrain.mask, count: 1, minBlock: 1 }
        const plain = Schema.encodeSync(PretrainConfig)(preset.pretrain)
        const refused = Schema.decodeUnknownResult(PretrainConfig)({ ...plain, mask, vit: { ...plain.vit, ...small } })
        assert.isTrue(Result.isFailure(refused))
      }).pipe(fresh))
  })
})

describe("a stage that is stopped", () => {
  layer(machine)((it) => {
    it.effect("does not pass over a state that could not be saved", () =>
      Effect.gen(function*() {
        const reason = new Files.FileError({ path: "optimizer.safetensors", kind: "full", cause: undefined })
        const full = new CheckpointsError({ reason })
        const checkpoints = yield* Checkpoints
        const begun = yield* Deferred.make<void>()
        const progress = { ...(yield* Progress), report: () => Effect.asVoid(Deferred.succeed(begun, undefined)) }
        const fiber = yield* trainTokenizer(preset.tokenizer).pipe(
          Effect.provideService(Checkpoints, { ...checkpoints, save: () => Effect.fail(full) }),
          Effect.provideService(Progress, progress),
          Effect.forkChild
        )
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))
        assert.strictEqual(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, full)
      }).pipe(fresh))
  })
})

describe("a step that is not finite", () => {
  layer(machine)((it) => {
    it.effect("keeps its batch and the state before it, from which the stage goes on", () =>
      Effect.gen(function*() {
        const { tensors } = yield* fresh(trainTokenizer(preset.tokenizer))
        yield* fresh(Effect.gen(function*() {
          const engine = yield* Engine
          const runs = yield* Runs.Runs
          const before = yield* engine.memory
          const error: TrainingError = tagged(
            yield* Effect.flip(trainTokenizer(preset.tokenizer).pipe(Effect.provideServiceEffect(Engine, nanAt(4)))),
            "TrainingError"
          )
          assert.deepStrictEqual(yield* engine.memory, before)
          assert.strictEqual(error[Runtime.errorExitCode], 70)
          assert.strictEqual(error.reason._tag, "NonFinite")
          assert.deepStrictEqual([error.stage, error.step], ["tokenizer", 4])
          assert.include(
            error.message,
            "keeps the state before it as a checkpoint and its batch as stages/replay/tokenizer-step-4.safetensors;"
          )
          const batch = Option.getOrThrow(yield* runs.weights(error.batch)).tensors
          assert.deepStrictEqual(batch["images"]!.shape, [8, 3, 32, 32])
          assert.isNaN(batch["targets"]!.data[5])
          assert.deepStrictEqual(yield* (yield* Checkpoints).steps("tokenizer"), [3])
          assert.deepStrictEqual((yield* runs.readLog).map(({ step }) => step), [1, 2, 3])
          assert.isTrue(Option.isNone(yield* runs.result("tokenizer")))

          const resumed = yield* trainTokenizer(preset.tokenizer)
          assert.deepStrictEqual(Safetensors.encode(resumed.tensors), Safetensors.encode(tensors))
          assert.deepStrictEqual((yield* runs.readLog).map(({ step }) => step), [1, 2, 3, 4, 5, 6])
        }))
      }))

    it.effect.each(["before saveBatch", "in saveBatch", "before save", "in save"])(
      "keeps its batch and the state before it, also when it is interrupted %s",
      (point) =>
        fresh(Effect.gen(function*() {
          const failing = trainTokenizer(preset.tokenizer).pipe(Effect.provideServiceEffect(Engine, nanAt(4)))
          assert.isTrue(yield* interruptedAt({ point, call: 1 }, failing))
          const { tensors } = Option.getOrThrow(yield* (yield* Runs.Runs).weights("replay/tokenizer-step-4"))
          assert.isNaN(tensors["targets"]!.data[5])
          assert.deepStrictEqual(yield* (yield* Checkpoints).steps("tokenizer"), [3])
        }))
    )

    it.effect("is where a learning rate beyond all measure ends", () =>
      Effect.gen(function*() {
        const config = new PretrainConfig({
          ...preset.pretrain,
          optimizer: optimizer({ lr: 1e30, warmup: 0, duration: 6, clipNorm: null })
        })
        const tokenizer = yield* trainTokenizer(preset.tokenizer)
        const error = tagged(yield* Effect.flip(pretrain(config, tokenizer)), "TrainingError")
        const rows = (yield* (yield* Runs.Runs).readLog).filter(({ stage }) => stage === "pretrain")
        assert.strictEqual(error.step, rows.length + 1)
        assert.isTrue(rows.every(({ loss }) => Number.isFinite(loss)))
        assert.strictEqual(error.batch, `replay/pretrain-step-${error.step}`)
        assert.deepStrictEqual(yield* (yield* Checkpoints).steps("pretrain"), [error.step - 1])

        const again = tagged(yield* Effect.flip(pretrain(config, tokenizer)), "TrainingError")
        assert.deepStrictEqual([again.step, again.batch], [error.step, error.batch])
        assert.strictEqual(again.reason._tag, "NonFinite")
        const rowsAfter = (yield* (yield* Runs.Runs).readLog).filter(({ stage }) => stage === "pretrain")
        assert.deepStrictEqual(rowsAfter, rows)
      }).pipe(fresh))
  })
})
