/**
 * `npm run interop:onnx -- [RUN]`: exports the networks of a run (`runs/demo`), has Python's onnxruntime compute with the
 * files, and compares that with what our engine gives.
 *
 * The package is installed from PyPI into a virtual environment in the temporary folder of the system, which is kept for the
 * next time. `--python FILE` uses an interpreter that has it.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import { SegmentationConfig } from "../src/domain/config/SegmentationConfig.ts"
import { VitConfig } from "../src/domain/config/VitConfig.ts"
import * as Normalize from "../src/domain/pixels/Normalize.ts"
import * as KeyedRandom from "../src/domain/values/KeyedRandom.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as Weights from "../src/layers/weights/Weights.ts"
import * as Parameter from "../src/nn/blocks/Parameter.ts"
import * as VitInference from "../src/nn/blocks/VitInference.ts"
import * as FinetuneStep from "../src/nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../src/nn/pretrain/PretrainStep.ts"
import type * as Head from "../src/nn/segmentation/Head.ts"
import * as SegmentStep from "../src/nn/segmentation/SegmentStep.ts"
import * as TokenizerStep from "../src/nn/tokenizer/TokenizerStep.ts"
import * as Artifact from "../src/pipelines/artifacts/Artifact.ts"
import * as Export from "../src/pipelines/artifacts/Export.ts"
import * as Backbone from "../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../src/pipelines/trained/Classifier.ts"
import * as Inference from "../src/pipelines/trained/Inference.ts"
import * as Segmenter from "../src/pipelines/trained/Segmenter.ts"
import * as Tokenizer from "../src/pipelines/trained/Tokenizer.ts"
import * as Dim from "../src/shapes/Dim.ts"
import type * as HostTensor from "../src/shapes/HostTensor.ts"
import type { HostOf, Inference as InferenceOf } from "../src/shapes/Step.ts"
import * as Python from "./python.ts"

const TOLERANCE = 1e-4
const COUNT = Dim.named("images", 3)

const { positionals: [run = "runs/demo"], values } = parseArgs({
  allowPositionals: true,
  options: { python: { type: "string" } }
})

/** Outputs that do not have the name of their file. */
const OUTPUTS: Readonly<Record<string, string>> = { segmentation: "logits" }

/** A segmenter with random weights: a run of the demo has none. */
const segmenterOf = (imageSize: number) => {
  const own = Presets.tiny.segmentation!
  const config = new SegmentationConfig({ ...own, vit: new VitConfig({ ...own.vit, imageSize }) })
  const classes = ["ground", "cat", "dog"]
  const spec = Segmenter.spec(config, classes.length) as Parameters<typeof Parameter.initialise>[0]
  const tensors = {
    ...Weights.flatten(Parameter.initialise(spec, 0)),
    ...Weights.flatten(Segmenter.running(config, classes.length))
  }
  return { _tag: "Segmenter", config, classes, tensors } as const
}

const opened = <W, B, O>(
  inference: InferenceOf<W, B, O>,
  tensors: Parameters<typeof Inference.open>[1],
  batch: HostOf<B>
) =>
  Effect.gen(function*() {
    const handle = yield* Inference.open(inference, tensors)
    return yield* handle.run(batch)
  }).pipe(Effect.scoped)

const program = Effect.gen(function*() {
  const tokenizer = yield* Artifact.tokenizer(run)
  const backbone = yield* Artifact.backbone(run)
  const classifier = yield* Artifact.classifier(join(run, "finetune-pretrained"))
  const { encoder: { imageSize } } = tokenizer.config
  const { uniform } = KeyedRandom.generator({ seed: 0, purpose: "images", epoch: 0, index: 0 })
  const pixels = Float32Array.from({ length: COUNT * 3 * imageSize ** 2 }, uniform)
  const shown = <S>(shape: S, channels?: Normalize.Channels) => ({
    images: {
      shape,
      dtype: "float32" as const,
      data: channels === undefined ? pixels : Normalize.standardise(pixels, imageSize ** 2, channels)
    }
  })

  const vocabulary = yield* Tokenizer.open(tokenizer)
  const encode = TokenizerStep.encode(vocabulary.sizes, COUNT, vocabulary.quantizer)
  const model = PretrainStep.model(Backbone.sizes(backbone.config, backbone.codes))
  const patches = VitInference.patchFeatures(model, COUNT)
  const pooling = { pooling: "mean", finalNorm: true } as const
  const vectors = VitInference.features(model, COUNT, pooling)
  const { classes, config } = classifier
  const logits = FinetuneStep.logits(Classifier.sizes(config, classes.length), COUNT)
  const segmenter = segmenterOf(imageSize)
  const pixelLogits = SegmentStep.logits<typeof COUNT, Segmenter.Sizes, Head.Parts>(
    Segmenter.sizes(segmenter.config, segmenter.classes.length),
    COUNT,
    Segmenter.headOf(segmenter.config, segmenter.classes.length)
  )
  const expected: Readonly<Record<string, HostTensor.Any>> = {
    codes: (yield* opened(encode, vocabulary.tensors, shown(encode.batch.images.shape))).codes,
    patches: (yield* opened(
      patches,
      Backbone.weights(backbone),
      shown(patches.batch.images.shape, backbone.config.augment)
    )).target,
    features: (yield* opened(
      vectors,
      Backbone.weights(backbone),
      shown(vectors.batch.images.shape, backbone.config.augment)
    )).features,
    logits:
      (yield* opened(logits, Classifier.weights(classifier), shown(logits.batch.images.shape, config.augment))).logits,
    segmentation: (yield* opened(
      pixelLogits,
      Segmenter.weights(segmenter),
      shown(pixelLogits.batch.images.shape, segmenter.config)
    )).logits
  }

  const folder = mkdtempSync(join(tmpdir(), "patchword-exported-"))
  yield* Export.write(join(folder, "codes.onnx"), tokenizer, "codes", tokenizer)
  yield* Export.write(join(folder, "features.onnx"), backbone, "features", backbone)
  yield* Export.write(join(folder, "patches.onnx"), backbone, "patches", backbone)
  yield* Export.write(join(folder, "logits.onnx"), classifier, "logits", classifier)
  yield* Export.write(join(folder, "segmentation.onnx"), segmenter, "segmentation")
  writeFileSync(join(folder, "images.bin"), pixels)
  const python = values.python ?? Python.environment(["onnxruntime==1.32.0"])
  const shape = JSON.stringify([COUNT, 3, imageSize, imageSize])
  Python.succeed(python, fileURLToPath(new URL("exported.py", import.meta.url)), folder, shape)
  const { results, version }: {
    readonly version: string
    readonly results: Readonly<Record<string, Readonly<Record<string, ReadonlyArray<number>>>>>
  } = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"))
  rmSync(folder, { recursive: true })

  process.stdout.write(`onnxruntime ${version} in Python\n`)
  let failed = 0
  for (const [name, { data }] of Object.entries(expected)) {
    for (const count of [COUNT, 1]) {
      const found = results[`${name}, ${count} images`]![OUTPUTS[name] ?? name]!
      const whole = found.length * COUNT === data.length * count
      const worst = Math.max(...found.map((value, i) => Math.abs(value - data[i]!)))
      const passed = whole && worst <= TOLERANCE
      if (!passed) failed++
      process.stdout.write(
        `${passed ? "passed" : "FAILED"}  ${name}, ${count} images: at most ${worst.toExponential(1)} off\n`
      )
    }
  }
  return failed
})

process.exit(await Effect.runPromise(Effect.provide(program, [NodeServices.layer, Engine.layerOnnx()])) === 0 ? 0 : 1)
