/** Fills a cache with features. */
import { Clock, Effect, Exit, type FileSystem, Option, type Path, Record, Schema, Scope } from "effect"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Json from "../../domain/values/Json.ts"
import { Fences } from "../files/Fence.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import * as Pauses from "../machine/Pauses.ts"
import {
  type CacheDamaged,
  FeatureCacheError,
  inBatch,
  MANIFEST,
  OtherFeatures,
  TooLittleRoom,
  within
} from "./FeatureCacheError.ts"
import {
  type About,
  bytes,
  images,
  Manifest,
  open,
  type Opened,
  type OpenOptions,
  SHARD,
  type Shard,
  type Walk,
  whereComputed
} from "./FeatureCacheFolder.ts"
import * as Row from "./FeatureCacheRow.ts"
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
  /**
   * Treatment of features that fill no shard when the scope ends; default `keep`. `keep` writes a smaller shard. `drop` is for features
   * that are stored elsewhere too.
   */
  readonly rest?: "keep" | "drop"
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
  /** Adds images that the cache lacks, as `FeatureCachePart` has them. */
  readonly add: (rows: ReadonlyArray<Row.Row>) => Effect.Effect<void, FeatureCacheError>
  /** Returns the number of steps of a series whose images are all in the shards. Later steps have to be shown again. */
  readonly walked: (series: string) => number
  /** Records that the images of all steps of a series before `steps` were appended. */
  readonly reached: (series: string, steps: number) => void
  /** Writes the features that are in no shard yet. The end of the scope does this too, unless `rest` is `drop`. */
  readonly flush: Effect.Effect<void, FeatureCacheError>
  /**
   * Returns an upper bound of the bytes that these series will add. Fails with `TooLittleRoom` if the disk has less free
   * space.
   */
  readonly reserve: (asked: ReadonlyArray<Series>) => Effect.Effect<number, FeatureCacheError>
}

/** Default of `shardBytes`. */
export const SHARD_BYTES = 64 * 2 ** 20

const PATIENCE = 60_000
const PAUSE = "250 millis"

const check = Effect.fnUntraced(function*(
  { about: found, damaged }: { readonly about: About } & Pick<Opened, "damaged">,
  about: About,
  onDamaged: NonNullable<FillOptions["onDamaged"]>
): Effect.fn.Return<void, OtherFeatures | CacheDamaged> {
  // The name of a teacher is its file, which may have been moved.
  const identity = (one: About): Json.Json => ({ ...one, teacher: about.teacher })
  const differences = Json.differences(identity(found), identity(about))
  if (differences.length > 0) return yield* new OtherFeatures({ differences })
  if (damaged[0] !== undefined && onDamaged === "fail") return yield* damaged[0].error
})

/** Fails with `TooLittleRoom` if the disk of a folder has less free space than the bytes that are needed. */
export const requireFree = Effect.fnUntraced(
  function*(directory: string, needed: number) {
    const free = yield* Files.free(directory)
    if (needed > free) return yield* new TooLittleRoom({ needed, free })
  },
  (self, directory) => within(directory)(self)
)

/**
 * Opens a cache as `writer` does. If another process fills it, this waits. It fails with `Locked` only when that one has written nothing
 * for a minute.
 */
export const nextWriter = Effect.fnUntraced(function*(directory: string, about: About, options: FillOptions) {
  const files = yield* Files.make
  const content = Files.ifThere(files.readText(files.path.join(directory, MANIFEST)))
  let seen: string | undefined
  let since = yield* Clock.currentTimeMillis
  for (;;) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const opened = yield* writer(directory, about, options).pipe(
      Scope.provide(scope),
      Effect.tapError(() => Scope.close(scope, Exit.void)),
      Effect.catchIf(({ reason }) => reason._tag === "Locked", (error) => Effect.succeed(error))
    )
    if (!(opened instanceof FeatureCacheError)) return opened
    const now = yield* Clock.currentTimeMillis
    const present = Option.getOrUndefined(yield* within(directory)(content))
    if (present !== seen) [seen, since] = [present, now]
    else if (now - since > PATIENCE) return yield* opened
    yield* Effect.sleep(PAUSE)
  }
})

