/**
 * Which images a step sees, and how. The batch of a step is a function of the seed and the step number alone, so it does
 * not matter where a run was resumed.
 */
import { Clock, Effect, Metric, Runtime, Schema, type Scope } from "effect"
import { type AugmentConfig, Colour } from "../../domain/config/AugmentConfig.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Sampling from "../../domain/method/Sampling.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Augment from "../../layers/images/views/Augment.ts"
import * as ViewWorkers from "../../layers/images/views/ViewWorkers.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import * as EvaluationMetrics from "./EvaluationMetrics.ts"

/** There are fewer images than one update takes. Exits with 66. */
export class TooFewImages extends Schema.TaggedError<TooFewImages>()("TooFewImages", {
  set: Schema.String,
  images: Schema.Int,
  /** Images of one update. */
  needed: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `${this.set} has ${this.images} images to use but an update takes ${this.needed}; add images, or lower ` +
      "optimizer.batchSize or optimizer.accumulate"
  }
}

/** The images are read in other colours than the network's configuration says. Exits with 64. */
export class OtherColours extends Schema.TaggedError<OtherColours>()("OtherColours", {
  set: Schema.String,
  /** Whose configuration. */
  network: Schema.String,
  expected: Colour,
  found: Colour
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `the images of ${this.set} are read in ${this.found} colours, but augment.colour of ${this.network} is ` +
      `${this.expected}; give the images the option colour: "${this.expected}" (--colour ${this.expected}), or change ` +
      "the configuration"
  }
}

/** Holds a set to the colours of a network's configuration; pictures that are no files have but their own. */
export const checkColours = (
  set: ImageSet.ImageSet,
  augment: Pick<AugmentConfig, "colour">,
  network = "the network"
): Effect.Effect<void, OtherColours> => {
  const { colour: found, name } = set
  const { colour: expected = "managed" } = augment
  return found === undefined || found === expected
    ? Effect.void
    : Effect.fail(new OtherColours({ set: name, network, expected, found }))
}

/** The images of one batch in both forms, with where they come from. */
export interface ImageBatch {
  readonly epoch: number
  /** Places in the image set. */
  readonly indices: ReadonlyArray<number>
  /** What names each image's random numbers within the epoch: its place, or another number when it is shown again. */
  readonly draws: ReadonlyArray<number>
  readonly labels: Int32Array
  /** `[B, 3, H, W]` from 0 to 1; of pretraining, what the tokenizer sees. */
  readonly unit: HostTensor<[number, 3, number, number], "float32">
  /** `[B, 3, H, W]`, standardised. */
  readonly normalised: HostTensor<[number, 3, number, number], "float32">
}

/** How many images of a batch are decoded at once. */
export const DECODERS = 8

/** Views of images, put into a batch as they come. */
const fill = (
  set: ImageSet.ImageSet,
  places: ReadonlyArray<number>,
  put: (picture: Picture, at: number) => Effect.Effect<void>
) =>
  Effect.forEach(places, (place, at) => ImageSet.lend(set, place, (picture) => put(picture, at)), {
    concurrency: DECODERS,
    discard: true
  })

/** Memory that is used again: new memory costs as much time as what is written to it. */
const recycler = () => {
  const free: Array<Float32Array> = []
  return {
    memory: (length: number): Float32Array => {
      const found = free.findIndex((array) => array.length === length)
      // Shared with the threads that make views.
      return found === -1 ? new Float32Array(new SharedArrayBuffer(4 * length)) : free.splice(found, 1)[0]!
    },
    recycle: (used: ReadonlyArray<Float32Array>): void => {
      // A stage may give back copies of its own making.
      free.push(...used.filter(({ buffer }) => buffer instanceof SharedArrayBuffer))
    }
  }
}

/** Random views of a set in random order, epoch by epoch. */
export interface TrainingBatches {
  readonly stepsPerEpoch: number
  /** The batch of a step, counted from 0. */
  readonly batch: (step: number) => Effect.Effect<ImageBatch, Effect.Error<ReturnType<ImageSet.ImageSet["image"]>>>
  /** Gives back the memory of images that nobody reads any more, for those of later batches. */
  readonly recycle: (used: ReadonlyArray<Float32Array>) => void
}

/**
 * The training batches of a stage. Fails with `TooFewImages` when there is not even one, with `ClassesError` when images are
 * sampled by their classes and there are none to tell apart, and with {@link OtherColours}.
 */
