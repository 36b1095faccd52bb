/** The numbers that a frozen network computes of images: one row for each image. */
import { Effect } from "effect"
import type { EngineError } from "../../layers/engine/Engine.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference as InferenceOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Backbone from "../trained/Backbone.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"

/** A network with features: the last block of a backbone or a classifier, or the encoder of a tokenizer. */
export type Network = Backbone.Backbone | Classifier.Classifier | Tokenizer.Tokenizer

/** Returns the sizes of the transformer of a network. */
export const vitOf = ({ config }: Network) => "encoder" in config ? config.encoder : config.vit

/** An opened network. */
export interface Opened {
  /** Number of images of its batches. */
  readonly batchSize: number
  /** Computes the rows of a batch, row-major. */
  readonly rowsOf: (batch: Pick<Batches.ImageBatch, "normalised" | "unit">) => Effect.Effect<Float32Array, EngineError>
}

/** Opens an inference on the engine. `images` names the form of the images that it takes, `rowsOf` makes rows of its outputs. */
const open = Effect.fnUntraced(function*<W, B extends number, Y extends number, X extends number, O>(
  inference: InferenceOf<W, { readonly images: Tensor<[B, 3, Y, X]> }, O>,
  tensors: Weights.Tensors,
  images: "normalised" | "unit",
  rowsOf: (outputs: HostOf<O>) => Float32Array
) {
  const handle = yield* Inference.open(inference, tensors)
  const { shape } = inference.batch.images
  const opened: Opened = {
    batchSize: shape[0],
    rowsOf: (batch) => Effect.map(handle.run({ images: HostTensor.make(shape, "float32", batch[images].data) }), rowsOf)
  }
  return opened
})

const opening =
  (tensors: Weights.Tensors, images: "normalised" | "unit") =>
  <W, B extends number, Y extends number, X extends number, O>(
    inference: InferenceOf<W, { readonly images: Tensor<[B, 3, Y, X]> }, O>,
    rowsOf: (outputs: HostOf<O>) => Float32Array
  ) => open(inference, tensors, images, rowsOf)

/** Opens an inference with the weights of a network. */
export type Opening = ReturnType<typeof opening>

/** What is opened of each kind of network, by its sizes. */
export interface Kinds<A> {
  readonly tokenizer: (sizes: Tokenizer.Sizes, open: Opening) => A
  readonly backbone: (sizes: ReturnType<typeof Backbone.sizes>, open: Opening) => A
  readonly classifier: (sizes: ReturnType<typeof Classifier.sizes>, open: Opening) => A
}

/** Opens an inference of a network, by its kind. */
export const openKind = <A>(network: Network, kinds: Kinds<A>): A => {
  if ("teacherWidth" in network) {
    const sizes = Tokenizer.sizes(network.config, network.teacherWidth)
    return kinds.tokenizer(sizes, opening(Tokenizer.weights(network), "unit"))
  }
  if ("codes" in network) {
    const sizes = Backbone.sizes(network.config, network.codes)
    return kinds.backbone(sizes, opening(Backbone.weights(network), "normalised"))
  }
  const sizes = Classifier.sizes(network.config, network.classes.length)
  return kinds.classifier(sizes, opening(Classifier.weights(network), "normalised"))
}

/**
 * Makes the function that calls `use` with the rows of a set's central views, `[n, width]`, row-major, with their indices, in order, and with
 * the batch. `what` names the rows in errors. The function fails with `OutputError` if a number is not finite.
 */
export const each = (network: Network, opened: Opened, what: string, width: number) =>
<A, E, R>(
  set: ImageSet,
  use: (
    rows: Float32Array,
    places: ReadonlyArray<number>,
    batch: Batches.EvaluationBatch
  ) => Effect.Effect<A, E, R>
) => {
  const { batchSize, rowsOf } = opened
  return Batches.evaluation(
    { set, batchSize, size: vitOf(network).imageSize, augment: network.config.augment },
    Effect.fnUntraced(function*(batch) {
      const rows = yield* rowsOf(batch)
      yield* Outputs.checkFinite(what, rows, {
        rows: batchSize,
        valid: batch.valid,
        describe: (row) => set.describe(batch.indices[row]!)
      })
      return yield* use(rows.subarray(0, batch.valid * width), batch.indices.slice(0, batch.valid), batch)
    })
  )
}
