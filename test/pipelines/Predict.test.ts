import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { InferenceSession, Tensor } from "onnxruntime-node"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Export from "../../src/pipelines/artifacts/Export.ts"
import { predict, type Predicted, type PredictOptions } from "../../src/pipelines/evaluate/Predict.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import { classes, engine, micro, set } from "./kit.ts"

const { finetune: config } = micro()

const classifier = {
  _tag: "Classifier",
  config,
  classes,
  tensors: Object.fromEntries(
    Object.entries(Weights.flatten(Parameter.initialise(Classifier.spec(config, classes.length), 3))).map(
      ([name, tensor]) => [name, {
        ...tensor,
        data: Float32Array.from(tensor.data, (value, i) => value * 5 + 0.05 * Math.sin(i))
      } as HostTensor.Any]
    )
  )
} as const

const names: ReadonlyArray<string> = classes

const shown = set("shown", 130)

const predicted = Effect.fnUntraced(function*(options?: PredictOptions) {
  const parts: Array<ReadonlyArray<Predicted>> = []
  yield* predict(classifier, shown, (some) => Effect.sync(() => void parts.push(some)), options)
  return parts
})

describe("predict", () => {
  layer(engine)((it) => {
    it.effect("gives the softmax of the logits that ONNX Runtime computes, some images at a time", () =>
      Effect.gen(function*() {
        const parts = yield* predicted()
        assert.deepStrictEqual(parts.map(({ length }) => length), [128, 2])
        const images = parts.flat()
        assert.deepStrictEqual(images.map(({ index }) => index), Array.from({ length: 130 }, (_, i) => i))

        const bytes = yield* Export.onnx(classifier, "logits")
        const [unit] = yield* Batches.evaluation(
          { set: shown, batchSize: 130, size: 32, augment: config.augment },
          ({ unit }) => Effect.succeed(unit)
        )
        const { logits } = yield* Effect.promise(async () => {
          const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 })
          return session.run({ images: new Tensor("float32", unit!.data, [130, 3, 32, 32]) })
        })
        for (const { index, predictions } of images) {
          const row = Array.from((logits!.data as Float32Array).subarray(3 * index, 3 * index + 3), Math.exp)
          const total = row.reduce((a, b) => a + b, 0)
          assert.sameMembers(predictions.map((one) => one.class), [...classes])
          for (const { class: name, probability } of predictions) {
            assert.approximately(probability, row[names.indexOf(name)]! / total, 1e-5)
          }
          const order = predictions.map(({ probability }) => probability)
          assert.deepStrictEqual(order, order.toSorted((a, b) => b - a))
        }
        assert.isAbove(new Set(images.map(({ predictions }) => predictions[0]!.class)).size, 1)
      }))

    it.effect("gives as many classes as asked for", () =>
      Effect.gen(function*() {
        const [all, one] = yield* Effect.all([predicted(), predicted({ top: 1 })])
        assert.deepStrictEqual(
          one.flat().map(({ predictions }) => predictions),
          all.flat().map(({ predictions }) => predictions.slice(0, 1))
        )
      }))
  })
})
