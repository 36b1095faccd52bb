/**
 * Features of a teacher on disk, so that training needs no teacher. An image is known by the SHA-256 of its pixels: what
 * is found for it is what the teacher said of exactly this view, however the images were cropped.
 *
 * A cache is a folder with `cache.json` and shards `shard-00000.bin` of one size: the keys of their images, then the
 * features of each image in float16 or float32. Shards are written whole or not at all, and `cache.json` records the
 * SHA-256 of each, so a cache that was interrupted goes on after its last shard. Node.js cannot map files into memory;
 * features are read from their places in the shards, and memory holds some 50 bytes an image to find them.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FeatureCache } from "patchword/layers"
 *
 * // CLIP ViT-B/16 on ImageNet, for one epoch.
 * const bytes = FeatureCache.bytes({ images: 1_281_167, tokens: 196, width: 512, dtype: "float16" })
 * assert.strictEqual((bytes / 1e9).toFixed(0), "257")
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Record, Runtime, Schema, type Scope } from "effect"
import { createHash } from "node:crypto"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import { readAt } from "../files/ReadAt.ts"
import { KEY, KeyIndex } from "./KeyIndex.ts"

/** How features are stored. */
export const DType = Schema.Literals(["float16", "float32"])
export type DType = typeof DType.Type

/** Whose features a cache holds, and of which images. */
export const About = Schema.Struct({
  /** The name and the digest of the teacher. */
  teacher: Schema.String,
  digest: Schema.String,
  /** Height and width of the images in pixels. */
  image: Schema.Tuple([Quantity.Size, Quantity.Size]),
  /** Patches of an image, and numbers per patch. */
  tokens: Quantity.Count,
  width: Quantity.Count,
  dtype: DType
})
export type About = typeof About.Type

/** There is no cache in the folder. Exits with 66. */
export class NoCache extends Schema.TaggedError<NoCache>()("NoCache", {}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `there is no ${MANIFEST} in it; check the path, or fill a cache by cacheFeatures`
  }
}

/** The folder holds features of another teacher or of other images. Exits with 73. */
export class OtherFeatures extends Schema.TaggedError<OtherFeatures>()("OtherFeatures", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  override get message() {
    return `it holds other features (${Json.showDifferences(this.differences)}); choose another folder`
  }
}

/** A file of the cache is not what was written. Exits with 65. */
export class CacheDamaged extends Schema.TaggedError<CacheDamaged>()("CacheDamaged", {
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.file} is damaged (${this.problem}); ` + (this.file === MANIFEST
      ? "delete the folder and fill the cache again"
      : "fill the cache again and have damaged shards computed anew (tokenizer cache with --damaged recompute; onDamaged: " +
        "\"recompute\")")
  }
}

/** The cache has no features of an image. Exits with 66. */
export class NotCached extends Schema.TaggedError<NotCached>()("NotCached", {
  /** What the image is called. */
  image: Schema.String,
  images: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `this view of image ${this.image} is none of the ${this.images} whose features it holds; fill it for the same ` +
      "images, configuration, seed and steps as those of this training, or train with the teacher itself. Where images were " +
      "replaced since by others of the same names and sizes, fill it with --again (again: true), which looks at every " +
      "view and computes those that it lacks"
  }
}

/** The disk has too little room for the features. Exits with 74. */
export class TooLittleRoom extends Schema.TaggedError<TooLittleRoom>()("TooLittleRoom", {
  needed: Schema.Finite,
  free: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 74
  override get message() {
    return `the features need up to ${gigabytes(this.needed)} but the disk has ${
      gigabytes(this.free)
    } left; free some ` +
      "space, choose another disk, store float16, or cache fewer steps"
  }
}

/** A feature is too large for float16. Exits with 65. */
export class BeyondHalf extends Schema.TaggedError<BeyondHalf>()("BeyondHalf", {
  /** What the image is called. */
  image: Schema.String,
  value: Schema.Number
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the teacher gave the feature ${this.value} for image ${this.image}, but float16 ends at ${Float16.MAX}; store float32`
  }
}

