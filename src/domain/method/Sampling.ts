/**
 * The order of images in an epoch. The batch of a step is a function of the seed and the step number alone. The number of
 * readers and the order of their requests do not matter.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Sampling } from "patchword/domain"
 *
 * const labels = [0, 0, 0, 0, 0, 0, 1, 1]
 * const sampler = Sampling.make({ stage: "pretrain", seed: 0, labels, batchSize: 4, balanced: true })
 * const { places } = sampler.batch(1)
 * assert.deepStrictEqual(places.map((place) => labels[place]).sort(), [0, 0, 1, 1])
 * assert.deepStrictEqual(sampler.batch(1).places, places)
 * ```
 */
import { Schema } from "effect"
import * as KeyedRandom from "../values/KeyedRandom.ts"
import * as Quantity from "../values/Quantity.ts"

/** The images of an epoch. By default an epoch has every image once, in random order, without an incomplete last update. */
export const Sampling = Schema.Struct({
  /** The share of each class that is used, at least one image. The other images are never shown. */
  share: Schema.optionalKey(Quantity.Factor).annotateKey({
    description: "Share of the images of each class that is used. Default 1."
  }),
  /**
   * Largest number of images of each class that are used. A smaller number selects a part of a larger one's images, as with
   * `share`.
   */
  perClass: Schema.optionalKey(Quantity.Count).annotateKey({
    description: "Largest number of images of each class that are used. Default: all."
  }),
  /**
   * True for class-balanced epochs: classes take turns, with one image each. An epoch keeps its length. It leaves out images of
   * large classes, different ones each time, and repeats images of small ones.
   */
  balanced: Schema.optionalKey(Schema.Boolean).annotateKey({
    description: "True if all classes are shown equally often. Default false."
  }),
  /**
   * Number of times that an image is shown in a row, each time in another view (repeated augmentation). An epoch keeps its
   * length, so it shows fewer images. Readers take turns, so the views of an image go to different readers.
   */
  repeats: Schema.optionalKey(Quantity.Count).annotateKey({
    description: "Views of an image before the next one (repeated augmentation). Default 1."
  }),
  /**
   * The treatment of images after the last whole update: `drop` leaves them out, `pad` fills the update up from the beginning
   * of the epoch. `drop` when absent.
   */
  rest: Schema.optionalKey(Schema.Literals(["drop", "pad"])).annotateKey({
    description: "Images after the last whole update: drop or pad. Default drop."
  })
}).annotate({ description: "Images of an epoch. Default: every image once, in random order." })

/** One of several readers, counted from 0. They share each step among them. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** The options of a sampler. */
export type Options = typeof Sampling.Type & {
  /** The name of the stage. It separates the random numbers of stages. */
  readonly stage: string
  readonly seed: number
  /** The class of each image of the set. */
  readonly labels: ArrayLike<number>
  /** Images of one step and one reader. */
  readonly batchSize: number
  /** Steps of one update; 1 when absent. An epoch has whole updates only. */
  readonly accumulate?: number | undefined
  /** The reader; by default there is only one. */
  readonly shard?: Shard
}

/** The images of one step. */
export interface Batch {
  readonly epoch: number
  /** Indices in the set. */
  readonly places: ReadonlyArray<number>
  /**
   * The key index of the random numbers of each image, unique within the epoch. It is the image's index in the set. If the
   * epoch has shown the image before, it is a number beyond the set's length.
   */
  readonly draws: ReadonlyArray<number>
}

/** The order of the images of a training. */
export interface Sampler {
  /** Number of images of the set that are used at all. */
  readonly images: number
  readonly stepsPerEpoch: number
  /** Returns the images of a step, counted from 0. */
  readonly batch: (step: number) => Batch
}

const byClass = (places: Int32Array, labels: ArrayLike<number>): ReadonlyMap<number, Int32Array> =>
  new Map(
    [...Map.groupBy(places, (place) => labels[place]!)]
      .toSorted(([a], [b]) => a - b)
      .map(([label, members]) => [label, Int32Array.from(members)])
  )