/**
 * Returns the number of steps of a series whose images are all in the shards of a folder; 0 without a cache. Unlike `writer`, it needs no
 * lock, and changes nothing. It compares only the sizes of shards. Fails as `writer` does.
 */
export const walked = Effect.fnUntraced(
  function*(directory: string, about: About, series: string, options: Pick<FillOptions, "onDamaged"> = {}) {
    const opened = yield* open(yield* Files.make, directory, { check: "sizes" })
    if (Option.isNone(opened)) return 0
    const { damaged, manifest } = opened.value
    yield* check({ about: manifest.about, damaged }, about, options.onDamaged ?? "fail")
    return damaged.length > 0 ? 0 : manifest.walks[series]?.certain ?? 0
  },
  (self, directory) => within(directory)(self)
)

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
    const { computedOn, onDamaged = "fail", rest = "keep", shardBytes = SHARD_BYTES } = options
    const inFolder = Files.onFailure(directory)
    const existed = yield* inFolder(fs.exists(directory))
    const remove = yield* outer.beginFolder(directory)
    const fence = yield* Lock.hold(outer, directory, { force: yield* Lock.TakeOver })
    const files = yield* Effect.provideService(Files.make, Fences, [...yield* Fences, fence])
    if (fence.number > 1) yield* files.expel(directory, fence.number)
    yield* files.sweep(directory)

    const opened = yield* open(files, directory, options)
    // A cache in which nothing was stored leaves nothing.
    const discard = Effect.gen(function*() {
      yield* fence.check
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
    yield* check({ about: found.about, damaged }, about, onDamaged)

    let manifest: Manifest = damaged.length === 0
      ? found
      : { ...found, walks: Record.map(found.walks, ({ taken }): Walk => ({ certain: 0, taken })) }
    const lost = images(damaged)
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
    const pending: Array<Row.Row> = []
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

    let told = false
    const tell = Effect.suspend(() => {
      const before = manifest.shards.at(-1)?.computedOn
      const change = told || !before || !computedOn ? undefined : ComputedOn.change(before, computedOn)
      told = true
      return change === undefined ? Effect.void : Effect.logWarning(`feature cache ${directory}: ${change}`)
    })

    const has = (key: Uint8Array) => index.find(key) >= 0

    const put = Effect.fnUntraced(function*(one: Row.Row) {
      yield* tell
      index.add(one.key)
      pending.push(one)
      if (pending.length >= capacity) yield* flush
    })

    const append = Effect.fnUntraced(function*(
      keys: ReadonlyArray<Uint8Array>,
      features: Float32Array,
      nameOf = inBatch
    ) {
      const numbers = about.tokens * about.width
      for (const [i, key] of keys.entries()) {
        if (has(key)) continue
        yield* Pauses.pause
        yield* put({ key, row: yield* Row.encode(about, features.subarray(i * numbers, (i + 1) * numbers), nameOf(i)) })
      }
    }, within(directory))

    const add = Effect.fnUntraced(function*(rows: ReadonlyArray<Row.Row>) {
      for (const one of rows) if (!has(one.key)) yield* put(one)
    })

    const reserve = Effect.fnUntraced(function*(asked: ReadonlyArray<Series>) {
      const images = asked.reduce(
        (sum, { batchSize, series, steps }) => sum + Math.max(0, steps - walkOf(series).taken) * batchSize,
        lost
      )
      const needed = bytes({ images, ...about })
      yield* requireFree(directory, needed)
      return needed
    })

    if (rest === "keep") yield* Effect.addFinalizer(() => Effect.ignore(flush, { log: true }))

    const made: Writer = {
      images: () => index.length,
      computedOn: () => whereComputed(manifest.shards),
      has,
      append,
      add,
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