/** The features of a patch are so small that float16 would lose or turn their direction. Exits with 65. */
export class BelowHalf extends Schema.TaggedError<BelowHalf>()("BelowHalf", {
  /** What the image is called. */
  image: Schema.String,
  /** Counted from 0, row by row. */
  patch: Schema.Int,
  length: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the features of patch ${this.patch} of image ${this.image} are too small for float16 (length ${
      this.length.toPrecision(2)
    }): it would lose their direction; store float32`
  }
}

/** Why a cache gives or takes no features. The exit code is that of the reason. */
export class FeatureCacheError extends Schema.TaggedError<FeatureCacheError>()("FeatureCacheError", {
  directory: Schema.String,
  reason: Schema.Union([
    NoCache,
    OtherFeatures,
    CacheDamaged,
    NotCached,
    TooLittleRoom,
    BeyondHalf,
    BelowHalf,
    FeatureDirections.NoDirection,
    Lock.Locked,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return this.reason instanceof Files.FileError
      ? this.reason.message
      : `feature cache ${this.directory}: ${this.reason.message}`
  }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`

const failed = (directory: string) =>
  Effect.mapError((error: FeatureCacheError["reason"] | FeatureCacheError) =>
    error instanceof FeatureCacheError ? error : new FeatureCacheError({ directory, reason: error })
  )

const MANIFEST = "cache.json"

const SHARD = /^shard-(\d{5,})\.bin$/

const Shard = Schema.Struct({
  // Nothing outside of the folder is read, whatever the manifest says.
  file: Schema.String.check(Schema.isPattern(SHARD)),
  images: Quantity.Count,
  sha256: Schema.String,
  /** Absent where no engine computed it, and in caches of earlier versions. */
  computedOn: Schema.optionalKey(ComputedOn.ComputedOn)
})
type Shard = typeof Shard.Type

/** How many steps of a series of batches are in the shards. */
const Walk = Schema.Struct({
  /** For certain: less than `taken` since a shard was damaged. */
  certain: Quantity.Whole,
  taken: Quantity.Whole
})
type Walk = typeof Walk.Type

const Manifest = Json.text(
  Schema.Struct({
    format: Schema.Literal(1),
    about: About,
    shards: Schema.Array(Shard),
    walks: Schema.Record(Schema.String, Walk)
  }),
  { space: 2 }
)
type Manifest = typeof Manifest.Type

const SIZES: Readonly<Record<DType, number>> = { float16: 2, float32: 4 }

type Row = Pick<About, "tokens" | "width" | "dtype">

const rowBytes = ({ dtype, tokens, width }: Row): number => tokens * width * SIZES[dtype]

/** The size of the features of so many images on disk, in bytes. */
export const bytes = ({ images, ...row }: Row & { readonly images: number }): number => images * (KEY + rowBytes(row))

/** The keys of the images of a batch `[B, 3, H, W]`. */
export const keys = (
  { data, shape }: { readonly data: Float32Array; readonly shape: ReadonlyArray<number> }
): ReadonlyArray<Uint8Array> => {
  const [batch = 0, ...image] = shape
  const length = image.reduce((product, dim) => product * dim, 1)
  return Array.from({ length: batch }, (_, i) => {
    const { buffer, byteLength, byteOffset } = data.subarray(i * length, (i + 1) * length)
    return createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength)).digest()
  })
}

/** How shards are checked when a cache is opened. */
export interface OpenOptions {
  /** `contents` hashes every shard once; `sizes` trusts files of the right length, for caches of terabytes. Default `contents`. */
  readonly check?: "contents" | "sizes"
}

interface Opened {
  readonly manifest: Manifest
  readonly index: KeyIndex
  /** The number of the first image of each shard. */
  readonly starts: ReadonlyArray<number>
  readonly damaged: ReadonlyArray<{ readonly error: CacheDamaged; readonly images: number }>
}

