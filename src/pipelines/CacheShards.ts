/** Computes the features of a cache with several processes that share a folder. */
import { Effect, Stream } from "effect"
import type * as Json from "../domain/values/Json.ts"
import type { FileError } from "../layers/files/Files.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as SharedWork from "../layers/storage/SharedWork.ts"
import * as FeatureCache from "../layers/teacher/FeatureCache.ts"
import * as Part from "../layers/teacher/FeatureCachePart.ts"

/** The views of a batch, and their features. */
export interface Views<E, R> {
  readonly keys: ReadonlyArray<Uint8Array>
  /** Computes the features `[B, tokens, width]`. */
  readonly features: Effect.Effect<Float32Array, E, R>
  /** The names of the views' images, for errors. */
  readonly nameOf: (image: number) => string
}

/** Work on the features of a training, and who does it. */
export interface Shared<E, R, F, Q> {
  /** The folder that the processes share. */
  readonly folder: string
  /** The folder of the cache, for errors. */
  readonly directory: string
  readonly about: FeatureCache.About
  /** All that decides about the views and the bytes of their features. */
  readonly work: Readonly<Record<string, Json.Json>>
  readonly steps: number
  readonly batchSize: number
  /** Greatest size of a shard in bytes. A shard has one step at least. */
  readonly shardBytes: number
  /** The views of the steps from `from` to before `to`. */
  readonly shown: (from: number, to: number) => Stream.Stream<Views<F, Q>, E, R>
}

/** The steps of each shard of a work. */
const stepsOf = <E, R, F, Q>({ about, batchSize, shardBytes }: Shared<E, R, F, Q>): number =>
  Math.max(1, Math.floor(shardBytes / FeatureCache.bytes({ images: batchSize, ...about })))

/**
 * Computes the features of all steps together with all processes that call this with the same folder. It ends when all are computed, by
 * whichever process. See `SharedWork`.
 *
 * Fails with 74 before the first shard of this process if the disk of the folder has too little space for what is left, with
 * `SharedWorkError`, for example if the folder holds features of other work, and as `shown` and its features do.
 */
export const make = Effect.fnUntraced(function*<E, R, F, Q>(shared: Shared<E, R, F, Q>) {
  const { about, batchSize, directory, folder, steps } = shared
  const progress = yield* Progress
  const stepsOfShard = stepsOf(shared)
  const shards = Math.ceil(steps / stepsOfShard)
  let made = 0
  let checked = false
  const reserve = Effect.suspend(() => {
    if (checked) return Effect.void
    checked = true
    const images = (steps - Math.min(steps, made * stepsOfShard)) * batchSize
    return FeatureCache.requireFree(folder, FeatureCache.bytes({ images, ...about }))
  })
  yield* SharedWork.make(
    folder,
    { shards, about: { ...shared.work, steps, stepsOfShard } },
    (shard, write: (part: Uint8Array) => Effect.Effect<void, FileError>) =>
      Effect.gen(function*() {
        yield* reserve
        const part = Part.begin(directory, about)
        yield* shared.shown(shard * stepsOfShard, Math.min(steps, (shard + 1) * stepsOfShard)).pipe(
          Stream.runForEach(Effect.fnUntraced(function*({ features, keys, nameOf }) {
            if (keys.every(part.has)) return
            yield* write(yield* part.next(keys, yield* features, nameOf))
          }))
        )
      }),
    (count) => {
      made = count
      return progress.report({
        stage: "features",
        step: Math.min(steps, count * stepsOfShard),
        total: steps,
        metrics: { shards: count }
      })
    }
  )
})

/** Reads the features from the step `from` on, shard by shard: the images of a shard, and the step before which it ends. */
export const read = <E, R, F, Q>(shared: Shared<E, R, F, Q>, from: number) => {
  const { about, folder, steps } = shared
  const stepsOfShard = stepsOf(shared)
  const first = Math.floor(from / stepsOfShard)
  const count = from >= steps ? 0 : Math.ceil(steps / stepsOfShard) - first
  return Stream.fromIterable(Array.from({ length: count }, (_, i) => first + i)).pipe(
    Stream.rechunk(1),
    Stream.mapEffect((shard) =>
      Effect.map(SharedWork.read(folder, shard), (content) => ({
        rows: Part.rows(about, content),
        end: Math.min(steps, (shard + 1) * stepsOfShard)
      }))
    )
  )
}
