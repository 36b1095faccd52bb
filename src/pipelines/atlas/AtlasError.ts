/** Errors of atlases. */
import { Effect, Runtime, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"

/** The run has no atlas. */
export class NoAtlas extends TaggedError<NoAtlas>()("NoAtlas", {
  /** Number of images that an unfinished scan has read; null if none was begun. */
  scanned: Schema.NullOr(Schema.Int)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return this.scanned === null
      ? "there is no atlas in it"
      : `the atlas is not finished (${this.scanned} images are scanned)`
  }
  get remedy() {
    return this.scanned === null
      ? "make one by patchword atlas"
      : "give the same command patchword atlas again to finish it"
  }
}

/** The folder holds the atlas of another tokenizer, of other images, or under other settings. */
export class OtherAtlas extends TaggedError<OtherAtlas>()("OtherAtlas", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `it holds another atlas (${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "replace it by --replace (in code replace: true), or name another folder by --out"
  }
}

/** A file of the atlas differs from what was written. */
export class AtlasDamaged extends TaggedError<AtlasDamaged>()("AtlasDamaged", {
  file: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.file} is damaged (${this.problem})`
  }
  get remedy() {
    return "make the atlas again by patchword atlas, with --replace"
  }
}

/** There are more patches than the counts can hold. */
export class TooManyPatches extends TaggedError<TooManyPatches>()("TooManyPatches", {
  images: Schema.Int,
  patches: Schema.Int,
  /** The largest number of images that can be counted. */
  most: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the set has ${this.images} images of ${this.patches} patches, but an atlas counts 2147483647 patches at most`
  }
  get remedy() {
    return `take a split with ${this.most} images or fewer`
  }
}

/** An atlas cannot be made or read. The exit code is that of the reason. */
export class AtlasError extends TaggedError<AtlasError>()("AtlasError", {
  folder: Schema.String,
  reason: Schema.Union([NoAtlas, OtherAtlas, AtlasDamaged, TooManyPatches, Lock.Locked, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `atlas ${this.folder}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the folder of the atlas to its own errors. Others are not changed. */
export const within =
  (folder: string) =>
  <A, E extends { readonly _tag: string }, R>(self: Effect.Effect<A, E | AtlasError["reason"], R>) =>
    Effect.mapError(self, (error): AtlasError | Exclude<E, AtlasError["reason"]> => {
      switch (error._tag) {
        case "NoAtlas":
        case "OtherAtlas":
        case "AtlasDamaged":
        case "TooManyPatches":
        case "Locked":
        case "FileError":
          return new AtlasError({ folder, reason: error as AtlasError["reason"] })
        default:
          return error as Exclude<E, AtlasError["reason"]>
      }
    })
