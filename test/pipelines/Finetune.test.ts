import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Runtime } from "effect"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as AbsolutePosition from "../../src/domain/method/AbsolutePosition.ts"
import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Checkpoints from "../../src/layers/run/Checkpoints.ts"
import { Progress, silent } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import { evaluateClassifier, examineClassifier } from "../../src/pipelines/evaluate/Classify.ts"
import { finetune } from "../../src/pipelines/Finetune.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import type { Start } from "../../src/pipelines/training/Start.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, engine, micro, set } from "./kit.ts"

const { finetune: asked, pretrain } = micro({ duration: 2, warmup: 1, lr: 1e-12, minLr: 1e-12, weightDecay: 0 })
const config = new FinetuneConfig({ ...asked, vit: new VitConfig({ ...asked.vit, dropPath: 0 }) })

const initialised = (names: ReadonlyArray<string>) => ({
  config,
  classes: names,
  tensors: Weights.flatten(
    Parameter.initialise(Classifier.spec({ ...config, headScale: 1 }, names.length), 5)
  )
})

const train = set("train", 24)
const renamed = ImageSet.memory(
  "train",
  ["a", "b", "c"],
  await Effect.runPromise(Effect.forEach(Array.from({ length: 24 }, (_, i) => i), train.image)),
  Array.from(train.labels)
)

const begun = Effect.fnUntraced(function*(start: Start | undefined, images = train, given = config) {
  const said: Array<string> = []
  const hear = { ...silent, message: (text: string) => Effect.sync(() => void said.push(text)) }
  const { tensors } = yield* finetune(given, start).pipe(
    Effect.provideService(Progress, hear),
    Effect.provide(Layer.merge(Runs.layerMemory(), Images.layerMemory([images])), { local: true })
  )
  return { tensors, said: said.filter((text) => text.startsWith("finetune: ")) }
})

const near = (a: Weights.Tensors, b: Weights.Tensors, name: string) =>
  a[name]!.data.every((value, i) => Math.abs(value - b[name]!.data[i]!) < 1e-6)