const open = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string,
  { check = "contents" }: OpenOptions
): Effect.fn.Return<Option.Option<Opened>, CacheDamaged | Files.FileError> {
  const { fs, path } = files
  const text = yield* Files.ifThere(files.readText(path.join(directory, MANIFEST)))
  if (Option.isNone(text)) return Option.none()
  const manifest = yield* Effect.mapError(
    Schema.decodeEffect(Manifest)(text.value),
    (error) => new CacheDamaged({ file: MANIFEST, problem: error.message })
  )

  const keysOf = Effect.fnUntraced(
    function*({ file, images, sha256 }: Shard) {
      const place = path.join(directory, file)
      const expected = bytes({ images, ...manifest.about })
      const found = yield* Files.ifThere(
        Files.onFailure(place)(Effect.gen(function*() {
          const handle = yield* fs.open(place)
          const size = Number((yield* handle.stat).size)
          const whole = check === "contents" && size === expected
          // What the manifest counts is believed only where the file has as much.
          return { size, content: yield* readAt(handle, 0, whole ? size : size === expected ? images * KEY : 0) }
        }))
      )
      const damaged = (problem: string) => new CacheDamaged({ file, problem })
      if (Option.isNone(found)) return yield* damaged("it is missing")
      const { content, size } = found.value
      if (size !== expected) return yield* damaged(`it has ${size} bytes instead of ${expected}`)
      if (check === "contents" && Files.sha256(content) !== sha256) {
        return yield* damaged(`it does not have the SHA-256 that ${MANIFEST} records`)
      }
      return content.subarray(0, images * KEY)
    },
    Effect.scoped
  )

  const index = new KeyIndex()
  const starts: Array<number> = []
  const shards: Array<Shard> = []
  const damaged: Array<Opened["damaged"][number]> = []
  for (const shard of manifest.shards) {
    const found = yield* Effect.catchTag(keysOf(shard), "CacheDamaged", (error) => Effect.succeed(error))
    if (found instanceof CacheDamaged) damaged.push({ error: found, images: shard.images })
    else {
      starts.push(index.length)
      shards.push(shard)
      for (let i = 0; i < shard.images; i++) index.add(found.subarray(i * KEY, (i + 1) * KEY))
    }
  }
  return Option.some({ manifest: { ...manifest, shards }, index, starts, damaged })
})

/** A cache that is read. */
export interface Reader {
  readonly about: About
  /** How many images it has the features of. */
  readonly images: number
  /** What they were computed on, as far as that is known. */
  readonly computedOn: ReadonlyArray<ComputedOn.ComputedOn>
  /** The features `[B, tokens, width]` of images by their keys. Fails when one is not there; `nameOf` names it. */
  readonly read: (
    keys: ReadonlyArray<Uint8Array>,
    nameOf?: (image: number) => string
  ) => Effect.Effect<Float32Array, FeatureCacheError>
}

const inBatch = (image: number): string => `${image} of the batch`

const READERS = 8

/** Opens a cache to read it. Fails when there is none, and when it is damaged. */
export const reader: (
  directory: string,
  options?: OpenOptions
) => Effect.Effect<Reader, FeatureCacheError, FileSystem.FileSystem | Path.Path> = Effect.fn("FeatureCache.reader")(
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
    }, failed(directory))

    return { about, images: index.length, computedOn: distinct(shards), read }
  },
  (self, directory) => failed(directory)(self)
)

const distinct = (shards: ReadonlyArray<Shard>): ReadonlyArray<ComputedOn.ComputedOn> =>
  shards.flatMap(({ computedOn }) => computedOn ?? []).filter((one, i, all) =>
    all.findIndex((other) => ComputedOn.change(one, other) === undefined) === i
  )

/** How a cache is filled. */
export interface FillOptions extends OpenOptions {
  /** What computes the features that are added. The cache keeps it, and warns when it is something else than before. */
  readonly computedOn?: ComputedOn.ComputedOn
  /** The size of a shard in bytes, at most; what is computed between two shards is lost with the process. Default 64 MiB. */
  readonly shardBytes?: number
  /** What a damaged shard does: fail, or be removed so that its images are computed anew. Default `fail`. */
  readonly onDamaged?: "fail" | "recompute"
}

