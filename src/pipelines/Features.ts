/** What a frozen network says of images: one vector each. */
import { Effect } from "effect"
import { Engine } from "../layers/Engine.ts"
import type { ImageSet } from "../layers/ImageSet.ts"
import * as PretrainStep from "../nn/PretrainStep.ts"
import * as TokenizerStep from "../nn/TokenizerStep.ts"
import * as Dim from "../shapes/Dim.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Batches from "./Batches.ts"
import type { FeatureSet } from "./FeatureSet.ts"
import * as Outputs from "./Outputs.ts"
import type { Backbone } from "./Pretrain.ts"
import * as Pretrain from "./Pretrain.ts"
import * as Stage from "./Stage.ts"
import type { Tokenizer } from "./TrainTokenizer.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** A network whose features can be asked for: a backbone's last block, or a tokenizer's encoder. */
export type Network = Backbone | Tokenizer

/**
 * Which vector stands for an image: the mean of the last block's patch tokens or its class token, through the network's
 * last norm or not. The last norm of a tokenizer's encoder is that which its patch tokens are quantized after.
 */
export interface FeatureOptions {
  readonly pooling: "mean" | "cls"
  readonly finalNorm: boolean
}

const BATCH = 128

const isTokenizer = (network: Network): network is Tokenizer => "teacherWidth" in network

const open = Effect.fnUntraced(function*(network: Network, options: FeatureOptions) {
  const engine = yield* Engine
  const batchSize = Dim.named("batch", BATCH)
  const rows = <S extends ReadonlyArray<number>>(features: HostTensor.HostTensor<S, "float32">) => features.data
  if (isTokenizer(network)) {
    const inference = TokenizerStep.features(TrainTokenizer.sizesOf(network), batchSize, options)
    const handle = yield* engine.infer(inference, yield* Stage.fill(inference, TrainTokenizer.weightsOf(network)))
    const { shape } = inference.batch.images
    return (batch: Batches.EvaluationBatch) =>
      Effect.map(
        handle.run({ images: HostTensor.make(shape, "float32", batch.unit.data) }),
        (out) => rows(out.features)
      )
  }
  const inference = PretrainStep.features(Pretrain.sizesOf(network), batchSize, options)
  const handle = yield* engine.infer(inference, yield* Stage.fill(inference, Pretrain.weightsOf(network)))
  const { shape } = inference.batch.images
  return (batch: Batches.EvaluationBatch) =>
    Effect.map(
      handle.run({ images: HostTensor.make(shape, "float32", batch.normalised.data) }),
      (out) => rows(out.features)
    )
})

/**
 * The features of the central views of whole sets. Fails with `OutputError` where they are not finite, and as the engine and
 * the images fail.
 */
export const features = Effect.fn("features")(function*(
  network: Network,
  sets: ReadonlyArray<ImageSet>,
  options: FeatureOptions
) {
  const run = yield* open(network, options)
  const { config } = network
  const { imageSize, width } = "encoder" in config ? config.encoder : config.vit
  return yield* Effect.forEach(
    sets,
    Effect.fnUntraced(function*(set) {
      const parts = yield* Batches.evaluation(
        { set, batchSize: BATCH, size: imageSize, augment: config.augment },
        Effect.fnUntraced(function*(batch) {
          const rows = yield* run(batch)
          yield* Outputs.finite("features", rows, {
            rows: BATCH,
            valid: batch.valid,
            describe: (row) => set.describe(batch.indices[row]!)
          })
          return rows.subarray(0, batch.valid * width)
        })
      )
      const values = new Float32Array(set.length * width)
      parts.reduce((offset, part) => {
        values.set(part, offset)
        return offset + part.length
      }, 0)
      const { among, classes, digest, labelSource, labels, name } = set
      const found: FeatureSet = {
        name,
        classes,
        labels,
        digest,
        ...(labelSource === undefined ? {} : { labelSource }),
        ...(among === undefined ? {} : { among }),
        features: HostTensor.make([set.length, width], "float32", values)
      }
      return found
    })
  )
}, Effect.scoped)
