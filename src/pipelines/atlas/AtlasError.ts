/** Errors of atlases. */
import { Effect, Runtime, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"

/** The run has no atlas, or it is not finished. */
export class NoAtlas extends TaggedError<NoAtlas>()("NoAtlas", {
  /** Number of images that an unfinished scan has kept; null if none was begun. */
  scanned: Schema.NullOr(Schema.Int),
  /** True if a process makes it. */
  isHeld: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return this.scanned === null
      ? "there is no atlas in it"
      : `the atlas is not finished (${this.scanned} images are scanned)`
  }
  get remedy() {
    if (this.scanned === null) return "make one by patchword atlas"
    return this.isHeld
      ? "wait for the process that makes it now"
      : "give the same command patchword atlas again to finish it"
  }
}

interface Setting {
  readonly title: string
  /** The flag that gives a value of the atlas. Absent if no flag sets it. */
  readonly flag?: (stored: string) => string
}

const listed = (title: string, name: string): Setting => ({
  title: `${title}, --${name}`,
  flag: (stored) => `--${name} ${stored}`
})

/** What decides about an atlas, in words of the command line, by its key. */
const SETTINGS: Readonly<Record<string, Setting>> = {
  tokenizer: { title: "SHA-256 of the tokenizer's weights" },
  images: { title: "SHA-256 of the images" },
  split: { title: "split, --split" },
  "lists.nearest": listed("nearest patches", "nearest"),
  "lists.farthest": listed("farthest patches", "farthest"),
  "lists.misses": listed("near misses", "misses"),
  "lists.sample": listed("drawn patches", "sample"),
  thumbnails: listed("side of small pictures in pixels (0: none)", "thumbnails"),
  keepsImages: {
    title: "codes of images, --image-codes",
    flag: (stored) => stored === "true" ? "--image-codes" : "--no-image-codes"
  }
}

/** The folder holds the atlas of another tokenizer, of other images, or under other settings. */
export class OtherAtlas extends TaggedError<OtherAtlas>()("OtherAtlas", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    const told = Json.tellDifferences(
      this.differences.map((one) => ({ ...one, key: SETTINGS[one.key]?.title ?? one.key })),
      (there, here) => `the atlas has ${there}, this command would make ${here}`
    )
    return `it holds another atlas (${told})`
  }
  get remedy() {
    const { differences } = this
    const flags = differences.flatMap(({ key, stored }) => SETTINGS[key]?.flag?.(stored) ?? [])
    const others = "replace it by --replace (in code replace: true), or name another folder by --out"
    return flags.length < differences.length ? others : `give the settings of the atlas (${flags.join(" ")}), ${others}`
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
