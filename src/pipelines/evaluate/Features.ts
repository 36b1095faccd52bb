/** The features of a frozen network: one vector per image. */
import { Effect } from "effect"
import * as Config from "../../domain/config/Config.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type * as Pooling from "../../nn/blocks/Pooling.ts"
import * as VitInference from "../../nn/blocks/VitInference.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Batches from "../training/Batches.ts"
import type { BlockFeatureSet } from "./BlockFeatures.ts"
import type { FeatureSet } from "./FeatureSet.ts"
import * as NetworkRows from "./NetworkRows.ts"

/**
 * The feature of an image: the mean of the last block's patch tokens or its class token, with or without the network's final
 * norm. The final norm of a tokenizer's encoder is the one before its patch tokens are quantized.
 */
export type FeatureOptions = Pooling.Options

const BATCH = 128

const vectors = ({ features }: { readonly features: HostTensor.HostTensor<[number, number], "float32"> }) =>
  features.data

const open = (network: NetworkRows.Network, options: FeatureOptions, images: number) => {
  const batchSize = Dim.named("batch", images)
  return NetworkRows.openKind(network, {
    tokenizer: (sizes, open) => open(TokenizerStep.features(sizes, batchSize, options), vectors),
    backbone: (sizes, open) => open(VitInference.features(PretrainStep.model(sizes), batchSize, options), vectors),
    classifier: (sizes, open) => open(VitInference.features(FinetuneStep.model(sizes), batchSize, options), vectors)
  })
}

type Vectors = ReadonlyArray<HostTensor.HostTensor<[number, number], "float32">>

/** Joins the vectors of each image: `[B, parts * C]`. */
const joined = ({ cls, mean }: { readonly cls: Vectors; readonly mean: Vectors }): Float32Array => {
  const parts = [...cls, ...mean]
  const [batch, width] = parts[0]!.shape
  const rows = new Float32Array(batch * parts.length * width)
  parts.forEach(({ data }, part) => {
    for (let row = 0; row < batch; row++) {
      rows.set(data.subarray(row * width, (row + 1) * width), (row * parts.length + part) * width)
    }
  })
  return rows
}

/**
 * Opens a network on the engine for the features of several blocks of `images` views at a time. A row is one of a
 * `BlockFeatureSet`.
 */
export const openBlocks = (network: NetworkRows.Network, options: Pooling.BlockOptions, images: number) => {
  const batchSize = Dim.named("batch", images)
  return NetworkRows.openKind(network, {
    tokenizer: (sizes, open) => open(TokenizerStep.blockFeatures(sizes, batchSize, options), joined),
    backbone: (sizes, open) => open(VitInference.blockFeatures(PretrainStep.model(sizes), batchSize, options), joined),
    classifier: (sizes, open) => open(VitInference.blockFeatures(FinetuneStep.model(sizes), batchSize, options), joined)
  })
}

/** The features of one image. */
export interface Featured {
  /** Its index in the set. */
  readonly index: number
  /** `[C]`. */
  readonly features: Float32Array
}

/** Opens a network on the engine for one vector per image of sets. */
const opened = Effect.fnUntraced(function*(
  network: NetworkRows.Network,
  sets: ReadonlyArray<ImageSet>,
  options: FeatureOptions
) {
  if ("classes" in network) yield* Classifier.checkPooling(network.config, options)
  const { width } = NetworkRows.vitOf(network)
  const ready = yield* open(network, options, Batches.fitting(BATCH, ...sets))
  return { width, each: NetworkRows.each(network, ready, "features", width) }
})

/** Collects the features of whole sets. */
const collected = (
  sets: ReadonlyArray<ImageSet>,
  { each: eachOf, width }: Effect.Success<ReturnType<typeof opened>>
) =>
  Effect.forEach(
    sets,
    Effect.fnUntraced(function*(set) {
      const values = new Float32Array(set.length * width)
      yield* eachOf(set, (rows, [first = 0]) => Effect.sync(() => values.set(rows, first * width)))
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

const annotated = (sets: ReadonlyArray<ImageSet>) =>
  Effect.annotateCurrentSpan({
    "patchword.splits": sets.map(({ name }) => name),
    "patchword.images": sets.reduce((sum, { length }) => sum + length, 0)
  })

/**
 * Computes the features of the central views of a set, and calls `use` with a few images at a time, in order. Only these are
 * held in memory. Fails as {@link features} does, and as `use` fails.
 */
export const streamFeatures = Effect.fn("patchword.streamFeatures")(function*<E, R>(
  network: NetworkRows.Network,
  set: ImageSet,
  options: FeatureOptions,
  use: (images: ReadonlyArray<Featured>) => Effect.Effect<void, E, R>
) {
  yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
  const { each, width } = yield* opened(network, [set], options)
  yield* each(
    set,
    (rows, places) => use(places.map((index, row) => ({ index, features: rows.slice(row * width, (row + 1) * width) })))
  )
}, Effect.scoped)

/**
 * Computes the features of the central views of whole sets. Fails with `OutputError` if they are not finite, and as the engine
 * and the images fail.
 */
export const features = Effect.fn("patchword.features")(function*(
  network: NetworkRows.Network,
  sets: ReadonlyArray<ImageSet>,
  options: FeatureOptions
) {
  yield* annotated(sets)
  return yield* collected(sets, yield* opened(network, sets, options))
}, Effect.scoped)

/**
 * Computes the features of several blocks of the central views of whole sets, in one pass over the images: class token and mean
 * of the patch tokens of each of the last blocks. `BlockFeatures.select` then takes the features of an evaluation from them.
 *
 * Fails with `ConfigError` if the network has fewer blocks, or no norm for its class token, and as {@link features} does.
 */
export const blockFeatures = Effect.fn("patchword.blockFeatures")(function*(
  network: NetworkRows.Network,
  sets: ReadonlyArray<ImageSet>,
  options: Pooling.BlockOptions
) {
  yield* annotated(sets)
  const { blocks, finalNorm } = options
  const { depth, width } = NetworkRows.vitOf(network)
  if ("classes" in network) yield* Classifier.checkPooling(network.config, { pooling: "cls", finalNorm })
  if (blocks < 1 || blocks > depth) {
    return yield* new Config.ConfigError({
      source: "features",
      problems: [{ path: "blocks", message: `expected at most ${depth}, the blocks of the network, got ${blocks}` }],
      advice: "choose fewer blocks (--set probe.sweep.blocks=[1])"
    })
  }
  const all = 2 * blocks * width
  const ready = yield* openBlocks(network, options, Batches.fitting(BATCH, ...sets))
  const found = yield* collected(sets, { width: all, each: NetworkRows.each(network, ready, "features", all) })
  return found.map((set): BlockFeatureSet => ({ ...set, blocks }))
}, Effect.scoped)