const all = (length: number): Int32Array => Int32Array.from({ length }, (_, place) => place)

// The stage is left out: whoever compares stages on a part of the data means the same part.
const chosen = ({ labels, perClass = Infinity, seed, share = 1 }: Options): Int32Array => {
  const places = all(labels.length)
  if (share === 1 && perClass === Infinity) return places
  const kept = [...byClass(places, labels)].flatMap(([label, members]) => {
    const many = Math.min(perClass, Math.max(1, Math.round(share * members.length)))
    const order = KeyedRandom.permutation({ seed, purpose: "subset", epoch: 0, index: label }, members.length)
    return Array.from(order.subarray(0, many), (at) => members[at]!)
  })
  return Int32Array.from(kept).toSorted()
}

/** Selects the first `length` images of an epoch that takes one image of each class in turn. */
const inTurns = (
  classes: ReadonlyMap<number, Int32Array>,
  length: number,
  key: (purpose: string, index: number) => KeyedRandom.Key
): Int32Array => {
  const labels = [...classes.keys()]
  const places = new Int32Array(length)
  for (let turn = 0; turn * labels.length < length; turn++) {
    const first = turn * labels.length
    const order = KeyedRandom.permutation(key("turn", turn), labels.length)
    for (let i = 0; i < labels.length && first + i < length; i++) places[first + i] = order[i]!
  }
  const orders = labels.map((label) => {
    const members = classes.get(label)!
    let order = members
    return (turn: number): number => {
      const at = turn % members.length
      if (at === 0) {
        const cycle = turn / members.length
        order = KeyedRandom.permutation(key(`class ${label}`, cycle), members.length).map((place) => members[place]!)
      }
      return order[at]!
    }
  })
  return places.map((which, at) => orders[which]!(Math.floor(at / labels.length)))
}

/** Makes the sampler of a set. It remembers the order of one epoch, so steps in sequence are cheap. */
export const make = (options: Options): Sampler => {
  const { accumulate = 1, balanced = false, batchSize, labels, repeats = 1, rest = "drop", seed, stage } = options
  const { shard = { index: 0, count: 1 } } = options
  if (!(Number.isInteger(shard.index) && 0 <= shard.index && shard.index < shard.count)) {
    throw new RangeError(
      `a shard's index is a whole number from 0 to below its count ${shard.count}, but ${shard.index} came`
    )
  }
  const images = chosen(options)
  const classes = balanced ? byClass(images, labels) : undefined
  const taken = batchSize * shard.count
  const updates = images.length / (taken * accumulate)
  const stepsPerEpoch = (rest === "drop" ? Math.floor(updates) : Math.ceil(updates)) * accumulate

  const orderOf = (epoch: number) => {
    const key = (purpose: string, index: number): KeyedRandom.Key => ({
      seed,
      purpose: `${stage}/${purpose}`,
      epoch,
      index
    })
    const once = classes === undefined
      ? KeyedRandom.permutation(key("order", 0), images.length).map((at) => images[at]!)
      : inTurns(classes, images.length, key)
    const places = Int32Array.from(
      { length: stepsPerEpoch * taken },
      (_, at) => once[Math.floor((at % images.length) / repeats)]!
    )
    const seen = new Int32Array(labels.length)
    const times = places.map((place) => seen[place]!++)
    return { epoch, places, times }
  }
  let order = { epoch: -1, places: new Int32Array(0), times: new Int32Array(0) }
  return {
    images: images.length,
    stepsPerEpoch,
    batch: (step) => {
      const epoch = Math.floor(step / stepsPerEpoch)
      if (order.epoch !== epoch) order = orderOf(epoch)
      const first = (step % stepsPerEpoch) * taken + shard.index
      const positions = Array.from({ length: batchSize }, (_, i) => first + i * shard.count)
      return {
        epoch,
        places: positions.map((at) => order.places[at]!),
        draws: positions.map((at) => order.places[at]! + order.times[at]! * labels.length)
      }
    }
  }
}
