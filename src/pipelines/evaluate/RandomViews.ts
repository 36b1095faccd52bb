/** The features of random views of training images, computed anew in each step. */
import { Effect } from "effect"
import { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import type { SweepViews } from "../../domain/config/SweepConfig.ts"
import { type ImageSet, subset } from "../../layers/images/reading/ImageSet.ts"
import type * as Pooling from "../../nn/blocks/Pooling.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Batches from "../training/Batches.ts"
import * as Outputs from "../training/Outputs.ts"
import type { Blocks } from "./BlockFeatures.ts"
import * as Features from "./Features.ts"
import * as NetworkRows from "./NetworkRows.ts"

/** A frozen network, and the images that classifiers learn from. */
export interface Source {
  readonly network: NetworkRows.Network
  readonly images: ImageSet
}

/** The errors of a batch. */
export type BatchError = Effect.Error<ReturnType<Effect.Success<ReturnType<typeof open>>["batch"]>>

/** Other colours are no part of these views. */
const SAME = { brightness: 0, contrast: 0, saturation: 0 }

/**
 * Opens a network for the batches of a training. The images of a step, their views and so their features are a function of the
 * step number. `places` are the images that are learned from; all when absent. Images after the last whole batch are filled up
 * from the beginning of the epoch.
 *
 * Fails with `OtherColours`. A batch fails with `OutputError` if its features are not finite, and as the engine and the images
 * fail.
 */
export const open = Effect.fnUntraced(function*(
  source: Source,
  options: Pooling.BlockOptions & {
    readonly stage: string
    readonly seed: number
    readonly batchSize: number
    readonly places: Int32Array | undefined
    readonly views: Required<SweepViews>
  }
) {
  const { images, network } = source
  const { batchSize, blocks, finalNorm, places, seed, stage, views } = options
  const { imageSize: size, width } = NetworkRows.vitOf(network)
  const set = places === undefined ? images : subset(images, places)
  const { batch, recycle, stepsPerEpoch } = yield* Batches.training({
    stage,
    set,
    seed,
    batchSize,
    size,
    augment: new AugmentConfig({ ...network.config.augment, ...views, jitter: SAME }),
    sampling: { rest: "pad" },
    policies: { randAugment: null }
  })
  const { rowsOf } = yield* Features.openBlocks(network, { blocks, finalNorm }, batchSize)
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(step: number) {
      const { indices, labels, normalised, unit } = yield* batch(step)
      const rows = yield* rowsOf({ normalised, unit })
      recycle([unit.data, normalised.data])
      yield* Outputs.checkFinite("features", rows, {
        rows: batchSize,
        valid: batchSize,
        describe: (row) => set.describe(indices[row]!)
      })
      const features: Blocks = {
        blocks,
        features: HostTensor.make([batchSize, 2 * blocks * width], "float32", rows)
      }
      return { labels, features }
    })
  }
})
