import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync, utimesSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Replay from "../../src/pipelines/Replay.ts"
import { segment } from "../../src/pipelines/Segment.ts"
import { trainDecoder } from "../../src/pipelines/TrainDecoder.ts"
import { TrainingError } from "../../src/pipelines/training/Training.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, optimizer } from "./kit.ts"
import { scenes } from "./scenes.ts"

const root = mkdtempSync(join(tmpdir(), "patchword-replay-"))
afterAll(() => rmSync(root, { recursive: true }))

const preset = micro({ duration: 2, warmup: 1 })
const diverging = optimizer({ lr: 1e30, warmup: 0, duration: 6, clipNorm: null })

const decoder = new DecoderConfig({
  ...tiny.decoder!,
  width: 16,
  depth: 1,
  heads: 2,
  mlpRatio: 2,
  perceptual: 0.5,
  optimizer: diverging
})

const segmentation = new SegmentationConfig({
  ...tiny.segmentation!,
  vit: new VitConfig({ ...preset.pretrain.vit, relativePositions: "perBlock", depth: 4 }),
  taps: [1, 2, 3, 4],
  batchSize: 4,
  lr: 1e30,
  schedule: "cosine",
  steps: 6,
  warmup: 0,
  stride: 24
})

const failing = <A, E, R>(run: string, stage: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(stage)
    assert.instanceOf(error, TrainingError)
    return error as TrainingError
  }).pipe(Effect.provide(Runs.layer(join(root, run), { config: { test: "replay" } }), { local: true }))

const poisoned = Effect.map(Engine, (engine): Engine["Service"] => ({
  ...engine,
  train: (step, initial, steps) =>
    Effect.map(engine.train(step, initial, steps), (handle) => ({
      ...handle,
      run: (batch, number) => {
        ;(batch as { readonly targets: { readonly data: Float32Array } }).targets.data[5] = NaN
        return handle.run(batch, number)
      }
    }))
}))

layer(Layer.merge(machine, Files.layerNode))("a failed step", (it) => {
  describe("is replayed", () => {
    it.effect("from the run folder, and fails again as it did", () =>
      Effect.gen(function*() {
        const tokenizer = yield* trainTokenizer(preset.tokenizer).pipe(
          Effect.provide(Runs.layerMemory(), { local: true })
        )
        const stages = {
          pretrain: pretrain(new PretrainConfig({ ...preset.pretrain, optimizer: diverging }), tokenizer),
          finetune: finetune(new FinetuneConfig({ ...preset.finetune, optimizer: diverging }), undefined),
          decoder: trainDecoder(decoder, tokenizer),
          segment: segment(segmentation, undefined).pipe(
            Effect.provide(Images.layerMemory([scenes("train", 8)]))
          )
        }
        for (const [stage, training] of Object.entries(stages)) {
          const error = yield* failing(stage, training as typeof stages.pretrain)
          assert.include(error.message, "\"patchword replay RUN\" takes the step again")
          const failed = yield* Replay.find(join(root, stage), stage)
          const { before, reason, step } = yield* Replay.replay(failed)
          assert.isAbove(step, 1)
          assert.deepStrictEqual([failed.stage, step, reason], [stage, error.step, error.reason])
          assert.isUndefined(before)
        }
      }))

    it.effect("also if it is the first, and tells which array was not finite", () =>
      Effect.gen(function*() {
        const error = yield* failing(
          "first",
          trainTokenizer(preset.tokenizer).pipe(Effect.provideServiceEffect(Engine, poisoned))
        )
        assert.strictEqual(error.step, 1)
        const { before, reason } = yield* Replay.replay(yield* Replay.find(join(root, "first")))
        assert.deepStrictEqual(reason, error.reason)
        assert.deepStrictEqual(before, { array: "targets", index: 5, value: "NaN" })
      }))

    it.effect("as the last one by time, beside the others", () =>
      Effect.gen(function*() {
        const run = join(root, "two")
        const { make, writeBatch } = Weights
        const file = (name: string) => join(run, "stages", "replay", `${name}.safetensors`)
        for (const [at, name] of ["pretrain-step-900", "pretrain-step-7", "finetune-step-2"].entries()) {
          yield* writeBatch(file(name), make({}))
          utimesSync(file(name), at + 1, at + 1)
        }
        const { others, stage, step } = yield* Replay.find(run)
        assert.deepStrictEqual([stage, step, others], ["finetune", 2, [{ stage: "pretrain", step: 7 }]])
        const own = yield* Replay.find(run, "pretrain")
        assert.deepStrictEqual([own.step, own.others], [7, [{ stage: "finetune", step: 2 }]])
        const error = yield* Effect.flip(Replay.replay(own))
        assert.match(error.message, /no step function is known for the stage pretrain.*Replay\.take takes one/)
      }))

    it.effect("or is not there", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Replay.find(join(root, "first"), "pretrain"))
        assert.match(error.message, /keeps no batch of a failed step of pretrain; choose from the stages tokenizer$/)
      }))
  })
})
