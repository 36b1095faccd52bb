import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Replay from "../../src/pipelines/Replay.ts"
import { TrainingError } from "../../src/pipelines/training/Training.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, optimizer } from "./kit.ts"

const root = mkdtempSync(join(tmpdir(), "patchword-replay-"))
afterAll(() => rmSync(root, { recursive: true }))

const preset = micro({ duration: 2, warmup: 1 })
const diverging = optimizer({ lr: 1e30, warmup: 0, duration: 6, clipNorm: null })

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
        const stages = {
          pretrain: Effect.gen(function*() {
            const tokenizer = yield* trainTokenizer(preset.tokenizer)
            return yield* pretrain(new PretrainConfig({ ...preset.pretrain, optimizer: diverging }), tokenizer)
          }),
          finetune: finetune(new FinetuneConfig({ ...preset.finetune, optimizer: diverging }), undefined)
        }
        for (const [stage, training] of Object.entries(stages)) {
          const error = yield* failing(stage, training as typeof stages.pretrain)
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

    it.effect("or is not there", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Replay.find(join(root, "first"), "pretrain"))
        assert.match(error.message, /keeps no batch of a failed step of pretrain; choose from the stages tokenizer$/)
      }))
  })
})
