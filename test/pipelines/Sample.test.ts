import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Runtime } from "effect"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as Normalize from "../../src/domain/pixels/Normalize.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import * as Sample from "../../src/pipelines/runs/Sample.ts"
import * as SampleView from "../../src/pipelines/runs/SampleView.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, machine, micro, set } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-sample-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("a sample of the present batch", () => {
  it.live("has the images, masks and codes of its step, and predictions of the newest weights", () =>
    Effect.gen(function*() {
      const run = join(folder, "run")
      const preset = micro({ duration: 5 })
      const config = preset.pretrain
      yield* Effect.gen(function*() {
        const tokenizer = yield* trainTokenizer(preset.tokenizer)
        yield* pretrain(config, tokenizer, { checkpointEvery: 2 })
      }).pipe(Effect.provide(Layer.merge(machine, Runs.layer(run, { config: { test: "sample" } }))))

      const [found] = yield* Sample.read(run)
      assert.deepStrictEqual(found.map(({ stage, step }) => [stage, step]), [["pretrain", 4], ["tokenizer", 1]])
      const [sample] = found
      assert.strictEqual(sample!.pictures.length, 4)
      assert.isUndefined(sample!.predicted)

      const { batch } = yield* Batches.training({
        stage: "pretrain",
        set: set("train", 24),
        seed: config.seed,
        batchSize: config.optimizer.batchSize,
        size: config.vit.imageSize,
        secondSize: preset.tokenizer.encoder.imageSize,
        augment: config.augment,
        sampling: config.sampling
      })
      const { unit } = yield* batch(3)
      const pixels = 3 * 32 * 32
      const images = Normalize.unit(sample!.pictures)
      images.forEach((value, i) => assert.closeTo(value, unit.data[i]!, 0.6 / 255, `${i} of ${4 * pixels}`))

      const { codes, grid, masks } = sample!.masks!
      assert.deepStrictEqual(grid, { height: 4, width: 4 })
      masks.forEach((mask, i) => {
        assert.strictEqual(mask.reduce((sum, one) => sum + one, 0), 5)
        mask.forEach((one, place) => {
          const code = codes[i]![place]!
          assert.isTrue(one === 0 ? code === -1 : code >= 0 && code < 16)
        })
      })

      const kind = yield* inspect(join(run, "samples", "pretrain.safetensors"))
      assert.match(kind._tag === "Weights" ? kind.looksLike! : "", /^some images of the present batch/)
      const predict = Effect.provide(Sample.predict(run), engine)
      const stages = [join(run, "stages"), join(run, "elsewhere")] as const
      renameSync(...stages)
      assert.strictEqual((yield* predict).step, 4)
      renameSync(join(run, "checkpoints"), join(run, "others"))
      const none = yield* Effect.flip(predict)
      assert.match(none.message, /has no weights yet; wait for its first checkpoint/)
      renameSync(stages[1], stages[0])
      const predicted = yield* predict
      renameSync(join(run, "others"), join(run, "checkpoints"))
      assert.strictEqual(predicted.step, 5)
      assert.deepStrictEqual(yield* predict, predicted)
      const [[again]] = yield* Sample.read(run)
      assert.deepStrictEqual(again!.predicted, predicted)
      const shares = Sample.shares(again!)
      assert.deepStrictEqual(
        shares.map(({ masked, step, weights }) => [masked, step, weights]),
        Array(4).fill([5, 4, 5])
      )
      predicted.codes.forEach((row, i) =>
        row.forEach((code, place) => assert.strictEqual(code === -1, masks[i]![place] === 0))
      )
      const page = (yield* SampleView.render((yield* Sample.read(run))[0])).html
      assert.match(page, /The predictions are those of the weights after step 5/)
      assert.strictEqual(page.split("predicted</span>").length - 1, 4)
      const { problems, state } = yield* Registry.read(run)
      assert.deepStrictEqual([state, problems], ["finished", []])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("does not stop a training where it cannot be kept", () =>
    Effect.gen(function*() {
      const runs = yield* Runs.Runs
      const full = new Files.FileError({ path: "samples", kind: "full", cause: undefined })
      yield* trainTokenizer(micro({ duration: 3 }).tokenizer).pipe(
        Effect.provideService(Runs.Runs, {
          ...runs,
          saveSample: () => Effect.fail(new Runs.RunsError({ directory: "run", reason: full }))
        }),
        Effect.provide(machine)
      )
      assert.strictEqual((yield* runs.readLog).length, 3)
    }).pipe(Effect.provide(Runs.layerMemory())))

  it.effect("is refused where it is damaged, and told where it is not there", () =>
    Effect.gen(function*() {
      const run = join(folder, "none")
      assert.deepStrictEqual(yield* Sample.read(run), [[], []])
      const missing = yield* Effect.flip(Sample.predict(run))
      assert.strictEqual(missing._tag, "NothingToPredict")
      assert.strictEqual(missing[Runtime.errorExitCode], 66)
      const damaged = join(folder, "run", "samples", "pretrain.safetensors")
      writeFileSync(damaged, "{")
      const [, [error]] = yield* Sample.read(join(folder, "run"))
      assert.include(error!.message, damaged)
      assert.strictEqual(error![Runtime.errorExitCode], 65)
    }).pipe(Effect.provide(Layer.merge(engine, NodeServices.layer))))
})