describe("fine-tuning", () => {
  layer(Layer.merge(NodeServices.layer, engine))((it) => {
    it.effect("begins with all of a classifier of the same classes, and without the head of another", () =>
      Effect.gen(function*() {
        const start = initialised(classes)
        const same = yield* begun(start)
        assert.deepStrictEqual(same.said, [])
        for (const name of Object.keys(start.tensors)) assert.isTrue(near(same.tensors, start.tensors, name), name)

        const other = yield* begun(start, renamed)
        assert.deepStrictEqual(other.said, [
          "finetune: the head is left out, and a new one is trained. It has 3 classes (disc, stripes, frame), the images have 3 " +
          "(a, b, c)"
        ])
        assert.isTrue(near(other.tensors, start.tensors, "blocks.1.mlp.fc1.weight"))
        assert.isFalse(near(other.tensors, start.tensors, "head.weight"))

        const wide = yield* begun(initialised(["a", "b"]))
        assert.include(wide.said[0], "It has 2 classes (a, b), the images have 3")
      }))

    it.effect("refuses to compute otherwise than the weights were trained, by name", () =>
      Effect.gen(function*() {
        const plain = new VitConfig({ ...config.vit, relativePositions: "none" })
        const start = initialised(classes)
        const changed = (vit: Partial<VitConfig>, augment: Partial<FinetuneConfig["augment"]> = {}) =>
          new FinetuneConfig({
            ...config,
            vit: new VitConfig({ ...config.vit, ...vit }),
            augment: { ...config.augment, ...augment }
          })
        for (
          const [given, key] of [
            [changed({ heads: 4 }), "vit.heads: expected 2, the value that the weights were trained with, got 4"],
            [changed({ normEpsilon: 1e-5 }), "vit.normEpsilon: expected 0.000001"],
            [changed({ pooling: "cls" }), "vit.pooling: expected \"mean\""],
            [changed({}, { mean: [0, 0, 0] }), "augment.mean: expected [0.5,0.5,0.5]"],
            [changed({}, { std: [1, 1, 1] }), "augment.std: expected [0.27,0.27,0.27]"]
          ] as const
        ) {
          const error = yield* Effect.flip(begun(start, train, given))
          assert.strictEqual(error._tag, "ConfigError")
          assert.include(error.message, key)
        }
        const backbone = Backbone.untrained(new PretrainConfig({ ...pretrain, vit: plain }), 16)
        const eight = new FinetuneConfig({ ...config, vit: new VitConfig({ ...plain, heads: 8, pooling: "cls" }) })
        const heads = yield* Effect.flip(begun(backbone, train, eight))
        assert.include(heads.message, "vit.heads: expected 2, the value that the weights were trained with, got 8")
        assert.notInclude(heads.message, "pooling")
      }))

    it.effect("knows by its norms what a classifier of others pools", () =>
      Effect.gen(function*() {
        const { tensors } = initialised(classes)
        const ofToken = Object.fromEntries(
          Object.entries(tensors).map(([name, tensor]) => [name.replace(/^fc_norm\./, "norm."), tensor])
        )
        const token = new FinetuneConfig({ ...config, vit: new VitConfig({ ...config.vit, pooling: "cls" }) })
        for (const [given, asked, key] of [[ofToken, config, "cls"], [tensors, token, "mean"]] as const) {
          const error = yield* Effect.flip(begun({ source: "w.pth", tensors: given }, train, asked))
          assert.strictEqual(error._tag, "ConfigError")
          assert.include(error.message, `vit.pooling: expected "${key}", the value that the weights were trained with`)
        }
        yield* begun({ source: "w.pth", tensors: ofToken }, train, token)
        const pretrained = Object.fromEntries(Object.entries(ofToken).filter(([name]) => !name.startsWith("head.")))
        yield* begun({ source: "w.pth", tensors: pretrained }, train, config)
      }))

    it.effect("says what it assumes of weights that do not say how they compute", () =>
      Effect.gen(function*() {
        const { tensors } = initialised(classes)
        const tables = yield* begun({ source: "w.pth", tensors })
        assert.match(
          tables.said[0]!,
          /w\.pth has weights only. Assumed as configured: vit\.normEpsilon/
        )
        assert.notInclude(tables.said[0], "vit.heads")
        assert.include(tables.said[1], "the head for 3 classes is used. w.pth does not name the classes")
        const none = Object.fromEntries(Object.entries(tensors).filter(([name]) => !name.includes("relative_position")))
        const vit = new VitConfig({ ...config.vit, relativePositions: "none" })
        const absolute = yield* begun({ source: "w.pth", tensors: none }, train, new FinetuneConfig({ ...config, vit }))
        assert.include(absolute.said[0], "Assumed as configured: vit.heads 2, vit.normEpsilon 0.000001, augment.mean")
      }))

    it.effect.each(["relative", "absolute"] as const)(
      "goes on at a larger size with resized %s positions",
      (kind) =>
        Effect.gen(function*() {
          const vitOf = (imageSize: number) =>
            new VitConfig({
              ...config.vit,
              imageSize,
              ...(kind === "absolute" ? { absolutePositions: true, relativePositions: "none" } : {})
            })
          const small = new FinetuneConfig({ ...config, vit: vitOf(32) })
          const large = new FinetuneConfig({ ...config, vit: vitOf(48) })
          const start = {
            config: small,
            classes,
            tensors: Weights.flatten(
              Parameter.initialise(Classifier.spec({ ...small, headScale: 1 }, classes.length), 5)
            )
          }
          const { said, tensors } = yield* begun(start, train, large)
          assert.deepStrictEqual(said, [])
          const name = kind === "absolute" ? "pos_embed" : "blocks.0.attn.relative_position_bias_table"
          const before = start.tensors[name]! as HostTensor.HostTensor<ReadonlyArray<number>, "float32">
          const grids = [{ height: 4, width: 4 }, { height: 6, width: 6 }] as const
          const resize = kind === "absolute" ? AbsolutePosition.resize : RelativePosition.resize
          const resized = resize(before.data, before.shape.at(-1)!, ...grids)
          assert.deepStrictEqual(tensors[name]!.shape.slice(-2), kind === "absolute" ? [37, 16] : [124, 2])
          assert.isTrue(tensors[name]!.data.every((value, i) => Math.abs(value - resized[i]!) < 1e-6))
          for (const same of ["head.weight", "fc_norm.weight", "patch_embed.proj.weight", "blocks.1.mlp.fc1.weight"]) {
            assert.isTrue(near(tensors, start.tensors, same), same)
          }
          const wide = yield* begun({ ...start, classes: ["a", "b", "c"] }, train, large)
          assert.include(wide.said[0], "the head is left out, and a new one is trained")
          const [figure] = yield* evaluateClassifier({ config: large, classes, tensors }, [set("val", 12)])
          assert.strictEqual(figure!.images, 12)
        })
    )

    it.effect("says that large images are evaluated as a whole in the official code", () =>
      Effect.gen(function*() {
        const large = (evaluationCrop: number) =>
          new FinetuneConfig({
            ...config,
            vit: new VitConfig({ ...config.vit, imageSize: 384, patchSize: 96 }),
            augment: { ...config.augment, evaluationCrop }
          })
        const cropped = yield* begun(undefined, train, large(0.875))
        assert.match(cropped.said.join(), /^finetune: evaluation crops 0\.875 .*set augment\.evaluationCrop to 1$/)
        assert.deepStrictEqual((yield* begun(undefined, train, large(1))).said, [])
      }))

    it.effect("keeps the moving average of the weights beside them", () =>
      Effect.gen(function*() {
        const preset = micro({ duration: 3, batchSize: 4, accumulate: 2 })
        const trained = (ema: number | null) =>
          Effect.gen(function*() {
            const given = new FinetuneConfig({ ...preset.finetune, ema })
            const found = yield* finetune(given, undefined)
            const kept = yield* (yield* Runs.Runs).weights("finetune-ema")
            return { ...found, kept: Option.getOrUndefined(kept) }
          }).pipe(Effect.provide(Layer.merge(Runs.layerMemory(), Images.layerMemory([train])), { local: true }))
        const plain = yield* trained(null)
        assert.isUndefined(plain.averaged)
        assert.isUndefined(plain.kept)
        const none = yield* trained(0)
        assert.deepStrictEqual(Safetensors.encode(none.tensors), Safetensors.encode(plain.tensors))
        assert.deepStrictEqual(Safetensors.encode(none.averaged!.tensors), Safetensors.encode(plain.tensors))
        const half = yield* trained(0.5)
        assert.deepStrictEqual(Safetensors.encode(half.tensors), Safetensors.encode(plain.tensors))
        assert.isFalse(near(half.averaged!.tensors, plain.tensors, "head.weight"))
        const known = Option.getOrThrow(half.kept!.provenance)
        assert.deepStrictEqual([known.stage, known.model?._tag], ["finetune-ema", "Classifier"])
        assert.deepStrictEqual(half.kept!.tensors, half.averaged!.tensors)
      }))

    it.effect("keeps the first network of those with the highest accuracy on other images", () =>
      Effect.gen(function*() {
        const preset = micro({ unit: "epochs", duration: 4, warmup: 0 })
        const given = new FinetuneConfig({ ...preset.finetune, ema: 0.9 })
        const others = set("val", 12)
        const checkpoints = Runs.layerMemory({ keep: 100 })
        yield* Effect.gen(function*() {
          const trained = yield* finetune(given, undefined, { validation: "val", checkpointEvery: 3 })
          const rows = (yield* (yield* Runs.Runs).readLog).filter(({ stage }) => stage === "finetune-validation")
          const figures = rows.flatMap(({ averagedTop1, step, top1 }) => [
            { step, top1: Number(top1), network: "parameters" },
            { step, top1: Number(averagedTop1), network: "ema" }
          ])
          const most = Math.max(...figures.map(({ top1 }) => top1))
          const chosen = figures.find(({ top1 }) => top1 === most)!
          assert.strictEqual(trained.best!.step, chosen.step)
          const [last] = yield* examineClassifier(trained, [others])
          assert.strictEqual(last!.figure.top1, rows.at(-1)!.top1)
          assert.strictEqual(last!.report.loss, rows.at(-1)!.loss)
          const [averaged] = yield* examineClassifier(trained.averaged!, [others])
          assert.strictEqual(averaged!.figure.top1, rows.at(-1)!.averagedTop1)
          const [best] = yield* examineClassifier(trained.best!, [others])
          assert.strictEqual(best!.figure.top1, most)
          const kept = Option.getOrThrow(yield* (yield* Runs.Runs).weights("finetune-best"))
          const known = Option.getOrThrow(kept.provenance)
          assert.deepStrictEqual([known.stage, known.step, known.model?._tag], [
            "finetune-best",
            chosen.step,
            "Classifier"
          ])
          if (chosen.step < 12) {
            const { weights } = yield* (yield* Checkpoints.Checkpoints).read("finetune", chosen.step)
            const name = "head.weight"
            assert.deepStrictEqual(kept.tensors[name]!.data, weights[`${chosen.network}.${name}`]!.data)
          }
          const again = yield* finetune(given, undefined, { validation: "val" })
          assert.strictEqual(again.best!.step, chosen.step)
          const other = yield* Effect.flip(finetune(given, undefined))
          assert.include(other.message, "validation images")
        }).pipe(Effect.provide(Layer.merge(checkpoints, Images.layerMemory([train, others])), { local: true }))
      }))

    it.effect("measures the best network again, if a killed process kept it after its last checkpoint", () =>
      Effect.gen(function*() {
        const preset = micro({ unit: "epochs", duration: 2, warmup: 0, lr: 1e-12, minLr: 1e-12 })
        const given = preset.finetune
        const images = Images.layerMemory([train, set("val", 12)])
        const good = yield* finetune(micro({ unit: "epochs", duration: 30 }).finetune, undefined).pipe(
          Effect.provide(Layer.merge(Runs.layerMemory(), images), { local: true })
        )
        const [expected] = yield* evaluateClassifier(good, [set("val", 12)])
        yield* Effect.gen(function*() {
          const runs = yield* Runs.Runs
          const made = new Weights.Provenance({
            stage: "finetune-best",
            configDigest: "",
            dataDigest: "",
            step: 5,
            seed: 0,
            model: { _tag: "Classifier", config: given, classes }
          })
          yield* runs.saveWeights("finetune-best", Weights.make(good.tensors, made))
          const said: Array<string> = []
          const hear = { ...silent, message: (text: string) => Effect.sync(() => void said.push(text)) }
          const trained = yield* finetune(given, undefined, { validation: "val" }).pipe(
            Effect.provideService(Progress, hear)
          )
          assert.strictEqual(trained.best!.step, 5)
          assert.deepStrictEqual(trained.best!.tensors["head.weight"]!.data, good.tensors["head.weight"]!.data)
          const told = `the best is ${(100 * expected!.top1).toFixed(1)} % after step 5`
          assert.lengthOf(said.filter((line) => line.includes(told)), 2)
          assert.lengthOf(said.filter((line) => line.includes("which is after its last checkpoint")), 1)
        }).pipe(Effect.provide(Layer.merge(Runs.layerMemory(), images), { local: true }))
      }))

    it.effect("takes classifiers under every name, from files, runs and folders", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const network = { _tag: "Classifier", ...initialised(classes) } as const
        const backbone = { _tag: "Backbone", ...Backbone.untrained(pretrain, 16) } as const
        const made = new Weights.Provenance({ stage: "s", configDigest: "c", dataDigest: "d", step: 1, seed: 0 })
        yield* ModelFolder.write(`${folder}/hub`, network, { name: "n", provenance: made })
        yield* ModelFolder.write(`${folder}/backbone`, backbone, { name: "n", provenance: made })
        yield* fs.makeDirectory(`${folder}/run/stages`, { recursive: true })
        const { tensors, ...model } = network
        const known = new Weights.Provenance({ ...made, model })
        yield* Weights.write(`${folder}/run/stages/finetune.safetensors`, Weights.make(tensors, known))
        for (const path of ["hub", "hub/model.safetensors", "run", "run/finetune"]) {
          const found = yield* Artifact.trained(`${folder}/${path}`)
          assert.strictEqual(found._tag, "Classifier", path)
          assert.deepStrictEqual({ ...found.tensors }, { ...tensors }, path)
        }
        const text = yield* fs.readFileString(`${folder}/hub/config.json`)
        const { patchword: _own, ...foreign } = JSON.parse(text)
        yield* fs.writeFileString(`${folder}/hub/config.json`, JSON.stringify({ ...foreign, num_attention_heads: 4 }))
        yield* Weights.write(`${folder}/hub/model.safetensors`, Weights.make(tensors), {
          naming: "huggingface",
          network: "classifier"
        })
        const beside = yield* Effect.flip(Artifact.trained(`${folder}/hub/model.safetensors`))
        assert.include(beside.message, "relative_position_bias_table is [52, 2] float32, expected [52, 4] float32")
        yield* fs.writeFileString(`${folder}/hub/config.json`, "{\"model_type\":\"other\"}")
        const alone = yield* Effect.flip(Artifact.trained(`${folder}/hub/model.safetensors`))
        assert.strictEqual(alone.reason._tag, "NotAnArtifact")

        const pretrained = yield* Artifact.trained(`${folder}/backbone/model.safetensors`)
        assert.strictEqual(pretrained._tag, "Backbone")
        const { _tag: _, tensors: given, ...rest } = backbone
        yield* Weights.write(
          `${folder}/run/stages/pretrain.safetensors`,
          Weights.make(given, new Weights.Provenance({ ...made, model: { _tag: "Backbone", ...rest } }))
        )
        assert.strictEqual((yield* Artifact.trained(`${folder}/run`))._tag, "Backbone")

        const deeper = new VitConfig({ ...config.vit, depth: 900 })
        const claimed = new Weights.Provenance({
          ...made,
          model: { _tag: "Classifier", classes, config: new FinetuneConfig({ ...config, vit: deeper }) }
        })
        yield* fs.writeFile(
          `${folder}/deep.safetensors`,
          Safetensors.encode(tensors, { "patchword.provenance": JSON.stringify(claimed) })
        )
        const deep = yield* Effect.flip(Artifact.open(`${folder}/deep.safetensors`))
        assert.include(deep.message, "blocks.* of 900 blocks, got 2")
        assert.strictEqual(deep[Runtime.errorExitCode], 65)
      }))
  })
})
