import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Runtime } from "effect"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { Model } from "../../src/compiler/onnx/OnnxSchema.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { SegmentationConfig } from "../../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../../src/domain/config/VitConfig.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Export from "../../src/pipelines/artifacts/Export.ts"
import { classify } from "../../src/pipelines/evaluate/Classify.ts"
import { evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import * as Segmentation from "../../src/pipelines/evaluate/Segmentation.ts"
import * as SelfDistillation from "../../src/pipelines/SelfDistillation.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Segmenter from "../../src/pipelines/trained/Segmenter.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, engine, images, micro, set, teacher as hog } from "./kit.ts"

const preset = micro()
const few = set("few", 5)
const WIDTH = 8

const drawn = (spec: Parameters<typeof Parameter.initialise>[0], spread: number) =>
  Object.fromEntries(
    Object.entries(Weights.flatten(Parameter.initialise(spec, 3))).map(([name, tensor]) => [name, {
      ...tensor,
      data: Float32Array.from(tensor.data, (value, i) => value * spread + 0.05 * Math.sin(i))
    } as HostTensor.Any])
  )

const backbone = { _tag: "Backbone", ...Backbone.untrained(preset.pretrain, 16) } as const

const tokenizer = {
  _tag: "Tokenizer",
  config: preset.tokenizer,
  teacherWidth: WIDTH,
  tensors: {
    ...drawn(Vqkd.spec(Tokenizer.sizes(preset.tokenizer, WIDTH)), 20),
    "quantize.embedding.weight": {
      shape: [16, 8],
      dtype: "float32",
      data: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i * i))
    }
  }
} as const

const classifier = {
  _tag: "Classifier",
  config: preset.finetune,
  classes,
  tensors: drawn(Classifier.spec(preset.finetune, classes.length), 20)
} as const

const segmenterOf = (head: "linear" | "upernet") => {
  const config = new SegmentationConfig({
    ...Presets.tiny.segmentation!,
    vit: new VitConfig({ ...preset.finetune.vit, depth: 4, dropPath: 0 }),
    head,
    taps: [1, 2, 3, 4],
    channels: 8
  })
  const spec = Segmenter.spec(config, classes.length) as Parameters<typeof Parameter.initialise>[0]
  const tensors = { ...drawn(spec, 20), ...Weights.flatten(Segmenter.running(config, classes.length)) }
  return { _tag: "Segmenter", config, classes, tensors } as const
}

const shown = Effect.gen(function*() {
  const [batch] = yield* Batches.evaluation(
    { set: few, batchSize: 5, size: 32, augment: preset.pretrain.augment },
    Effect.succeed
  )
  return batch!.unit
})

interface Written {
  readonly opsetImport: ReadonlyArray<object>
  readonly graph: {
    readonly node: ReadonlyArray<
      { readonly opType: string; readonly domain: string; readonly output: ReadonlyArray<string> }
    >
  }
}

const isPortable = (bytes: Uint8Array) => {
  const { graph, opsetImport } = Model.toObject(Model.decode(bytes), { longs: Number, defaults: true }) as Written
  assert.deepStrictEqual(opsetImport, [{ domain: "", version: 17 }])
  for (const { domain, opType, output } of graph.node) {
    assert.strictEqual(domain, "", opType)
    if (opType === "LayerNormalization") assert.lengthOf(output, 1)
  }
}

const run = (bytes: Uint8Array, pixels: Float32Array) =>
  Effect.promise(async () => {
    isPortable(bytes)
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 })
    const count = pixels.length / (3 * 32 * 32)
    return session.run({ images: new Tensor("float32", pixels, [count, 3, 32, 32]) })
  })

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, what: string) => {
  assert.strictEqual(found.length, expected.length, what)
  for (let i = 0; i < found.length; i++) assert.approximately(found[i]!, expected[i]!, 1e-4, `${what} ${i}`)
}

const numbers = (tensor: Tensor) => tensor.data as Float32Array