export const training = Effect.fnUntraced(function*(options: {
  readonly stage: string
  readonly set: ImageSet.ImageSet
  readonly seed: number
  readonly batchSize: number
  /** Steps that make one update; default 1. */
  readonly accumulate?: number | undefined
  readonly size: number
  /** The side of the views from 0 to 1 where these are views of their own, as the tokenizer's in pretraining. */
  readonly secondSize?: number
  readonly augment: AugmentConfig
  /** What an epoch takes of the set; by default every image once, less those beyond the last whole batch. */
  readonly sampling?: typeof Sampling.Sampling.Type | undefined
  /** Which of several readers this is; `batchSize` is the number of images of each. */
  readonly shard?: Sampling.Shard
  /** What changes the views of a classifier; without, they are those of pretraining. */
  readonly policies?: Augment.Recipe["policies"]
}): Effect.fn.Return<TrainingBatches, TooFewImages | OtherColours | Classes.ClassesError, Scope.Scope> {
  const {
    accumulate = 1,
    augment,
    batchSize,
    policies,
    sampling,
    secondSize,
    seed,
    set,
    shard = { index: 0, count: 1 },
    size,
    stage
  } = options
  yield* checkColours(set, augment)
  if (sampling?.balanced === true || sampling?.perClass !== undefined) yield* Effect.fromResult(Classes.check(set))
  const sampler = Sampling.make({ ...sampling, stage, seed, labels: set.labels, batchSize, accumulate, shard })
  const { images, stepsPerEpoch } = sampler
  if (stepsPerEpoch === 0) {
    return yield* new TooFewImages({ set: set.name, images, needed: batchSize * accumulate * shard.count })
  }
  const { memory, recycle } = recycler()
  const put = yield* ViewWorkers.make({ size, secondSize, augment, policies })
  return {
    stepsPerEpoch,
    recycle,
    batch: Effect.fnUntraced(function*(step) {
      const { draws, epoch, places: indices } = sampler.batch(step)
      const shown = Augment.allocate(batchSize, size, secondSize, memory)
      yield* fill(
        set,
        indices,
        (picture, at) => put(picture, { seed, purpose: `${stage}/view`, epoch, index: draws[at]! }, shown, at)
      )
      return { epoch, indices, draws, labels: labelsOf(set, indices), ...shown }
    })
  }
})

const labelsOf = (set: ImageSet.ImageSet, indices: ReadonlyArray<number>): Int32Array =>
  Int32Array.from(indices, (index) => set.labels[index]!)

/** A batch of evaluation. Past the end of the set it repeats the last image; only the first `valid` ones count. */
export interface EvaluationBatch extends ImageBatch {
  readonly valid: number
}

/** The central views of a whole set in order, in batches of one size, each handed to `use` in turn. Fails with {@link OtherColours}. */
export const evaluation = <A, E, R>(
  options: {
    readonly set: ImageSet.ImageSet
    readonly batchSize: number
    readonly size: number
    readonly augment: AugmentConfig
  },
  use: (batch: EvaluationBatch) => Effect.Effect<A, E, R>
) => {
  const { augment, batchSize, set, size } = options
  const starts = Array.from({ length: Math.ceil(set.length / batchSize) }, (_, i) => i * batchSize)
  const metrics = EvaluationMetrics.of(set.name)
  return Effect.andThen(
    checkColours(set, augment),
    Effect.flatMap(Clock.currentTimeMillis, (begun) =>
      Effect.forEach(
        starts,
        Effect.fnUntraced(function*(start) {
          const indices = Array.from({ length: batchSize }, (_, i) => Math.min(start + i, set.length - 1))
          const shown = Augment.allocate(batchSize, size)
          yield* fill(set, indices, (picture, at) =>
            Effect.sync(() => {
              const first = Augment.evaluationView(picture, size, augment)
              Augment.put(shown, at, { first, second: first }, augment)
            }))
          const valid = Math.min(batchSize, set.length - start)
          const used = yield* use({
            epoch: 0,
            indices,
            draws: indices,
            valid,
            labels: labelsOf(set, indices),
            ...shown
          })
          const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
          yield* Metric.update(metrics.images, valid)
          if (seconds > 0) yield* Metric.update(metrics.imagesPerSecond, (start + valid) / seconds)
          return used
        })
      ))
  )
}
