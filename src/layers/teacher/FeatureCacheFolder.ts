/** The files of a feature cache. */
import { Effect, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import { CacheDamaged, MANIFEST } from "./FeatureCacheError.ts"
import { KEY, KeyIndex } from "./KeyIndex.ts"

/** Number format of stored features. */
export const DType = Schema.Literals(["float16", "float32"])
export type DType = typeof DType.Type

/** Properties of the features in a cache. */
export const About = Schema.Struct({
  /** The name and the digest of the teacher. */
  teacher: Schema.String,
  digest: Schema.String,
  /** Height and width of the images, in pixels. */
  image: Schema.Tuple([Quantity.Size, Quantity.Size]),
  /** Number of patches of an image, and number of features per patch. */
  tokens: Quantity.Count,
  width: Quantity.Count,
  dtype: DType
})
export type About = typeof About.Type

/** Names of shards. */
export const SHARD = /^shard-(\d{5,})\.bin$/

/** A shard of a cache. */
export const Shard = Schema.Struct({
  // The pattern prevents reads outside of the folder.
  file: Schema.String.check(Schema.isPattern(SHARD)),
  images: Quantity.Count,
  sha256: Schema.String,
  /** Absent if no engine computed the features, and in caches of earlier versions. */
  computedOn: Schema.optionalKey(ComputedOn.ComputedOn)
})
export type Shard = typeof Shard.Type

/** Progress through a series of batches, in steps. */
export const Walk = Schema.Struct({
  /** Number of steps whose images are all in the shards. It is less than `taken` after a shard was damaged. */
  certain: Quantity.Whole,
  taken: Quantity.Whole
})
export type Walk = typeof Walk.Type

/** Returns the number of images of all shards. */
export const images = (shards: ReadonlyArray<Pick<Shard, "images">>): number =>
  shards.reduce((sum, { images }) => sum + images, 0)

/** The list of shards, with the properties of their features. */
export const Manifest = Json.text(
  Schema.Struct({
    format: Schema.Literal(1),
    about: About,
    shards: Schema.Array(Shard).check(
      Schema.makeFilter((shards) => Number.isSafeInteger(images(shards)), {
        expected: "at most 2^53 - 1 images in all"
      })
    ),
    walks: Schema.Record(Schema.String, Walk)
  }),
  { space: 2 }
)
export type Manifest = typeof Manifest.Type

const SIZES: Readonly<Record<DType, number>> = { float16: 2, float32: 4 }

type Row = Pick<About, "tokens" | "width" | "dtype">

/** Returns the size of the features of one image, in bytes. */
export const rowBytes = ({ dtype, tokens, width }: Row): number => tokens * width * SIZES[dtype]

/** Returns the size on disk of the features of `images` images, in bytes. */
export const bytes = (sizes: Row & { readonly images: number }): number => {
  const { images, ...row } = sizes
  return images * (KEY + rowBytes(row))
}

/** Computes the keys of the images of a batch `[B, 3, H, W]`. */
export const keys = (
  images: { readonly data: Float32Array; readonly shape: ReadonlyArray<number> }
): ReadonlyArray<Uint8Array> => {
  const [batch = 0, ...image] = images.shape
  const length = image.reduce((product, dim) => product * dim, 1)
  return Array.from({ length: batch }, (_, i) => {
    const { buffer, byteLength, byteOffset } = images.data.subarray(i * length, (i + 1) * length)
    return createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength)).digest()
  })
}

/** Options of the check of shards when a cache is opened. */
export interface OpenOptions {
  /**
   * Extent of the check; default `contents`. `contents` hashes every shard once. `sizes` checks only lengths, for caches of
   * terabytes.
   */
  readonly check?: "contents" | "sizes"
}

/** A cache with checked shards. */
export interface Opened {
  readonly manifest: Manifest
  readonly index: KeyIndex
  /** Index of the first image of each shard. */
  readonly starts: ReadonlyArray<number>
  readonly damaged: ReadonlyArray<{ readonly error: CacheDamaged; readonly images: number }>
}

/** Opens a cache, if the folder holds one. Damaged shards are listed in `damaged` and cause no failure. */
export const open = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string,
  options: OpenOptions
): Effect.fn.Return<Option.Option<Opened>, CacheDamaged | Files.FileError> {
  const { fs, path } = files
  const { check = "contents" } = options
  const text = yield* Files.ifThere(files.readText(path.join(directory, MANIFEST)))
  if (Option.isNone(text)) return Option.none()
  const manifest = yield* Effect.mapError(
    Schema.decodeEffect(Manifest)(text.value),
    (error) => new CacheDamaged({ file: MANIFEST, problem: Explain.of(error) })
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
          // The manifest's count is used only if the size of the file agrees with it.
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

/**
 * Returns the engines that the features in shards were computed on, without repetition. Shards that do not record it are
 * left out.
 */
export const whereComputed = (shards: ReadonlyArray<Shard>): ReadonlyArray<ComputedOn.ComputedOn> =>
  shards.flatMap(({ computedOn }) => computedOn ?? []).filter((one, i, all) =>
    all.findIndex((other) => ComputedOn.change(one, other) === undefined) === i
  )
