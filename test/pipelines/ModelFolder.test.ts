import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import * as Weights from "../../src/layers/Weights.ts"
import * as FinetuneStep from "../../src/nn/FinetuneStep.ts"
import * as Parameter from "../../src/nn/Parameter.ts"
import * as ModelFolder from "../../src/pipelines/ModelFolder.ts"
import { untrained } from "../../src/pipelines/Pretrain.ts"
import * as Sizes from "../../src/pipelines/Sizes.ts"
import { classes, micro } from "./kit.ts"

const preset = micro()

const classifier = {
  _tag: "Classifier",
  config: preset.finetune,
  classes,
  tensors: Weights.flatten(Parameter.initialise(FinetuneStep.spec(Sizes.classifier(preset.finetune, 3)), 3))
} as const

const backbone = { _tag: "Backbone", ...untrained(preset.pretrain, 16) } as const

const provenance = new Weights.Provenance({ stage: "finetune", configDigest: "c", dataDigest: "d", step: 7, seed: 3 })

describe("a model folder", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("holds a classifier as transformers describes one, and gives it back", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = `${yield* fs.makeTempDirectoryScoped()}/model`
        yield* ModelFolder.write(folder, classifier, { name: "Shapes", licence: "mit", provenance })
        assert.sameMembers(yield* fs.readDirectory(folder), [
          "README.md",
          "config.json",
          "model.safetensors",
          "preprocessor_config.json"
        ])
        const config = JSON.parse(yield* fs.readFileString(`${folder}/config.json`))
        assert.deepInclude(config, {
          model_type: "beit",
          hidden_size: 16,
          num_hidden_layers: 2,
          use_relative_position_bias: true,
          use_shared_relative_position_bias: false,
          id2label: { 0: "disc", 1: "stripes", 2: "frame" }
        })
        const processor = JSON.parse(yield* fs.readFileString(`${folder}/preprocessor_config.json`))
        assert.deepStrictEqual(processor.crop_size, { height: 32, width: 32 })
        const card = yield* fs.readFileString(`${folder}/README.md`)
        assert.match(card, /^---\nlibrary_name: patchword[^]*license: mit[^]*# Shapes[^]*\| dataDigest \| d \|/)
        const { tensors } = yield* Weights.read(`${folder}/model.safetensors`)
        assert.include(Object.keys(tensors), "beit.encoder.layer.0.attention.attention.query.weight")

        const back = yield* ModelFolder.read(folder)
        assert.deepStrictEqual(back.provenance, provenance)
        assert.strictEqual(back._tag, "Classifier")
        assert.deepStrictEqual({ ...back.tensors }, { ...classifier.tensors })
        assert.deepStrictEqual(back.config, classifier.config)

        const { patchword: _, ...foreign } = config
        yield* fs.writeFileString(`${folder}/config.json`, JSON.stringify(foreign))
        const theirs = yield* ModelFolder.read(folder)
        assert.deepStrictEqual({ ...theirs.tensors }, { ...classifier.tensors })
        assert.deepStrictEqual(theirs._tag === "Classifier" ? theirs.classes : [], classes)
      }))

    it.effect("holds a backbone without its aggregation head", () =>
      Effect.gen(function*() {
        const folder = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/model`
        yield* ModelFolder.write(folder, backbone, { name: "Shapes" })
        const back = yield* ModelFolder.read(folder)
        const main = Object.entries(backbone.tensors).filter(([name]) => !name.startsWith("cls_pt_"))
        assert.deepStrictEqual({ ...back.tensors }, Object.fromEntries(main))
        assert.isNull(back._tag === "Backbone" ? back.config.aggregation : undefined)
      }))

    it.effect("is refused where it is something else, or its weights are another's", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = `${yield* fs.makeTempDirectoryScoped()}/model`
        const missing = yield* Effect.flip(ModelFolder.read(folder))
        assert.strictEqual(missing[Runtime.errorExitCode], 66)
        yield* ModelFolder.write(folder, classifier, { name: "Shapes" })
        const config = JSON.parse(yield* fs.readFileString(`${folder}/config.json`))
        const wide = { ...config, patchword: undefined, hidden_size: 32, intermediate_size: 64 }
        yield* fs.writeFileString(`${folder}/config.json`, JSON.stringify(wide))
        const wrong = yield* Effect.flip(ModelFolder.read(folder))
        assert.include(wrong.message, "cls_token is [1, 1, 16] float32, expected [1, 1, 32] float32")
        assert.strictEqual(wrong[Runtime.errorExitCode], 65)
        yield* fs.writeFileString(
          `${folder}/config.json`,
          "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"]}"
        )
        const other = yield* Effect.flip(ModelFolder.read(folder))
        assert.include(other.message, "config.json describes [\"BertModel\"]; known are networks of patchword")
        assert.strictEqual(other[Runtime.errorExitCode], 65)
      }))
  })
})
