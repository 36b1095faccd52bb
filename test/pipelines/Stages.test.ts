import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { AugmentConfig } from "../../src/domain/config/AugmentConfig.ts"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import type { Tensors } from "../../src/layers/weights/Weights.ts"
import { evaluateClassifier } from "../../src/pipelines/evaluate/Classify.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { knn } from "../../src/pipelines/evaluate/Knn.ts"
import { probe } from "../../src/pipelines/evaluate/Probe.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { machine, micro, recording, sets } from "./kit.ts"

const preset = micro({ duration: 40, warmup: 4 })

const average = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

const losses = (rows: ReadonlyArray<Runs.Row>, stage: string) =>
  rows.filter((row) => row.stage === stage).map(({ loss }) => Number(loss))

const bytes = (tensors: Tensors) => Buffer.from(Safetensors.encode(tensors)).toString("base64")

const stages = Effect.gen(function*() {
  const tokenizer = yield* trainTokenizer(preset.tokenizer)
  const backbone = yield* pretrain(preset.pretrain, tokenizer)
  const classifier = yield* finetune(preset.finetune, backbone)
  return { tokenizer, backbone, classifier }
})

describe("the stages", () => {
  layer(machine)((it) => {
    it.effect("run one after another, learn, and are not run again", () =>
      Effect.gen(function*() {
        const engine = yield* Engine
        const runs = yield* Runs.Runs
        const before = yield* engine.memory
        const trained = yield* stages
        const { backbone, classifier, tokenizer } = trained
        assert.deepStrictEqual(yield* engine.memory, before)

        const log = yield* runs.readLog
        for (const stage of ["tokenizer", "pretrain", "finetune"]) {
          const values = losses(log, stage)
          assert.strictEqual(values.length, 40)
          assert.isBelow(average(values.slice(-8)), 0.95 * average(values.slice(0, 8)), stage)
        }
        assert.isTrue(log.filter(({ stage }) => stage === "tokenizer").every(({ usage }) => Number(usage) <= 16))

        for (const network of [backbone, tokenizer]) {
          const [train, validation, test] = yield* features(network, sets, preset.probe)
          assert.deepStrictEqual(train!.features.shape, [24, 16])
          assert.deepStrictEqual(Array.from(test!.labels.subarray(0, 4)), [0, 1, 2, 0])
          const probed = yield* probe(preset.probe, {
            train: train!,
            validation: validation!,
            tests: [train!, test!]
          })
          assert.isAtLeast(probed.figures[0]!.top1, 0.6)
          const [near] = yield* knn(preset.knn, train!, [test!])
          assert.isTrue(near!.top1 >= 0 && near!.top1 <= 1)
        }
        const [known] = yield* evaluateClassifier(classifier, sets)
        assert.isAbove(known!.top1, 1 / 3)
        const turned = sets.map((set) => ({
          ...set,
          classes: set.classes.toReversed(),
          labels: set.labels.map((label) => set.classes.length - 1 - label)
        }))
        assert.deepStrictEqual((yield* evaluateClassifier(classifier, turned))[0], known)
        const other = yield* Effect.flip(
          evaluateClassifier({ ...classifier, classes: ["disc", "stripes", "ring"] }, sets)
        )
        assert.match(other.message, /split train: .*the classifier/)
        assert.deepStrictEqual(yield* engine.memory, before)

        const seen: Array<string> = []
        const again = yield* Effect.provideService(stages, Progress, recording(seen))
        assert.deepStrictEqual(seen, [])
        assert.deepStrictEqual(yield* runs.readLog, log)
        for (const stage of ["tokenizer", "backbone", "classifier"] as const) {
          assert.strictEqual(bytes(again[stage].tensors), bytes(trained[stage].tensors))
        }
      }).pipe(Effect.provide(Runs.layerMemory())))

    it.effect("give no classifier another order of names than it learned, nor a label that is no class", () =>
      Effect.gen(function*() {
        const { classes, image, labels, length } = sets[0]!
        const pictures = yield* Effect.forEach(Array.from({ length }, (_, index) => index), image)
        const named = (names: ReadonlyArray<string>, numbers: Int32Array) =>
          finetune(micro({ duration: 2, warmup: 1 }).finetune, undefined).pipe(
            Effect.provide(Images.layerMemory([ImageSet.memory("train", names, pictures, numbers)]), { local: true })
          )
        const wrong = yield* Effect.flip(named(classes, labels.map((label) => label + 1)))
        assert.match(wrong.message, /split train: image 2 has the label 3, but labels from 0 to 2 were expected/)
        const { classes: learned } = yield* named(classes, labels)
        assert.deepStrictEqual(learned, classes)
        const turned = yield* Effect.flip(named(classes.toReversed(), labels.map((label) => 2 - label)))
        assert.strictEqual(turned._tag, "OtherStage")
      }).pipe(Effect.provide(Runs.layerMemory())))

    it.effect("learn from mixed, changed and erased images, the same ones in another run", () =>
      Effect.gen(function*() {
        const config = new FinetuneConfig({
          ...preset.finetune,
          labelSmoothing: 0.1,
          mixup: { mixup: 0.8, cutmix: 1 },
          randAugment: { operations: 2, magnitude: 9, deviation: 0.5 },
          erasing: 0.25
        })
        const run = (config: FinetuneConfig) =>
          Effect.gen(function*() {
            const { tensors } = yield* finetune(config, undefined)
            return { tensors: bytes(tensors), log: yield* (yield* Runs.Runs).readLog }
          }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
        const one = yield* run(config)
        assert.deepStrictEqual(yield* run(config), one)
        const values = losses(one.log, "finetune")
        assert.isBelow(average(values.slice(-8)), average(values.slice(0, 8)))
        for (
          const change of [{ mixup: null }, { randAugment: null }, { randAugment: null, autoAugment: "v0" as const }, {
            erasing: 0
          }]
        ) {
          const other = yield* run(new FinetuneConfig({ ...config, ...change }))
          assert.notStrictEqual(other.tensors, one.tensors, Object.keys(change).join())
        }
      }))

    it.effect("pretrain a network on codes of images of another size with as many patches", () =>
      Effect.gen(function*() {
        const short = micro({ duration: 2, warmup: 1 })
        const { augment, vit } = short.pretrain
        const tokenizer = yield* trainTokenizer(short.tokenizer)
        const { log } = yield* Effect.gen(function*() {
          yield* pretrain(
            new PretrainConfig({
              ...short.pretrain,
              vit: new VitConfig({ ...vit, imageSize: vit.imageSize / 2, patchSize: vit.patchSize / 2 }),
              augment: new AugmentConfig({ ...augment, interpolation: "random", secondInterpolation: "lanczos" })
            }),
            tokenizer
          )
          return { log: yield* (yield* Runs.Runs).readLog }
        }).pipe(Effect.provide(Runs.layerMemory(), { local: true }))
        assert.lengthOf(losses(log, "pretrain"), 2)
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("give the same bytes in another run, and others under another seed", () =>
      Effect.gen(function*() {
        const short = micro({ duration: 3, warmup: 1 }).tokenizer
        const train = (seed: number) =>
          trainTokenizer(new TokenizerConfig({ ...short, seed })).pipe(
            Effect.provide(Runs.layerMemory(), { local: true }),
            Effect.map(({ tensors }) => bytes(tensors))
          )
        const one = yield* train(1)
        assert.strictEqual(yield* train(1), one)
        assert.notStrictEqual(yield* train(2), one)
      }))
  })
})