/** Batches of one kind, told by a name, that are to be cached up to a step. */
export interface Series {
  readonly series: string
  readonly steps: number
  readonly batchSize: number
}

/** A cache that is filled. */
export interface Writer {
  /** How many images it has the features of. */
  readonly images: () => number
  /** What those in its shards were computed on, as far as that is known. */
  readonly computedOn: () => ReadonlyArray<ComputedOn.ComputedOn>
  readonly has: (key: Uint8Array) => boolean
  /**
   * Adds the features `[B, tokens, width]` of images that it does not have; a full shard is written. Fails with the first
   * image whose features have no direction, or would have none in float16; `nameOf` names it.
   */
  readonly append: (
    keys: ReadonlyArray<Uint8Array>,
    features: Float32Array,
    nameOf?: (image: number) => string
  ) => Effect.Effect<void, FeatureCacheError>
  /** How many steps of a series of batches are in its shards for certain; the others are to be shown again. */
  readonly walked: (series: string) => number
  /** Says that the images of all steps of a series before `steps` were appended. */
  readonly reached: (series: string, steps: number) => void
  /** Writes what is appended but in no shard yet. Happens at the end of the scope as well. */
  readonly flush: Effect.Effect<void, FeatureCacheError>
  /** The most bytes that all of these will add. Fails when the disk has less room. */
  readonly reserve: (asked: ReadonlyArray<Series>) => Effect.Effect<number, FeatureCacheError>
}

const DEFAULT_SHARD_BYTES = 64 * 2 ** 20

/**
 * Opens a cache to fill it, or begins one. The folder is locked against other processes that fill it until the scope
 * ends. Fails when it holds other features, and when a shard is damaged unless these are to be computed anew.
 */
export const writer: (
  directory: string,
  about: About,
  options?: FillOptions
) => Effect.Effect<Writer, FeatureCacheError, FileSystem.FileSystem | Path.Path | Scope.Scope> = Effect.fn(
  "FeatureCache.writer"
)(
  function*(directory, about, options = {}) {
    const files = yield* Files.make
    const { fs, path } = files
    const { computedOn, onDamaged = "fail", shardBytes = DEFAULT_SHARD_BYTES } = options
    const inFolder = Files.onFailure(directory)
    yield* inFolder(fs.makeDirectory(directory, { recursive: true }))
    yield* Lock.hold(files, directory)
    yield* files.sweep(directory)

    const opened = yield* open(files, directory, options)
    const { damaged, index, manifest: found } = Option.getOrElse(opened, (): Opened => ({
      manifest: { format: 1, about, shards: [], walks: {} },
      index: new KeyIndex(),
      starts: [],
      damaged: []
    }))
    // The teacher of a file that was moved has another name.
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
    // Damaged shards, and those of which a killed process did not get to say that they were there.
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
      // Not before: a shard that no manifest names is lost, and a walk would claim its images.
      pending.length = 0
    }).pipe(Effect.uninterruptible, failed(directory))

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
        if (!FeatureDirections.strays(of(values), of(stored))) continue
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
    }, failed(directory))

    const reserve = Effect.fnUntraced(function*(asked: ReadonlyArray<Series>) {
      const images = asked.reduce(
        (sum, { batchSize, series, steps }) => sum + Math.max(0, steps - walkOf(series).taken) * batchSize,
        lost
      )
      const needed = bytes({ images, ...about })
      const free = yield* Files.free(directory)
      return needed > free ? yield* new TooLittleRoom({ needed, free }) : needed
    }, failed(directory))

    yield* Effect.addFinalizer(() => Effect.ignore(flush, { log: true }))

    const made: Writer = {
      images: () => index.length,
      computedOn: () => distinct(manifest.shards),
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
  (self, directory) => failed(directory)(self)
)

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
