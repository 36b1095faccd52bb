/** Evaluates a tokenizer and a pretrained network on their own tasks, with images that they were not trained on. */
import { Effect } from "effect"
import * as Codebook from "../../domain/method/Codebook.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type * as Backbone from "../trained/Backbone.ts"
import * as Inference from "../trained/Inference.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Targets from "../training/Targets.ts"
import * as MaskedCodes from "./MaskedCodes.ts"

const BATCH = 64

/** The tokenizer's result for one image. */
export interface EncodedImage {
  /** The codes of its patches. */
  readonly codes: Int32Array
  /** The cosine similarity of the reconstructed and the teacher's features, of each patch and on average. */
  readonly cosines: Float32Array
  readonly cosine: number
}

/** The figures of a tokenizer on a set of images. */
export interface TokenizerFigures {
  /** Mean cosine similarity of the reconstructed and the teacher's features, over all patches. */
  readonly cosine: number
  /** The reconstruction loss: one minus the cosine similarity (paper, table 4). */
  readonly reconstruction: number
  /** Number of codes that occur, and their perplexity. */
  readonly usage: number
  readonly perplexity: number
  /** The share of the codebook that occurs (paper, table 4). */
  readonly usedShare: number
}

/** The tokenizer's result for a set of images. */
export interface TokenizerEvaluation extends TokenizerFigures {
  readonly images: ReadonlyArray<EncodedImage>
}

const average = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length

/** Encodes a set, and passes each image to `use`. Only a few are held. Returns the figures of all. */
const encoding = Effect.fnUntraced(function*(
  tokenizer: Tokenizer.Tokenizer,
  set: ImageSet,
  use: (image: EncodedImage) => void
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { config } = tokenizer
  const { quantizer, sizes, tensors } = yield* Tokenizer.open(tokenizer)
  const batchSize = Batches.fitting(BATCH, set)
  const inference = TokenizerStep.reconstruct(sizes, Dim.named("batch", batchSize), quantizer)
  const handle = yield* Inference.open(inference, tensors)
  const { augment, codebook, encoder } = config
  const { patches } = encoder
  const counts = new Float64Array(codebook.size)
  let similarity = 0
  yield* Batches.evaluation(
    { set, batchSize, size: encoder.imageSize, augment },
    Effect.fnUntraced(function*(shown) {
      const { unit, valid } = shown
      const targets = yield* Targets.of(config, shown, set)
      const { codes, cosine } = yield* handle.run({
        images: HostTensor.make(inference.batch.images.shape, "float32", unit.data),
        targets: HostTensor.make(inference.batch.targets.shape, "float32", targets.data)
      })
      yield* Tokenizer.checkCodes(quantizer, codes.data)
      for (let i = 0; i < valid; i++) {
        const image = {
          codes: codes.data.slice(i * patches, (i + 1) * patches),
          cosines: cosine.data.slice(i * patches, (i + 1) * patches)
        }
        const mean = average(image.cosines)
        similarity += mean
        image.codes.forEach((code) => counts[code]!++)
        use({ ...image, cosine: mean })
      }
    })
  )
  const usage = Codebook.usage(counts)
  const cosine = similarity / set.length
  const figures: TokenizerFigures = {
    cosine,
    reconstruction: 1 - cosine,
    usage,
    perplexity: Codebook.perplexity(counts),
    usedShare: usage / codebook.size
  }
  return figures
}, Effect.scoped)

/**
 * Measures a tokenizer on a set that it was not trained on: the reconstruction loss, and the share of the codebook that occurs
 * (paper, table 4). Memory does not grow with the set. Fails as the engine, the images and the teacher fail.
 */
export const measureTokenizer = Effect.fn("patchword.measureTokenizer")(
  (tokenizer: Tokenizer.Tokenizer, set: ImageSet) => encoding(tokenizer, set, () => {})
)

/**
 * Encodes a set, and compares the reconstructed features with the teacher's. Fails as the engine, the images and the teacher
 * fail.
 */
export const evaluateTokenizer = Effect.fn("patchword.evaluateTokenizer")(
  function*(tokenizer: Tokenizer.Tokenizer, set: ImageSet) {
    const images: Array<EncodedImage> = []
    const figures = yield* encoding(tokenizer, set, (image) => images.push(image))
    const evaluated: TokenizerEvaluation = { ...figures, images }
    return evaluated
  }
)

/**
 * The result for one masked image: the true codes of all its patches, and the predicted codes. Predictions count at masked
 * patches only.
 */
export interface PredictedImage {
  readonly mask: Uint8Array
  readonly truth: Int32Array
  readonly predicted: Int32Array
}

/** The network's result for a set of masked images. */
export interface PretrainEvaluation {
  /** The share of masked patches whose code the last block predicts correctly. */
  readonly maskedAccuracy: number
  /** Accuracy of always answering the most frequent code. */
  readonly majority: number
  /** The mean cross entropy of the last block. */
  readonly loss: number
  readonly images: ReadonlyArray<PredictedImage>
}

/**
 * Masks a set, one fixed mask per image, and compares predicted codes with the tokenizer's. Fails with `ConfigError` and
 * `MaskError` as `pretrain` does, and as the engine and the images fail.
 */
export const evaluatePretraining = Effect.fn("patchword.evaluatePretraining")(function*(
  backbone: Backbone.Backbone,
  encoded: ReadonlyArray<EncodedImage>,
  set: ImageSet
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { augment, vit } = backbone.config
  const batchSize = Batches.fitting(BATCH, set)
  const predict = yield* MaskedCodes.open(backbone, batchSize)
  const parts = yield* Batches.evaluation(
    { set, batchSize, size: vit.imageSize, augment },
    Effect.fnUntraced(function*(shown) {
      const { indices, valid } = shown
      const truth = indices.flatMap((index) => Array.from(encoded[index]!.codes))
      const { loss, mask, predicted } = yield* predict(shown, truth)
      const cut = (i: number): [number, number] => [i * vit.patches, (i + 1) * vit.patches]
      return {
        loss: loss * valid,
        images: Array.from({ length: valid }, (_, i): PredictedImage => ({
          mask: mask.slice(...cut(i)),
          truth: Int32Array.from(truth.slice(...cut(i))),
          predicted: predicted.slice(...cut(i))
        }))
      }
    })
  )
  const images = parts.flatMap((part) => part.images)
  const masked = images.flatMap((image) =>
    Array.from(image.mask.keys()).filter((i) => image.mask[i] === 1).map((i) =>
      [image.truth[i]!, image.predicted[i]!] as const
    )
  )
  const counts = Codebook.count(masked.map(([truth]) => truth), backbone.codes)
  const evaluated: PretrainEvaluation = {
    maskedAccuracy: masked.filter(([truth, predicted]) => truth === predicted).length / masked.length,
    majority: Math.max(...counts) / masked.length,
    loss: parts.reduce((sum, part) => sum + part.loss, 0) / set.length,
    images
  }
  return evaluated
}, Effect.scoped)
