import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import { FinetuneConfig } from "../../src/domain/config/FinetuneConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import { classes, engine, micro, set } from "./kit.ts"

const preset = micro()

const classifier = {
  _tag: "Classifier",
  config: preset.finetune,
  classes,
  tensors: Weights.flatten(Parameter.initialise(Classifier.spec(preset.finetune, 3), 3))
} as const

const backbone = { _tag: "Backbone", ...Backbone.untrained(preset.pretrain, 16) } as const

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
        assert.deepInclude(processor, {
          image_processor_type: "CLIPImageProcessor",
          size: { shortest_edge: 32 },
          crop_size: { height: 32, width: 32 },
          resample: 2,
          image_mean: [0.5, 0.5, 0.5],
          image_std: [0.27, 0.27, 0.27]
        })
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
        assert.isTrue(theirs._tag === "Classifier")
        if (theirs._tag !== "Classifier") return
        assert.deepStrictEqual(theirs.classes, classes)
        const { dropPath: _drop, ...vit } = classifier.config.vit
        assert.deepInclude(theirs.config.vit, { ...vit, normEpsilon: 1e-6 })
        assert.deepInclude(theirs.config.augment, {
          mean: [0.5, 0.5, 0.5],
          std: [0.27, 0.27, 0.27],
          interpolation: "bilinear",
          evaluationCrop: 1,
          evaluationSides: "shorter",
          evaluationOffset: "down"
        })
      }))

    it.effect("obeys or refuses each key of others", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = `${yield* fs.makeTempDirectoryScoped()}/model`
        yield* ModelFolder.write(folder, classifier, { name: "Shapes" })
        const { patchword: _, ...config } = JSON.parse(yield* fs.readFileString(`${folder}/config.json`))
        const processor = {
          feature_extractor_type: "BeitFeatureExtractor",
          do_resize: true,
          do_center_crop: false,
          do_normalize: true,
          image_mean: [0.5, 0.5, 0.5],
          image_std: 0.5,
          resample: 3,
          size: 32
        }
        const reading = Effect.fnUntraced(function*(changed: object, prepared: object = {}) {
          yield* fs.writeFileString(`${folder}/config.json`, JSON.stringify({ ...config, ...changed }))
          const text = JSON.stringify({ ...processor, ...prepared })
          yield* fs.writeFileString(`${folder}/preprocessor_config.json`, text)
          const found = yield* ModelFolder.read(folder)
          return found._tag === "Classifier" ? found : yield* Effect.die(`got a ${found._tag}`)
        })
        const plain = yield* reading({ layer_norm_eps: 0.01, torch_dtype: "float32", drop_path_rate: 0.1 })
        assert.strictEqual(plain.config.vit.normEpsilon, 0.01)
        assert.deepInclude(plain.config.augment, {
          mean: [0.5, 0.5, 0.5],
          std: [0.5, 0.5, 0.5],
          interpolation: "bicubic",
          evaluationCrop: 1,
          evaluationSides: "both",
          colour: "official"
        })
        assert.strictEqual((yield* reading({ layer_norm_eps: null })).config.vit.normEpsilon, 1e-12)
        const bare = yield* reading({}, {
          do_normalize: false,
          size: { height: 40, width: 40 },
          do_center_crop: true,
          crop_size: 32
        })
        assert.deepInclude(bare.config.augment, { mean: [0, 0, 0], std: [1, 1, 1], evaluationSides: "both" })
        assert.strictEqual(Math.trunc(32 / bare.config.augment.evaluationCrop), 40)

        const refused: ReadonlyArray<readonly [changed: object, prepared: object, key: string]> = [
          [{ hidden_act: "relu" }, {}, "hidden_act"],
          [{ num_channels: 1 }, {}, "num_channels"],
          [{ layer_norm_eps: 0 }, {}, "layer_norm_eps"],
          [{ head_dim: 4 }, {}, "head_dim"],
          [{ use_shared_relative_position_bias: true }, {}, "use_relative_position_bias"],
          [{ image_size: [32, 64] }, {}, "image_size"],
          [{ hidden_size: 0 }, {}, "hidden_size"],
          [{ hidden_size: -1 }, {}, "hidden_size"],
          [{ num_hidden_layers: 2_000_000 }, {}, "depth"],
          [{ id2label: {} }, {}, "id2label"],
          [{ id2label: { 0: "a", 2: "b" } }, {}, "id2label"],
          [{ num_attention_heads: 3 }, {}, "heads"],
          [{ quantization_config: { bits: 4 } }, {}, "quantization_config"],
          [{}, { image_processor_type: "ConvNextImageProcessor" }, "image_processor_type"],
          [{}, { resample: 0 }, "resample"],
          [{}, { do_resize: false }, "do_resize"],
          [{}, { do_rescale: false }, "do_rescale"],
          [{}, { rescale_factor: 1 / 127.5 }, "rescale_factor"],
          [{}, { size: { shortest_edge: 32 } }, "do_center_crop"],
          [{}, { size: { height: 32, width: 40 } }, "size"],
          [{}, { size: 48 }, "size"],
          [{}, { do_center_crop: true, crop_size: 24 }, "crop_size"],
          [{}, { do_center_crop: true, size: 24, crop_size: 32 }, "crop_size"],
          [{}, { image_std: [0.5, 0, 0.5] }, "image_std"],
          [{}, { crop_pct: 0.9 }, "crop_pct"]
        ]
        for (const [changed, prepared, key] of refused) {
          const error = yield* Effect.flip(reading(changed, prepared))
          assert.strictEqual(error.reason._tag, "ForeignError", key)
          assert.strictEqual(error[Runtime.errorExitCode], 65)
          assert.include(error.message, `${key}`)
        }
        const deep = yield* Effect.flip(reading({ num_hidden_layers: 200 }))
        assert.include(deep.message, "blocks.* of 200 blocks, got 2")
        yield* fs.writeFileString(`${folder}/config.json`, "[".repeat(20_000) + "]".repeat(20_000))
        const nested = yield* Effect.flip(ModelFolder.read(folder))
        assert.include(nested.message, "config.json")
        yield* fs.remove(`${folder}/preprocessor_config.json`)
        yield* fs.writeFileString(`${folder}/config.json`, JSON.stringify(config))
        const lacking = yield* Effect.flip(ModelFolder.read(folder))
        assert.include(lacking.message, "preprocessor_config.json: there is no such file")
        assert.strictEqual(lacking[Runtime.errorExitCode], 66)
      }))

    it.effect("refuses one of ours in which somebody changed what others obey", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = `${yield* fs.makeTempDirectoryScoped()}/model`
        yield* ModelFolder.write(folder, classifier, { name: "Shapes" })
        for (
          const [file, key, value] of [
            ["config.json", "num_attention_heads", 4],
            ["preprocessor_config.json", "image_mean", [0, 0, 0]]
          ] as const
        ) {
          const text = yield* fs.readFileString(`${folder}/${file}`)
          yield* fs.writeFileString(`${folder}/${file}`, JSON.stringify({ ...JSON.parse(text), [key]: value }))
          const error = yield* Effect.flip(ModelFolder.read(folder))
          assert.include(error.message, `${file} has values that are not supported here`)
          assert.include(error.message, `${key}: expected`)
          yield* fs.writeFileString(`${folder}/${file}`, text)
        }
      }))

    it.effect("computes with the variance that a file says", () =>
      Effect.gen(function*() {
        const logits = Effect.fnUntraced(function*(normEpsilon: number) {
          const vit = new VitConfig({ ...classifier.config.vit, normEpsilon })
          const config = new FinetuneConfig({ ...classifier.config, vit, headScale: 1 })
          const [found] = yield* classify({ ...classifier, config }, [set("val", 2)])
          return Array.from(found!)
        })
        const [plain, same, other] = [yield* logits(1e-6), yield* logits(1e-6), yield* logits(10)]
        assert.deepStrictEqual(same, plain)
        assert.isAbove(Math.max(...plain.map((value, i) => Math.abs(value / other[i]!))), 2)
      }).pipe(Effect.provide(engine)))

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
        assert.include(
          other.message,
          "config.json describes [\"BertModel\"]; use a network of patchword, or Beit"
        )
        assert.strictEqual(other[Runtime.errorExitCode], 65)
      }))
  })
})