describe("an exported network", () => {
  layer(Layer.mergeAll(NodeServices.layer, engine, Layer.provideMerge(hog, images)))((it) => {
    it.effect("gives the features of every network as the program does, in standard operators", () =>
      Effect.gen(function*() {
        const { data } = yield* shown
        const [mean, cls] = [{ pooling: "mean", finalNorm: true }, { pooling: "cls", finalNorm: false }] as const
        for (const [network, pooling] of [[tokenizer, mean], [backbone, mean], [classifier, cls]] as const) {
          const [expected] = yield* features(network, [few], pooling)
          const bytes = yield* Export.onnx(network, "features", { pooling })
          const found = yield* run(bytes, data)
          assert.deepStrictEqual(found.features!.dims, [5, 16])
          near(numbers(found.features!), expected!.features.data, network._tag)
          const said = pooling === mean ? "the mean of its patches, after" : "its class token, before"
          assert.include(Buffer.from(bytes).toString("latin1"), `[images, width]: ${said} the final norm`)
        }
        const refused = yield* Effect.flip(
          Export.onnx(classifier, "features", { pooling: { pooling: "cls", finalNorm: true } })
        )
        assert.include(refused.message, "a classifier of mean tokens has no norm for it")
      }))

    it.effect("gives the patches of a backbone, for any number of images or for one number", () =>
      Effect.gen(function*() {
        const unit = yield* shown
        const expected = yield* Effect.flatMap(Teacher.Teacher, ({ features }) => features(unit)).pipe(
          Effect.provide(SelfDistillation.layerBackbone(backbone), { local: true })
        )
        const [any, fixed] = yield* Effect.all([
          Export.onnx(backbone, "patches"),
          Export.onnx(backbone, "patches", { images: 2 })
        ])
        const image = 3 * 32 * 32
        for (const count of [1, 2, 5]) {
          const { patches } = yield* run(any, unit.data.slice(0, count * image))
          assert.deepStrictEqual(patches!.dims, [count, 16, 16])
          near(numbers(patches!), expected.data.slice(0, count * 256), `${count} images`)
        }
        near(
          numbers((yield* run(fixed, unit.data.slice(0, 2 * image))).patches!),
          expected.data.slice(0, 512),
          "fixed"
        )
      }))

    it.effect("gives the codes and the patches of a tokenizer", () =>
      Effect.gen(function*() {
        const unit = yield* shown
        const { images: encoded } = yield* evaluateTokenizer(tokenizer, few)
        const features = yield* Effect.flatMap(Teacher.Teacher, (one) => one.features(unit)).pipe(
          Effect.provide(SelfDistillation.layerTokenizer(tokenizer), { local: true })
        )
        const found = yield* run(yield* Export.onnx(tokenizer, "codes"), unit.data)
        assert.deepStrictEqual(found.codes!.dims, [5, 16])
        const codes = Array.from(found.codes!.data as Int32Array)
        assert.deepStrictEqual(codes, encoded.flatMap((image) => Array.from(image.codes)))
        assert.isAbove(new Set(codes).size, 3)
        near(numbers(found.patches!), features.data, "patches")
      }))

    it.effect("gives the logits of a classifier", () =>
      Effect.gen(function*() {
        const { logits } = yield* run(yield* Export.onnx(classifier, "logits"), (yield* shown).data)
        assert.deepStrictEqual(logits!.dims, [5, 3])
        const [expected] = yield* classify(classifier, [few])
        near(numbers(logits!), expected!, "logits")
      }))

    it.effect.each(["linear", "upernet"] as const)(
      "gives the class of each pixel with the head %s",
      (head) =>
        Effect.gen(function*() {
          const segmenter = segmenterOf(head)
          const { data } = yield* shown
          const labelsOf = yield* Segmentation.open(segmenter)
          const bytes = yield* Export.onnx(segmenter, "segmentation", { images: 5 })
          const { labels, logits } = yield* run(bytes, data)
          assert.deepStrictEqual([labels!.dims, logits!.dims], [[5, 32, 32], [5, 3, 32, 32]])
          let same = 0
          for (let index = 0; index < 5; index++) {
            const expected = yield* labelsOf(yield* few.image(index), String(index))
            const found = (labels!.data as Int32Array).subarray(index * 1024, (index + 1) * 1024)
            same += expected.data.filter((label, at) => label === found[at]).length
          }
          assert.isAbove(same, 0.999 * 5 * 1024)
          assert.isAbove(new Set(labels!.data as Int32Array).size, 1)
          assert.include(Buffer.from(bytes).toString("latin1"), JSON.stringify(classes))
          const other = yield* Effect.flip(Export.onnx(segmenter, "logits"))
          assert.include(other.message, "a segmenter has no output logits; choose segmentation")
        }).pipe(Effect.scoped)
    )

    it.effect("is a teacher, and says what it is", () =>
      Effect.gen(function*() {
        const file = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/backbone.onnx`
        const provenance = new Weights.Provenance({
          stage: "pretrain",
          configDigest: "c",
          dataDigest: "d",
          step: 7,
          seed: 3
        })
        yield* Export.write(file, backbone, "patches", { provenance })
        const unit = yield* shown
        const features = Effect.flatMap(Teacher.Teacher, (one) => one.features(unit))
        const found = yield* Effect.provide(features, Teacher.layerOnnx(file, { imageSize: 32 }), {
          local: true
        })
        const expected = yield* Effect.provide(features, SelfDistillation.layerBackbone(backbone), { local: true })
        near(found.data, expected.data, "teacher")
        const text = Buffer.from(yield* (yield* FileSystem.FileSystem).readFile(file)).toString("latin1")
        assert.include(text, "\"stage\":\"pretrain\"")
        const named = Buffer.from(yield* Export.onnx(classifier, "logits")).toString("latin1")
        assert.include(named, JSON.stringify(classes))
      }))

    it.effect("is refused where the network does not give it, or its weights are not its own", () =>
      Effect.gen(function*() {
        const other = yield* Effect.flip(Export.onnx(backbone, "codes"))
        assert.strictEqual(other.message, "export of codes: a backbone has no output codes; choose features or patches")
        assert.strictEqual(other[Runtime.errorExitCode], 64)
        const { "norm.weight": _, ...tensors } = backbone.tensors
        const lacking = yield* Effect.flip(Export.onnx({ ...backbone, tensors }, "features"))
        assert.include(lacking.message, "norm.weight")
        assert.strictEqual(lacking[Runtime.errorExitCode], 65)
      }))
  })
})
