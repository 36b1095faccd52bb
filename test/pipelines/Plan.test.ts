import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { OptimizerConfig } from "../../src/domain/config/OptimizerConfig.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as Plan from "../../src/pipelines/Plan.ts"
import * as Memory from "../../src/pipelines/training/Memory.ts"
import { micro } from "./kit.ts"

const given = { images: 24, classes: 3, teacherWidth: 8, stages: ["tokenizer", "pretrain"] } as const
const preset = micro({ duration: 2, warmup: 1 })

describe("plan", () => {
  it("writes sizes in the unit that fits them", () => {
    const sizes = [1, 2 ** 20 - 1, 1000 * 2 ** 20, 8 * 2 ** 30, 1030 * 2 ** 30, 1e18].map(Memory.show)
    assert.deepStrictEqual(sizes, ["1 bytes", "1.00 MiB", "0.977 GiB", "8.00 GiB", "1.01 TiB", "909495 TiB"])
  })

  it.live("reckons what a run asks for, and says what does not fit", () =>
    Effect.gen(function*() {
      const { featureCache, machine, problems, stages } = yield* Plan.plan(preset, given)
      const [tokenizer, pretrain] = stages
      assert.deepStrictEqual(problems, [])
      assert.isAbove(machine.memory, tokenizer!.memory)
      assert.strictEqual(pretrain!.stepsPerEpoch, Math.floor(24 / preset.pretrain.optimizer.batchSize))
      const { batchSize, imagesPerSecond, seconds, steps } = pretrain!
      assert.closeTo(seconds! * imagesPerSecond!, steps * batchSize, 1e-6)
      const { encoder, optimizer } = preset.tokenizer
      assert.isAtLeast(featureCache, tokenizer!.steps * optimizer.batchSize * encoder.patches * given.teacherWidth * 2)

      const disk = tokenizer!.disk + pretrain!.disk
      const refused = (free: number) =>
        Effect.map(Plan.plan(preset, { ...given, free }), ({ problems }) => problems.join("\n"))
      assert.match(yield* refused(disk - 1), /^checkpoints and weights take \S+ KiB, and \S+ KiB are free; free some/)
      assert.match(yield* refused(disk), /^a cache of features takes .* keep the cache on another disk$/)
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("tells no time where the images do not make one update, and says so", () =>
    Effect.gen(function*() {
      const few = { ...given, images: preset.pretrain.optimizer.batchSize - 1, stages: ["pretrain"] as const }
      const { problems, stages: [stage] } = yield* Plan.plan(preset, few)
      assert.deepStrictEqual([stage!.stepsPerEpoch, stage!.secondsPerEpoch, stage!.seconds], [0, null, null])
      assert.match(
        problems.join("\n"),
        /^pretrain: too few images: one update takes \d+, and there are \d+\. .*; add images, or lower/
      )
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("counts the mean of gradients in what an update of several steps keeps", () =>
    Effect.gen(function*() {
      const disk = (config: Preset) =>
        Effect.map(Plan.plan(config, { ...given, stages: ["pretrain"] }), ({ stages }) => stages[0]!)
      const { optimizer } = preset.pretrain
      const several = new Preset({
        ...preset,
        pretrain: new PretrainConfig({
          ...preset.pretrain,
          optimizer: new OptimizerConfig({ ...optimizer, accumulate: 2 })
        })
      })
      const [one, two] = [yield* disk(preset), yield* disk(several)]
      assert.strictEqual(one.disk, 4 * 7 * one.parameters)
      assert.strictEqual(two.disk, 4 * 9 * two.parameters)
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("counts the networks that fine-tuning keeps beside its own", () =>
    Effect.gen(function*() {
      const planned = (ema: number | null) =>
        Effect.map(
          Plan.plan(
            new Preset({ ...preset, finetune: new FinetuneConfig({ ...preset.finetune, ema }) }),
            { ...given, stages: ["finetune"] }
          ),
          ({ stages }) => stages[0]!
        )
      const [none, averaged] = [yield* planned(null), yield* planned(0.9)]
      assert.strictEqual(none.disk, 4 * (2 * 3 + 2) * none.parameters)
      assert.strictEqual(averaged.disk, 4 * (2 * 4 + 3) * averaged.parameters)
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("allocates nothing of a network that the machine cannot hold, and says so", () =>
    Effect.gen(function*() {
      const wide = new VitConfig({ ...preset.finetune.vit, mlpRatio: 1e10 })
      const finetune = new FinetuneConfig({ ...preset.finetune, vit: wide })
      const huge = new Preset({ ...preset, finetune })
      const { problems, stages: [stage] } = yield* Plan.plan(huge, { ...given, stages: ["finetune"] })
      const { imagesPerSecond, memory, parameters, seconds } = stage!
      assert.deepStrictEqual([imagesPerSecond, seconds], [null, null])
      assert.isAbove(parameters, 2 * wide.depth * wide.width * wide.hidden)
      assert.isAtLeast(memory, 4 * 4 * parameters)
      assert.match(
        problems.join("\n"),
        /^finetune: the weights, their update and the images of a trial alone take \S+ TiB/m
      )
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("allocates nothing for images that do not fit beside the weights", () =>
    Effect.gen(function*() {
      const planned = (free: number) =>
        Effect.acquireUseRelease(
          Effect.sync(() => vi.spyOn(process, "availableMemory").mockReturnValue(free)),
          () => Plan.plan(preset, { ...given, stages: ["tokenizer"] }),
          (spy) => Effect.sync(() => spy.mockRestore())
        )
      const { stages: [refused] } = yield* planned(0)
      const { batchSize, disk, memory, parameters } = refused!
      const { imageSize, patches } = preset.tokenizer.encoder
      const numbers = batchSize * (3 * imageSize ** 2 + patches * given.teacherWidth)
      assert.isAtLeast(memory, 4 * 4 * parameters + 4 * numbers)
      const tight = yield* planned(disk + 4 * numbers)
      assert.isNull(tight.stages[0]!.imagesPerSecond)
      assert.match(tight.problems.join("\n"), /^tokenizer: .* and the images of a trial alone take/)
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("counts what the tokenizer computes for pretraining", () =>
    Effect.gen(function*() {
      const flops = (config: Preset) =>
        Effect.map(Plan.plan(config, { ...given, stages: ["pretrain"] }), ({ stages }) => stages[0]!.flopsPerImage)
      const { encoder } = preset.tokenizer
      const deep = new VitConfig({ ...encoder, depth: encoder.depth + 1 })
      const tokenizer = new TokenizerConfig({ ...preset.tokenizer, encoder: deep })
      assert.isAbove(yield* flops(new Preset({ ...preset, tokenizer })), yield* flops(preset))
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 20_000)

  it.live("knows segmentation and the probe, and what they keep", () =>
    Effect.gen(function*() {
      const { frozen: _, ...plain } = Presets.tiny.segmentation!
      const vit = new VitConfig({ ...preset.finetune.vit, depth: 4 })
      const segmentation = new SegmentationConfig({
        ...plain,
        frozen: null,
        vit,
        taps: [1, 2, 3, 4],
        head: "linear",
        batchSize: 4
      })
      const options = { ...given, pixelClasses: 3, stages: ["segment", "probe"] as const }
      const { problems, stages: [segment, probe] } = yield* Plan.plan(new Preset({ ...preset, segmentation }), options)
      assert.deepStrictEqual(problems, [])
      const { disk, imagesPerSecond, parameters, seconds, steps, stepsPerEpoch } = segment!
      assert.deepStrictEqual([stepsPerEpoch, steps], [6, segmentation.steps])
      assert.closeTo(seconds! * imagesPerSecond!, steps * 4, 1e-6)
      assert.isAtLeast(disk, 4 * (2 * 3 + 1) * parameters)
      assert.deepStrictEqual([probe!.disk, probe!.steps], [0, 1])
      assert.closeTo(probe!.seconds! * probe!.imagesPerSecond!, 24, 1e-6)
      const few = yield* Plan.plan(new Preset({ ...preset, segmentation }), {
        ...options,
        images: 3,
        stages: ["segment"]
      })
      assert.match(few.problems.join(), /^segment: too few images: .* or lower segmentation\.batchSize or accumulate$/)
      const upernet = new SegmentationConfig({
        ...segmentation,
        head: "upernet",
        finalNorm: false,
        channels: 8,
        batchSize: 2
      })
      const pyramid = yield* Plan.plan(new Preset({ ...preset, segmentation: upernet }), {
        ...options,
        stages: ["segment"]
      })
      assert.isAbove(pyramid.stages[0]!.flopsPerImage, segment!.flopsPerImage)
      assert.strictEqual(pyramid.featureCache, 0)
      const error = yield* Effect.flip(Plan.plan(preset, options))
      assert.match(error.message, /^segmentation: expected settings, but this configuration has none/)
    }).pipe(Effect.provide(Engine.layerOnnx({ threads: 1 }))), 40_000)
})
