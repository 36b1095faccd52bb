/** Fills a cache with features. */
import { Effect, type FileSystem, Option, type Path, Record, Schema, type Scope } from "effect"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import * as Json from "../../domain/values/Json.ts"
import { Fences } from "../files/Fence.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import {
  BelowHalf,
  BeyondHalf,
  type FeatureCacheError,
  inBatch,
  MANIFEST,
  OtherFeatures,
  TooLittleRoom,
  within
} from "./FeatureCacheError.ts"
import {
  type About,
  bytes,
  Manifest,
  open,
  type Opened,
  type OpenOptions,
  SHARD,
  type Shard,
  type Walk,
  whereComputed
} from "./FeatureCacheFolder.ts"
import { KeyIndex } from "./KeyIndex.ts"

/** Options for filling a cache. */
export interface FillOptions extends OpenOptions {
  /**
   * The engine that computes the added features. The cache records it, and logs a warning if it differs from the engine
   * before.
   */
  readonly computedOn?: ComputedOn.ComputedOn
  /**
   * Greatest size of a shard in bytes; default 64 MiB. If the process ends early, features after the last full shard are
   * lost.
   */
  readonly shardBytes?: number
  /** Treatment of damaged shards; default `fail`. `recompute` removes them, so that their images are computed again. */
  readonly onDamaged?: "fail" | "recompute"
}

/** A named series of batches that are to be cached up to the step `steps`. */
export interface Series {
  readonly series: string
  readonly steps: number
  readonly batchSize: number
}

/** A cache that is open for filling. */
export interface Writer {
  /** Number of images in the cache. */
  readonly images: () => number
  /** The engines that the features in its shards were computed on, as far as it records them. */
  readonly computedOn: () => ReadonlyArray<ComputedOn.ComputedOn>
  /** Tests whether the cache holds the features of an image. `key` is the digest of its pixels. */
  readonly has: (key: Uint8Array) => boolean
  /**
   * Adds the features `[B, tokens, width]` of images that the cache lacks. A full shard is written to disk. Fails for the
   * first image whose features have no direction (`NoDirection`) or do not fit into float16 (`BeyondHalf`, `BelowHalf`).
   * `nameOf` gives the names of images for errors.
   */
  readonly append: (
    keys: ReadonlyArray<Uint8Array>,
    features: Float32Array,
    nameOf?: (image: number) => string
  ) => Effect.Effect<void, FeatureCacheError>
  /** Returns the number of steps of a series whose images are all in the shards. Later steps have to be shown again. */
  readonly walked: (series: string) => number
  /** Records that the images of all steps of a series before `steps` were appended. */
  readonly reached: (series: string, steps: number) => void
  /** Writes the features that are in no shard yet. The end of the scope does this too. */
  readonly flush: Effect.Effect<void, FeatureCacheError>
  /**
   * Returns an upper bound of the bytes that these series will add. Fails with `TooLittleRoom` if the disk has less free
   * space.
   */
  readonly reserve: (asked: ReadonlyArray<Series>) => Effect.Effect<number, FeatureCacheError>
}

const DEFAULT_SHARD_BYTES = 64 * 2 ** 20

/**
 * Opens a cache for filling, or creates one. The folder is locked until the scope ends: no other process can fill it. Fails
 * with `OtherFeatures` if the cache holds other features. Fails with `CacheDamaged` if a shard is damaged and `onDamaged`
 * is `fail`.
 */
