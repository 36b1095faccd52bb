/** Errors of feature caches. */
import { Effect, Runtime, Schema } from "effect"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as Float16 from "../../domain/values/Float16.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"

/** Name of the file that lists the shards of a cache. */
export const MANIFEST = "cache.json"

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`

/** The folder holds no cache. */
export class NoCache extends TaggedError<NoCache>()("NoCache", {}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no ${MANIFEST} in it`
  }
  get remedy() {
    return "check the path, or fill a cache by patchword tokenizer cache (in code cacheFeatures)"
  }
}

/** The folder holds features of another teacher or of other images. */
export class OtherFeatures extends TaggedError<OtherFeatures>()("OtherFeatures", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `it holds other features (${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "choose another folder"
  }
}

/** A file of the cache differs from what was written. */
export class CacheDamaged extends TaggedError<CacheDamaged>()("CacheDamaged", {
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.file} is damaged (${this.problem})`
  }
  get remedy() {
    return this.file === MANIFEST
      ? "delete the folder and fill the cache again"
      : "fill the cache again by tokenizer cache, with --damaged recompute (in code onDamaged: \"recompute\")"
  }
}

/** The cache has no features of this image. */
export class NotCached extends TaggedError<NotCached>()("NotCached", {
  /** The name of the image. */
  image: Schema.String,
  images: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `it holds the features of ${this.images} views, but not of this view of image ${this.image}`
  }
  get remedy() {
    return "fill it for the images, configuration, seed and steps of this training, or train with the teacher itself. If images " +
      "were replaced by others of the same names and sizes, fill it by tokenizer cache --again (in code again: true), which " +
      "checks every view and computes missing ones"
  }
}

/** The disk does not have enough free space for the features. */
export class TooLittleRoom extends TaggedError<TooLittleRoom>()("TooLittleRoom", {
  needed: Schema.Finite,
  free: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 74
  get finding() {
    return `the features need up to ${gigabytes(this.needed)} but the disk has ${gigabytes(this.free)} left`
  }
  get remedy() {
    return "free some space, choose another disk, store float16, or cache fewer steps"
  }
}

/** A feature is too large for float16. */
export class BeyondHalf extends TaggedError<BeyondHalf>()("BeyondHalf", {
  /** The name of the image. */
  image: Schema.String,
  value: Schema.Number
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the teacher gave the feature ${this.value} for image ${this.image}, but float16 ends at ${Float16.MAX}`
  }
  get remedy() {
    return "store float32"
  }
}

/** The features of a patch are so small that float16 would lose or change their direction. */
export class BelowHalf extends TaggedError<BelowHalf>()("BelowHalf", {
  /** The name of the image. */
  image: Schema.String,
  /** Index of the patch from 0, row by row. */
  patch: Schema.Int,
  length: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the features of patch ${this.patch} of image ${this.image} are too small for float16 (length ${
      this.length.toPrecision(2)
    }): it would lose their direction`
  }
  get remedy() {
    return "store float32"
  }
}

/** A cache cannot give or take features. The exit code is that of the reason. */
export class FeatureCacheError extends TaggedError<FeatureCacheError>()("FeatureCacheError", {
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
  get finding() {
    return this.reason instanceof Files.FileError
      ? this.reason.finding
      : `feature cache ${this.directory}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the cache's folder to errors. */
export const within = (directory: string) =>
  Effect.mapError((error: FeatureCacheError["reason"] | FeatureCacheError) =>
    error instanceof FeatureCacheError ? error : new FeatureCacheError({ directory, reason: error })
  )

/** Default name of an image in errors: its index in the batch. */
export const inBatch = (image: number): string => `${image} of the batch`
