/** Reads features from a cache. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import { CacheDamaged, type FeatureCacheError, inBatch, NoCache, NotCached, within } from "./FeatureCacheError.ts"
import { type About, open, type OpenOptions, rowBytes, whereComputed } from "./FeatureCacheFolder.ts"
import { KEY } from "./KeyIndex.ts"

/** A cache that is open for reading. */
export interface Reader {
  readonly about: About
  /** Number of images in the cache. */
  readonly images: number
  /** The engines that the features were computed on, as far as the cache records it. */
  readonly computedOn: ReadonlyArray<ComputedOn.ComputedOn>
  /**
   * Reads the features `[B, tokens, width]` of images by their keys. Fails with `NotCached` if the cache lacks one.
   * `nameOf` gives the names of images for errors.
   */
  readonly read: (
    keys: ReadonlyArray<Uint8Array>,
    nameOf?: (image: number) => string
  ) => Effect.Effect<Float32Array, FeatureCacheError>
}

const READERS = 8

/** Opens a cache for reading. Fails with `NoCache` or `CacheDamaged`. */
export const reader: (
  directory: string,
  options?: OpenOptions
) => Effect.Effect<Reader, FeatureCacheError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.FeatureCache.reader"
)(
  function*(directory, options = {}) {
    const files = yield* Files.make
    const { fs, path } = files
    const opened = yield* open(files, directory, options)
    if (Option.isNone(opened)) return yield* new NoCache({})
    const { damaged: [damaged], index, manifest: { about, shards }, starts } = opened.value
    if (damaged !== undefined) return yield* damaged.error
    const length = rowBytes(about)

    const row = Effect.fnUntraced(function*(number: number) {
      const at = starts.findLastIndex((start) => start <= number)
      const { file, images } = shards[at]!
      const place = path.join(directory, file)
      const content = yield* fs.open(place).pipe(
        Effect.flatMap((handle) => readAt(handle, images * KEY + (number - starts[at]!) * length, length)),
        Effect.scoped,
        Files.onFailure(place)
      )
      if (content.length < length) return yield* new CacheDamaged({ file, problem: "it has become shorter" })
      return about.dtype === "float32"
        ? new Float32Array(content.buffer)
        : Float16.decode(new Uint16Array(content.buffer))
    })

    const read = Effect.fnUntraced(function*(keys: ReadonlyArray<Uint8Array>, nameOf = inBatch) {
      const numbers = keys.map((key) => index.find(key))
      const absent = numbers.indexOf(-1)
      if (absent >= 0) return yield* new NotCached({ image: nameOf(absent), images: index.length })
      const all = new Float32Array(keys.length * about.tokens * about.width)
      yield* Effect.forEach(
        numbers,
        (number, i) => Effect.map(row(number), (values) => all.set(values, i * about.tokens * about.width)),
        { concurrency: READERS, discard: true }
      )
      return all
    }, within(directory))

    return { about, images: index.length, computedOn: whereComputed(shards), read }
  },
  (self, directory) => within(directory)(self)
)