export const writer: (
  directory: string,
  about: About,
  options?: FillOptions
) => Effect.Effect<Writer, FeatureCacheError, FileSystem.FileSystem | Path.Path | Scope.Scope> = Effect.fn(
  "patchword.FeatureCache.writer"
)(
  function*(directory, about, options = {}) {
    const outer = yield* Files.make
    const { fs, path } = outer
    const { computedOn, onDamaged = "fail", shardBytes = DEFAULT_SHARD_BYTES } = options
    const inFolder = Files.onFailure(directory)
    const existed = yield* inFolder(fs.exists(directory))
    const remove = yield* outer.beginFolder(directory)
    const fence = yield* Lock.hold(outer, directory)
    const files = yield* Effect.provideService(Files.make, Fences, [...yield* Fences, fence])
    yield* files.sweep(directory)

    const opened = yield* open(files, directory, options)
    // A cache in which nothing was stored leaves nothing.
    const discard = Effect.gen(function*() {
      if ((yield* fs.readDirectory(directory)).some((name) => SHARD.test(name))) return
      yield* existed ? fs.remove(path.join(directory, MANIFEST), { force: true }) : remove
    })
    if (Option.isNone(opened)) yield* Effect.addFinalizer(() => Effect.ignore(discard))
    const { damaged, index, manifest: found } = Option.getOrElse(opened, (): Opened => ({
      manifest: { format: 1, about, shards: [], walks: {} },
      index: new KeyIndex(),
      starts: [],
      damaged: []
    }))
    // The name of a teacher is its file, which may have been moved.
    const identity = (one: About): Json.Json => ({ ...one, teacher: about.teacher })
    const differences = Json.differences(identity(found.about), identity(about))
    if (differences.length > 0) return yield* new OtherFeatures({ differences })
    if (damaged[0] !== undefined && onDamaged === "fail") return yield* damaged[0].error

    let manifest: Manifest = damaged.length === 0
      ? found
      : { ...found, walks: Record.map(found.walks, ({ taken }): Walk => ({ certain: 0, taken })) }
    const lost = damaged.reduce((sum, { images }) => sum + images, 0)
    const walkOf = (series: string): Walk => manifest.walks[series] ?? { certain: 0, taken: 0 }
    const save = (next: Manifest) =>
      Effect.tap(
        files.write(path.join(directory, MANIFEST), `${Schema.encodeSync(Manifest)(next)}\n`),
        () => Effect.sync(() => (manifest = next))
      )
    if (Option.isNone(opened) || damaged.length > 0) yield* save(manifest)
    // Damaged shards, and shards that a killed process had not yet added to the manifest.
    const known = new Set(manifest.shards.map(({ file }) => file))
    for (const name of yield* inFolder(fs.readDirectory(directory))) {
      if (SHARD.test(name) && !known.has(name)) yield* inFolder(fs.remove(path.join(directory, name)))
    }

    const capacity = Math.max(1, Math.floor(shardBytes / bytes({ images: 1, ...about })))
    const pending: Array<{ readonly key: Uint8Array; readonly row: Uint8Array }> = []
    let position: { readonly series: string; readonly steps: number } | undefined

    const walkTo = ({ series, steps }: { readonly series: string; readonly steps: number }): Walk => {
      const { certain, taken } = walkOf(series)
      return { certain: Math.max(certain, steps), taken: Math.max(taken, steps) }
    }

    const flush = Effect.gen(function*() {
      const walks = position === undefined ? manifest.walks : { ...manifest.walks, [position.series]: walkTo(position) }
      if (pending.length === 0) {
        if (Json.canonical(walks) !== Json.canonical(manifest.walks)) yield* save({ ...manifest, walks })
        return
      }
      const last = Number(SHARD.exec(manifest.shards.at(-1)?.file ?? "")?.[1] ?? -1)
      const file = `shard-${String(last + 1).padStart(5, "0")}.bin`
      const content = Buffer.concat([...pending.map(({ key }) => key), ...pending.map(({ row }) => row)])
      yield* files.write(path.join(directory, file), [content])
      const shard: Shard = {
        file,
        images: pending.length,
        sha256: Files.sha256(content),
        ...(computedOn && { computedOn: ComputedOn.of(computedOn) })
      }
      yield* save({ ...manifest, shards: [...manifest.shards, shard], walks })
      // Cleared only now: a shard that is not in the manifest is lost, but the walk would count its images.
      pending.length = 0
    }).pipe(Effect.uninterruptible, within(directory))

    const { dtype, tokens, width } = about

    let told = false
    const tell = Effect.suspend(() => {
      const before = manifest.shards.at(-1)?.computedOn
      const change = told || !before || !computedOn ? undefined : ComputedOn.change(before, computedOn)
      told = true
      return change === undefined ? Effect.void : Effect.logWarning(`feature cache ${directory}: ${change}`)
    })

    const encode = Effect.fnUntraced(function*(values: Float32Array, image: string) {
      yield* Effect.fromResult(FeatureDirections.check(values, { tokens, width, nameOf: () => image }))
      if (dtype === "float32") return Uint8Array.from(bytesOf(values))
      const halves = Float16.encode(values)
      const beyond = halves.findIndex((half) => (half & 0x7fff) >= 0x7c00)
      if (beyond >= 0) return yield* new BeyondHalf({ image, value: values[beyond]! })
      const stored = Float16.decode(halves)
      for (let patch = 0; patch < tokens; patch++) {
        const of = (all: Float32Array) => all.subarray(patch * width, (patch + 1) * width)
        if (!FeatureDirections.hasChanged(of(values), of(stored))) continue
        return yield* new BelowHalf({ image, patch, length: FeatureDirections.length(of(values)) })
      }
      return bytesOf(halves)
    })

    const append = Effect.fnUntraced(function*(
      keys: ReadonlyArray<Uint8Array>,
      features: Float32Array,
      nameOf = inBatch
    ) {
      const numbers = tokens * width
      for (const [i, key] of keys.entries()) {
        if (index.find(key) >= 0) continue
        yield* tell
        const row = yield* encode(features.subarray(i * numbers, (i + 1) * numbers), nameOf(i))
        index.add(key)
        pending.push({ key, row })
        if (pending.length >= capacity) yield* flush
      }
    }, within(directory))

    const reserve = Effect.fnUntraced(function*(asked: ReadonlyArray<Series>) {
      const images = asked.reduce(
        (sum, { batchSize, series, steps }) => sum + Math.max(0, steps - walkOf(series).taken) * batchSize,
        lost
      )
      const needed = bytes({ images, ...about })
      const free = yield* Files.free(directory)
      return needed > free ? yield* new TooLittleRoom({ needed, free }) : needed
    }, within(directory))

    yield* Effect.addFinalizer(() => Effect.ignore(flush, { log: true }))

    const made: Writer = {
      images: () => index.length,
      computedOn: () => whereComputed(manifest.shards),
      has: (key) => index.find(key) >= 0,
      append,
      walked: (series) => walkOf(series).certain,
      reached: (series, steps) => {
        position = { series, steps }
      },
      flush,
      reserve
    }
    return made
  },
  (self, directory) => within(directory)(self)
)

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
