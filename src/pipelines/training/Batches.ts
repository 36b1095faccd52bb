/**
 * The images of each step, as views. The batch of a step is a function of the seed and the step number alone. A resumed run
 * therefore has the same batches.
 */
import { Clock, Effect, Metric, Runtime, Schema, type Scope } from "effect"
import { type AugmentConfig, Colour } from "../../domain/config/AugmentConfig.ts"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Sampling from "../../domain/method/Sampling.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Augment from "../../layers/images/views/Augment.ts"
import * as ViewWorkers from "../../layers/images/views/ViewWorkers.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import { Ranks } from "../../layers/ranks/Ranks.ts"
import type { HostTensor } from "../../shapes/HostTensor.ts"
import * as EvaluationMetrics from "./EvaluationMetrics.ts"
import * as RankShare from "./RankShare.ts"

/** There are fewer images than one update needs. */
export class TooFewImages extends TaggedError<TooFewImages>()("TooFewImages", {
  stage: Schema.String,
  set: Schema.String,
  images: Schema.Int,
  /** Number of images of one update. */
  needed: Schema.Int,
  /** The largest batch that the images fill. */
  fitting: Schema.Int,
  /** The part of the configuration with the batch size. */
  config: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `${this.stage}: ${this.set} has ${this.images} ${
      this.images === 1 ? "image" : "images"
    }, but one update takes ${this.needed}`
  }
  get remedy() {
    const { config, fitting, images, needed } = this
    const more = needed - images
    const lower = fitting > 1 ? `batchSize to ${fitting} or less` : fitting === 1 ? "batchSize to 1" : "accumulate"
    return `add ${more} ${more === 1 ? "image" : "images"} or more, or lower ${config}.${lower}`
  }
}

/** Makes the error of images that do not fill the batches of one update. */
export const tooFewImages = (
  found: {
    readonly stage: string
    readonly set: string
    readonly images: number
    readonly batchSize: number
    readonly batches: number
    /** The part of the configuration with the batch size; default `optimizer`. */
    readonly config?: string
  }
): TooFewImages => {
  const { batches, batchSize, config = "optimizer", images, set, stage } = found
  const fitting = Math.floor(images / batches)
  return new TooFewImages({ stage, set, images, needed: batchSize * batches, fitting, config })
}

