import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Export from "../../src/pipelines/artifacts/Export.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, engine, micro, set } from "./kit.ts"

const preset = micro()
const images = set("val", 3)

const filled = (tensors: Weights.Tensors, name: string, value: number): Weights.Tensors => {
  const { data, shape } = tensors[name]!
  return { ...tensors, [name]: HostTensor.make(shape, "float32", new Float32Array(data.length).fill(value)) }
}

const pretrained = Backbone.untrained(preset.pretrain, 16)

const tokenizer = () => {
  const config = { config: preset.tokenizer, teacherWidth: 8 }
  const sizes = Tokenizer.sizes(preset.tokenizer, 8)
  const parameters = Parameter.initialise(Vqkd.spec(sizes), 0)
  const weight = HostTensor.zeros([sizes.codes, sizes.codeWidth], "float32")
  return { ...config, tensors: Weights.flatten({ ...parameters, quantize: { embedding: { weight } } }) }
}

const classifier = {
  config: preset.finetune,
  classes,
  tensors: Weights.flatten(Parameter.initialise(Classifier.spec(preset.finetune, 3), 3))
}

describe("networks whose numbers overflow", () => {
  it.effect("give no features, no logits and no codes", () =>
    Effect.gen(function*() {
      const wide = { ...pretrained, tensors: filled(pretrained.tensors, "norm.weight", 3.4e38) }
      const seen = yield* Effect.flip(features(wide, [images], { pooling: "mean", finalNorm: true }))
      assert.strictEqual(seen._tag, "OutputError")
      assert.match(
        seen.message,
        /the features of image .*0.* hold (?:NaN|-?Infinity) \(element \d+\)\. Nothing is written/
      )
      const high = { ...classifier, tensors: filled(classifier.tensors, "fc_norm.weight", 3.4e38) }
      assert.strictEqual((yield* Effect.flip(classify(high, [images])))._tag, "OutputError")
      const words = tokenizer()
      const saturated = filled(words.tensors, "encode_task_layer.0.bias", 10)
      const loud = { ...words, tensors: filled(saturated, "encode_task_layer.2.weight", 3.4e38) }
      const coded = yield* Effect.flip(encode(loud, images, () => Effect.die("codes were given")))
      assert.strictEqual(coded._tag, "OutputError")
    }).pipe(Effect.provide(engine)))

  it.effect("are not exported where the weights hold NaN", () =>
    Effect.gen(function*() {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const broken = { ...pretrained, _tag: "Backbone", tensors: filled(pretrained.tensors, "cls_token", NaN) } as const
      const error = yield* Effect.flip(Export.write(`${folder}/b.onnx`, broken, "features"))
      assert.include(error.message, "export of features: tensor parameters.cls_token holds NaN (element 0)")
      assert.strictEqual(error[Runtime.errorExitCode], 65)
      assert.deepStrictEqual(yield* (yield* FileSystem.FileSystem).readDirectory(folder), [])
    }).pipe(Effect.provide(NodeServices.layer)))
})
