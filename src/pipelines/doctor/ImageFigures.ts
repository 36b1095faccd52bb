/** Figures of networks on images, a batch at a time. So memory does not grow with the number of images. */
import { Effect } from "effect"
import type { Figures } from "../../domain/health/Diagnosis.ts"
import * as EffectiveRank from "../../domain/method/EffectiveRank.ts"
import * as FeatureCollapse from "../../domain/method/FeatureCollapse.ts"
import * as Moments from "../../domain/method/Moments.ts"
import * as PositionUse from "../../domain/method/PositionUse.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import * as WorkerThread from "../../layers/machine/WorkerThread.ts"
import { streamFeatures } from "../evaluate/Features.ts"
import type { Backbone } from "../trained/Backbone.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import * as Encoder from "../training/Encoder.ts"
import * as CodebookFigures from "./CodebookFigures.ts"

const BATCH = 64

/** Adds the lengths of vectors `[n, width]`, and their squared distances to their codes as shares of their squared lengths. */
const addVectors = (
  { codebook, errors, isNormalised, norms, width }: {
    readonly norms: Moments.Moments
    readonly errors: Moments.Moments
    readonly codebook: Float32Array | undefined
    readonly isNormalised: boolean
    readonly width: number
  },
  vectors: Float32Array,
  codes: Int32Array
) => {
  const lengthOf = (rows: Float32Array, start: number): number => {
    let squares = 0
    for (let i = 0; i < width; i++) squares += rows[start + i]! ** 2
    return Math.sqrt(squares)
  }
  codes.forEach((code, row) => {
    const start = row * width
    const length = lengthOf(vectors, start)
    Moments.add(norms, length)
    if (codebook === undefined || length === 0) return
    const first = code * width
    // A codebook that is learned by gradient has codes of any length, and only their directions matter.
    const scale = isNormalised ? length / (lengthOf(codebook, first) || 1) : 1
    let squares = 0
    for (let i = 0; i < width; i++) squares += (vectors[start + i]! - scale * codebook[first + i]!) ** 2
    Moments.add(errors, squares / length ** 2)
  })
}

/**
 * Measures a tokenizer on the central views of images: use of codes, lengths of vectors, distances to codes, ranks. With the
 * tokenizer of an earlier state also the share of codes that changed since then.
 *
 * Fails as `encode` does.
 */
export const ofTokenizer = Effect.fn("patchword.doctor.tokenizer")(function*(
  tokenizer: Tokenizer,
  before: Tokenizer | undefined,
  set: ImageSet
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { augment, codebook: { dim, size }, encoder: { imageSize, patches } } = tokenizer.config
  const batchSize = Batches.fitting(BATCH, set)
  const now = yield* Encoder.openVectors(tokenizer, set, batchSize)
  const then = before && (yield* Encoder.open(before, set, batchSize))
  const use = PositionUse.begin(patches, size)
  const gram = EffectiveRank.begin(dim)
  const sums = {
    norms: Moments.begin(),
    errors: Moments.begin(),
    codebook: CodebookFigures.codebookOf(tokenizer.tensors),
    isNormalised: CodebookFigures.isNormalised(tokenizer.config),
    width: dim
  }
  let changed = 0
  yield* Batches.evaluation(
    { set, batchSize, size: imageSize, augment },
    Effect.fnUntraced(function*(batch) {
      const rows = batch.valid * patches
      const found = yield* now(batch, batch.valid)
      const [codes, vectors] = [found.codes.subarray(0, rows), found.vectors.subarray(0, rows * dim)]
      yield* Pauses.pause
      PositionUse.add(use, codes)
      yield* Pauses.during(EffectiveRank.adding(gram, vectors))
      yield* Pauses.pause
      addVectors(sums, vectors, codes)
      const older = then && (yield* then(batch, batch.valid))
      if (older !== undefined) codes.forEach((code, i) => (changed += code === older[i] ? 0 : 1))
    })
  )
  const { errors, norms } = sums
  const { perplexities, told } = yield* Pauses.during(PositionUse.telling(use))
  yield* Pauses.pause
  const counted = CodebookFigures.ofCounts(PositionUse.counts(use))
  yield* Pauses.pause
  const figures: Figures = {
    ...counted,
    ...(then && { churn: changed / norms.count }),
    norm: norms.mean,
    normSpread: norms.mean === 0 ? 0 : Moments.deviation(norms) / norms.mean,
    ...(errors.count > 0 && { quantizationError: errors.mean }),
    positionShare: told,
    positionPerplexity: perplexities.reduce((sum, one) => sum + one, 0) / patches,
    vectorRank: EffectiveRank.of(gram) / Math.min(dim, gram.rows)
  }
  return figures
}, Effect.scoped)

const program = WorkerThread.file("EffectiveRankWorker", import.meta.url)

/** Computes a rank in a thread of its own, because the search for eigenvalues cannot pause. It takes seconds for a large network. */
const rankByThread = (gram: EffectiveRank.Gram): Effect.Effect<number> =>
  WorkerThread.answer(program, gram, Effect.sync(() => EffectiveRank.of(gram)))

/**
 * Measures a pretrained network on the central views of images: similarity, spread and rank of the class token after the final
 * norm. Without patch aggregation nothing trains the class token, so these are of the mean of the patch tokens.
 *
 * Fails as `features` does.
 */
export const ofBackbone = Effect.fn("patchword.doctor.backbone")(function*(backbone: Backbone, set: ImageSet) {
  const { aggregation, vit: { width } } = backbone.config
  const sums = FeatureCollapse.begin(width)
  const gram = EffectiveRank.begin(width)
  const pooling = aggregation === null ? "mean" : "cls"
  yield* streamFeatures(backbone, set, { pooling, finalNorm: true }, (images) =>
    Effect.sync(() => {
      for (const { features } of images) {
        FeatureCollapse.add(sums, features)
        EffectiveRank.add(gram, features)
      }
    }))
  const figures: Figures = {
    tokenSimilarity: FeatureCollapse.similarity(sums),
    tokenSpread: FeatureCollapse.spread(sums),
    featureRank: (yield* rankByThread(gram)) / Math.min(width, gram.rows)
  }
  return figures
})