/** The images are decoded with other colours than the network's configuration asks for. */
export class OtherColours extends TaggedError<OtherColours>()("OtherColours", {
  set: Schema.String,
  /** The name of the network. */
  network: Schema.String,
  expected: Colour,
  found: Colour
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the images of ${this.set} are read in ${this.found} colours, but augment.colour of ${this.network} is ` +
      `${this.expected}`
  }
  get remedy() {
    return `give the images the option colour: "${this.expected}" (--colour ${this.expected}), or change ` +
      "the configuration"
  }
}

/** Checks that a set is decoded with the colours of a network's configuration. Pictures without a file are accepted. */
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

/** The images of one batch, in both forms, and their indices. */
export interface ImageBatch {
  readonly epoch: number
  /** Indices in the image set. */
  readonly indices: ReadonlyArray<number>
  /**
   * The key index of each image's random numbers, unique within the epoch: the image's index, or another number if it is
   * repeated.
   */
  readonly draws: ReadonlyArray<number>
  readonly labels: Int32Array
  /** `[B, 3, H, W]` from 0 to 1. In pretraining, the tokenizer's view. */
  readonly unit: HostTensor<[number, 3, number, number], "float32">
  /** `[B, 3, H, W]`, standardised. */
  readonly normalised: HostTensor<[number, 3, number, number], "float32">
}

/** Number of images of a batch that are decoded at the same time. */
export const DECODERS = 8

/** Writes views of images into a batch as they arrive. */
const fill = (
  set: ImageSet.ImageSet,
  places: ReadonlyArray<number>,
  put: (picture: Picture, at: number) => Effect.Effect<void>
) =>
  Effect.forEach(places, (place, at) => ImageSet.lend(set, place, (picture) => put(picture, at)), {
    concurrency: DECODERS,
    discard: true
  })

/** Reuses memory. The allocation of new memory takes as long as writing to it. */
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
  /** The rows of a batch that this rank makes; all rows with one rank. */
  readonly rows: ReadonlyArray<number>
  /** Returns the rows of this rank of the batch of a step, counted from 0. */
  readonly batch: (step: number) => Effect.Effect<ImageBatch, Effect.Error<ReturnType<ImageSet.ImageSet["image"]>>>
  /** Returns all rows of the batch of a step. */
  readonly whole: TrainingBatches["batch"]
  /** Returns the memory of images that are no longer used, for later batches. */
  readonly recycle: (used: ReadonlyArray<Float32Array>) => void
}

/**
 * Makes the training batches of a stage. Fails with `TooFewImages` if there is not even one batch, with `ClassesError` if
 * images are sampled by class and there are fewer than two classes, and with {@link OtherColours}.
 */
export const training = Effect.fnUntraced(function*(options: {
  readonly stage: string
  readonly set: ImageSet.ImageSet
  readonly seed: number
  readonly batchSize: number
  /** Steps of one update; 1 when absent. */
  readonly accumulate?: number | undefined
  readonly size: number
  /** The side of the views from 0 to 1, if these are separate views, such as the tokenizer's in pretraining. */
  readonly secondSize?: number
  readonly augment: AugmentConfig
  /** The images of an epoch. By default, every image once, without those after the last whole batch. */
  readonly sampling?: typeof Sampling.Sampling.Type | undefined
  /** This reader, if there are several. `batchSize` is the number of images of each. */
  readonly shard?: Sampling.Shard
  /** The rows that each of several ranks makes. By default, every rank makes all rows. */
  readonly share?: RankShare.Share
  /** The augmentations of a classifier's views. Without them, the views are those of pretraining. */
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
    share = (whole) => RankShare.contiguous(whole, ALONE),
    size,
    stage
  } = options
  yield* checkColours(set, augment)
  if (sampling?.balanced === true || sampling?.perClass !== undefined) yield* Effect.fromResult(Classes.check(set))
  const sampler = Sampling.make({ ...sampling, stage, seed, labels: set.labels, batchSize, accumulate, shard })
  const { images, stepsPerEpoch } = sampler
  if (stepsPerEpoch === 0) {
    return yield* tooFewImages({ stage, set: set.name, images, batchSize, batches: accumulate * shard.count })
  }
  const { memory, recycle } = recycler()
  const rows = share(batchSize, yield* Ranks)
  const put = yield* ViewWorkers.make({ size, secondSize, augment, policies })
  const make = (own: ReadonlyArray<number>): TrainingBatches["batch"] =>
    Effect.fnUntraced(function*(step) {
      const { draws: all, epoch, places } = sampler.batch(step)
      const [draws, indices] = [own.map((row) => all[row]!), own.map((row) => places[row]!)]
      const shown = Augment.allocate(own.length, size, secondSize, memory)
      yield* fill(
        set,
        indices,
        (picture, at) => put(picture, { seed, purpose: `${stage}/view`, epoch, index: draws[at]! }, shown, at)
      )
      return { epoch, indices, draws, labels: labelsOf(set, indices), ...shown }
    })
  return { stepsPerEpoch, recycle, rows, batch: make(rows), whole: make(RankShare.contiguous(batchSize, ALONE)) }
})

/** The only rank. */
const ALONE = { rank: 0, size: 1 } as const

const labelsOf = (set: ImageSet.ImageSet, indices: ReadonlyArray<number>): Int32Array =>
  Int32Array.from(indices, (index) => set.labels[index]!)

/** A batch of evaluation. After the end of the set it repeats the last image. Only the first `valid` images count. */
export interface EvaluationBatch extends ImageBatch {
  readonly valid: number
}

/** The set, the size of batches and the form of views of an evaluation. */
export interface EvaluationOptions {
  readonly set: ImageSet.ImageSet
  readonly batchSize: number
  readonly size: number
  /** The side of the views from 0 to 1, if these are separate views, such as the tokenizer's beside a network's. */
  readonly secondSize?: number
  readonly augment: AugmentConfig
}

/**
 * Returns the number of images of the batches of an evaluation: `most`, or the number of images of the largest set if that is less. It
 * depends on whole sets alone, not on what is left to do, because it decides about the last bits of results.
 */
export const fitting = (most: number, ...sets: ReadonlyArray<Pick<ImageSet.ImageSet, "length">>): number =>
  Math.max(1, Math.min(most, Math.max(...sets.map(({ length }) => length))))

/** Makes one batch of central views, of the images from `start` on. Fails as the images do. */
export const central = Effect.fnUntraced(function*(options: EvaluationOptions, start: number) {
  const { augment, batchSize, secondSize, set, size } = options
  const second = { ...augment, interpolation: augment.secondInterpolation ?? augment.interpolation }
  const indices = Array.from({ length: batchSize }, (_, i) => Math.min(start + i, set.length - 1))
  const valid = Math.min(batchSize, set.length - start)
  const shown = Augment.allocate(batchSize, size, secondSize)
  yield* fill(set, indices.slice(0, valid), (picture, at) =>
    Effect.andThen(
      Pauses.pause,
      Effect.sync(() => {
        const first = Augment.evaluationView(picture, size, augment)
        const other = secondSize === undefined ? first : Augment.evaluationView(picture, secondSize, second)
        Augment.put(shown, at, { first, second: other }, augment)
      })
    ))
  for (const { data } of [shown.unit, shown.normalised]) {
    const length = data.length / batchSize
    for (let at = valid; at < batchSize; at++) {
      data.copyWithin(at * length, (valid - 1) * length, valid * length)
    }
  }
  const batch: EvaluationBatch = {
    epoch: 0,
    indices,
    draws: indices,
    valid,
    labels: labelsOf(set, indices),
    ...shown
  }
  return batch
})

/**
 * Makes the central views of a whole set in order, and calls `use` for each batch. Batches have one size. Fails with {@link
 * OtherColours}.
 */
export const evaluation = <A, E, R>(
  options: EvaluationOptions,
  use: (batch: EvaluationBatch) => Effect.Effect<A, E, R>
) => {
  const { augment, batchSize, set } = options
  const starts = Array.from({ length: Math.ceil(set.length / batchSize) }, (_, i) => i * batchSize)
  const metrics = EvaluationMetrics.of(set.name)
  return Effect.andThen(
    checkColours(set, augment),
    Effect.flatMap(Clock.currentTimeMillis, (begun) =>
      Effect.forEach(
        starts,
        Effect.fnUntraced(function*(start) {
          const batch = yield* central(options, start)
          const { valid } = batch
          const used = yield* use(batch)
          const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
          yield* Metric.update(metrics.images, valid)
          if (seconds > 0) yield* Metric.update(metrics.imagesPerSecond, (start + valid) / seconds)
          return used
        })
      ))
  )
}
