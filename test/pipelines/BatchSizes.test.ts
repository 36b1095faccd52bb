import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option } from "effect"
import { DecoderConfig } from "../../src/domain/config/DecoderConfig.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import type { ImageSet } from "../../src/layers/images/reading/ImageSet.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import { atlas } from "../../src/pipelines/atlas/BuildAtlas.ts"
import { complete } from "../../src/pipelines/completion/Complete.ts"
import { evaluateDecoder } from "../../src/pipelines/completion/Reconstruct.ts"
import * as ImageFigures from "../../src/pipelines/doctor/ImageFigures.ts"
import { classify, evaluateClassifier } from "../../src/pipelines/evaluate/Classify.ts"
import { encode, encodeAll } from "../../src/pipelines/evaluate/Encode.ts"
import { encodeShards } from "../../src/pipelines/evaluate/EncodeShards.ts"
import { evaluatePretraining, evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { blockFeatures, features } from "../../src/pipelines/evaluate/Features.ts"
import { predict } from "../../src/pipelines/evaluate/Predict.ts"
import { changedCodes, robustness } from "../../src/pipelines/evaluate/Robustness.ts"
import { attention } from "../../src/pipelines/look/Attention.ts"
import { pca } from "../../src/pipelines/look/Pca.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Decoder from "../../src/pipelines/trained/Decoder.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { classes, engine, images, micro, set, teacher } from "./kit.ts"

const preset = micro()
const { dim, size: codes } = preset.tokenizer.codebook
const sizes = Tokenizer.sizes(preset.tokenizer, 8)
const { patches } = preset.tokenizer.encoder

const tokenizer: Tokenizer.Tokenizer = {
  config: preset.tokenizer,
  teacherWidth: Dim.named("teacherWidth", 8),
  tensors: Weights.flatten(Parameter.initialise({
    ...Tokenizer.spec(sizes, { parameters: {}, state: {} }),
    quantize: { embedding: { weight: Parameter.normal([codes, dim], { ...Parameter.finetuning, deviation: 1 }) } }
  }, 0))
}

const backbone = Backbone.untrained(preset.pretrain, codes)

const classifier = {
  config: preset.finetune,
  classes,
  tensors: Weights.flatten(Parameter.initialise(Classifier.spec(preset.finetune, classes.length), 3))
}

const described = Decoder.describe(
  new DecoderConfig({ ...tiny.decoder!, width: 16, depth: 1, heads: 2, mlpRatio: 2 }),
  tokenizer,
  digestOf(tokenizer.tensors)
)
const means = HostTensor.zeros([codes, 3 * described.patchSize ** 2], "float32")
const decoder: Decoder.Decoder = {
  ...described,
  tensors: {
    ...Weights.flatten(Parameter.initialise(Decoder.spec(described), 0)),
    codebook: tokenizer.tensors["quantize.embedding.weight"]!,
    "baseline.means": means,
    "baseline.seen": HostTensor.zeros([codes], "float32")
  }
}

const nothing = () => Effect.void
const mean = { pooling: "mean", finalNorm: true } as const
const encoded = Array.from(
  { length: 3 },
  () => ({ codes: new Int32Array(patches), cosines: new Float32Array(patches), cosine: 0 })
)

const verbs = (few: ImageSet, folder: string) => ({
  encode: encode(tokenizer, few, nothing),
  encodeShards: encodeShards(tokenizer, few, `${folder}/shards`),
  features: features(backbone, [few], mean),
  blockFeatures: blockFeatures(backbone, [few], { blocks: 1, finalNorm: true }),
  attention: attention(backbone, few, nothing),
  pca: pca(backbone, few, nothing),
  predict: predict(classifier, few, nothing),
  classify: classify(classifier, [few]),
  evaluateClassifier: evaluateClassifier(classifier, [few]),
  evaluateTokenizer: evaluateTokenizer(tokenizer, few),
  evaluatePretraining: evaluatePretraining(backbone, encoded, few),
  evaluateDecoder: evaluateDecoder(decoder, tokenizer, few),
  complete: complete({ backbone, decoder, tokenizer }, few, {}, nothing),
  doctor: ImageFigures.ofTokenizer(tokenizer, tokenizer, few),
  atlas: atlas(tokenizer, few, `${folder}/atlas`),
  changedCodes: changedCodes(tokenizer, few, [{ kind: "brightness", severity: 1 }]),
  robustness: robustness(classifier, [{ name: "few", load: Effect.succeed(few) }], {
    network: "finetune",
    train: "",
    folder: Option.none()
  })
})

const opened: Array<number> = []

const recorder = Layer.effect(
  Engine.Engine,
  Effect.map(Engine.Engine, (own) =>
    Engine.Engine.of({
      ...own,
      infer: (inference) =>
        Effect.sync(() => {
          const { codes, images } = inference.batch as { codes?: HostTensor.Any; images?: HostTensor.Any }
          opened.push(images === undefined ? codes!.shape[0]! / patches : images.shape[0]!)
          const reason = new Engine.Disposed()
          return { run: () => Effect.fail(new Engine.EngineError({ program: inference.name, reason })) }
        })
    }))
).pipe(Layer.provide(Layer.fresh(Engine.layerReference)))

describe("the batches of an evaluation", () => {
  it("are no larger than the largest set, and not empty", () => {
    const of = (...lengths: ReadonlyArray<number>) => Batches.fitting(64, ...lengths.map((length) => ({ length })))
    assert.deepStrictEqual([of(3), of(3, 5), of(64), of(65), of(500, 2), of(0), of()], [3, 5, 64, 64, 64, 1, 1])
  })

  layer(Layer.mergeAll(recorder, Layer.provide(teacher, images), NodeServices.layer))((it) => {
    it.effect("have three images for a set of three, in every verb", () =>
      Effect.gen(function*() {
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        for (const [name, verb] of Object.entries(verbs(set("few", 3), folder))) {
          opened.length = 0
          const error = yield* Effect.flip<unknown, unknown, Effect.Services<typeof verb>>(verb)
          assert.instanceOf(error, Engine.EngineError, name)
          assert.isNotEmpty(opened, name)
          assert.deepStrictEqual(new Set(opened), new Set([3]), name)
        }
      }))
  })

  layer(engine)((it) => {
    it.effect("do not change figures beyond rounding", () =>
      Effect.gen(function*() {
        const [few, more] = [set("some", 3), set("some", 9)]
        const figures = Effect.fnUntraced(function*(images: ImageSet) {
          const [found] = yield* features(backbone, [images], mean)
          return { codes: yield* encodeAll(tokenizer, images), values: found!.features.data }
        })
        const [alone, among] = [yield* figures(few), yield* figures(more)]
        assert.deepStrictEqual(alone.codes, among.codes.slice(0, alone.codes.length))
        alone.values.forEach((value, i) => assert.closeTo(value, among.values[i]!, 1e-5))
      }))
  })
})
