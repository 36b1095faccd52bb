/**
 * Which images a step sees, and how. The batch of a step is a function of the seed and the step number alone, so it does
 * not matter where a run was resumed.
 */
import { Effect, Runtime, Schema } from "effect"
import type { AugmentConfig } from "../domain/AugmentConfig.ts"
import * as Keyed from "../domain/Keyed.ts"
import type { Picture } from "../domain/Picture.ts"
import * as Augment from "../layers/Augment.ts"
import type { ImageSet } from "../layers/ImageSet.ts"
import type { HostTensor } from "../shapes/HostTensor.ts"

/** There are fewer images than one batch takes. Exits with 66. */
export class TooFewImages extends Schema.TaggedError<TooFewImages>()("TooFewImages", {
  set: Schema.String,
  images: Schema.Int,
  batchSize: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `${this.set} holds ${this.images} images but a batch takes ${this.batchSize}; add images or lower optimizer.batchSize`
  }
}

/** The images of one batch in both forms, with where they come from. */
export interface ImageBatch {
  readonly epoch: number
  /** Places in the image set. */
  readonly indices: ReadonlyArray<number>
  readonly labels: Int32Array
  /** `[B, 3, H, W]` from 0 to 1. */
  readonly unit: HostTensor<[number, 3, number, number], "float32">
  /** `[B, 3, H, W]`, standardised. */
  readonly normalised: HostTensor<[number, 3, number, number], "float32">
}

const DECODERS = 8

/** Random views of a set in random order, epoch by epoch; the images beyond the last whole batch of an epoch are left out. */
export interface TrainingBatches {
  readonly stepsPerEpoch: number
  readonly batch: (step: number) => Effect.Effect<ImageBatch, Effect.Error<ReturnType<ImageSet["image"]>>>
}

/** The training batches of a stage. Fails with `TooFewImages` when there is not even one. */
export const training = Effect.fnUntraced(function*(options: {
  readonly stage: string
  readonly set: ImageSet
  readonly seed: number
  readonly batchSize: number
  readonly size: number
  readonly augment: AugmentConfig
  /** The view of a picture under a key; that of pretraining when absent. */
  readonly view?: (picture: Picture, key: Keyed.Key) => Picture
}): Effect.fn.Return<TrainingBatches, TooFewImages> {
  const { augment, batchSize, seed, set, size, stage } = options
  const { view = (picture, key) => Augment.view(picture, size, augment, key) } = options
  const stepsPerEpoch = Math.floor(set.length / batchSize)
  if (stepsPerEpoch === 0) return yield* new TooFewImages({ set: set.name, images: set.length, batchSize })

  // The order of one epoch is drawn once: steps are asked for in turn.
  let order: { readonly epoch: number; readonly places: Int32Array } = { epoch: -1, places: new Int32Array(0) }
  const placesOf = (epoch: number) => {
    if (order.epoch !== epoch) {
      order = { epoch, places: Keyed.permutation({ seed, purpose: `${stage}/order`, epoch, index: 0 }, set.length) }
    }
    return order.places
  }
  return {
    stepsPerEpoch,
    batch: Effect.fnUntraced(function*(step) {
      const epoch = Math.floor(step / stepsPerEpoch)
      const first = (step % stepsPerEpoch) * batchSize
      const indices = Array.from(placesOf(epoch).subarray(first, first + batchSize))
      const views = yield* Effect.forEach(
        indices,
        (index) =>
          Effect.map(
            set.image(index),
            (picture) => view(picture, { seed, purpose: `${stage}/view`, epoch, index })
          ),
        { concurrency: DECODERS }
      )
      return { epoch, indices, labels: labelsOf(set, indices), ...Augment.batch(views, augment) }
    })
  }
})

const labelsOf = (set: ImageSet, indices: ReadonlyArray<number>): Int32Array =>
  Int32Array.from(indices, (index) => set.labels[index]!)

/** A batch of evaluation. Past the end of the set it repeats the last image; only the first `valid` ones count. */
export interface EvaluationBatch extends ImageBatch {
  readonly valid: number
}

/** The central views of a whole set in order, in batches of one size, each handed to `use` in turn. */
export const evaluation = <A, E, R>(
  options: {
    readonly set: ImageSet
    readonly batchSize: number
    readonly size: number
    readonly augment: AugmentConfig
  },
  use: (batch: EvaluationBatch) => Effect.Effect<A, E, R>
) => {
  const { augment, batchSize, set, size } = options
  const starts = Array.from({ length: Math.ceil(set.length / batchSize) }, (_, i) => i * batchSize)
  return Effect.forEach(
    starts,
    Effect.fnUntraced(function*(start) {
      const indices = Array.from({ length: batchSize }, (_, i) => Math.min(start + i, set.length - 1))
      const views = yield* Effect.forEach(
        indices,
        (index) => Effect.map(set.image(index), (picture) => Augment.evaluation(picture, size, augment)),
        { concurrency: DECODERS }
      )
      const valid = Math.min(batchSize, set.length - start)
      return yield* use({ epoch: 0, indices, valid, labels: labelsOf(set, indices), ...Augment.batch(views, augment) })
    })
  )
}
