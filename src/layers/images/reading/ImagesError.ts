/** Errors of image sources. */
import { Effect, Runtime, Schema } from "effect"
import * as Config from "../../../domain/config/Config.ts"
import * as Holdout from "../../../domain/evaluation/Holdout.ts"
import { TaggedError } from "../../../domain/values/TaggedError.ts"
import * as Files from "../../files/Files.ts"
import { LeftOut, toldLeftOut } from "./LeftOut.ts"

/** The folder does not exist. */
export class FolderMissing extends TaggedError<FolderMissing>()("FolderMissing", {}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return "there is no such folder"
  }
  get remedy() {
    return "check the path"
  }
}

const besides = (leftOut: ReadonlyArray<LeftOut>): string => leftOut.length === 0 ? "" : `, ${toldLeftOut(leftOut)}`

/** The folder holds no image. */
export class FolderEmpty extends TaggedError<FolderEmpty>()("FolderEmpty", {
  extensions: Schema.Array(Schema.String),
  leftOut: Schema.Array(LeftOut)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `the folder holds no usable image${besides(this.leftOut)}`
  }
  get remedy() {
    return `put images (${this.extensions.join(", ")}) into it, one sub-folder per class`
  }
}

/** No file of a split holds an image. */
export class SplitEmpty extends TaggedError<SplitEmpty>()("SplitEmpty", {
  extensions: Schema.Array(Schema.String),
  leftOut: Schema.Array(LeftOut)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `its files hold no usable image (${this.extensions.join(", ")})${besides(this.leftOut)}`
  }
  get remedy() {
    return "check which files are named for this split"
  }
}

/** The folder holds none of the files of the collection. */
export class FilesMissing extends TaggedError<FilesMissing>()("FilesMissing", { wanted: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `the folder holds no ${this.wanted}`
  }
  get remedy() {
    return "check the path, and that the archive is unpacked there"
  }
}

/** The file ends too early. The number of bytes that it should have is its own, and may be of any size. */
export class FileTruncated extends TaggedError<FileTruncated>()("FileTruncated", {
  expected: Schema.Number,
  found: Schema.Number
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the file is cut off: it has ${this.found} of ${this.expected} bytes`
  }
  get remedy() {
    return "get it again"
  }
}

/** The file does not have the expected format. */
export class FileDamaged extends TaggedError<FileDamaged>()("FileDamaged", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the file cannot be used (${this.problem})`
  }
  get remedy() {
    return "repair it or get it again"
  }
}

const isNegative = (label: string): boolean => /^-\d+$/.test(label)

/** The label of an image is not one of the classes. */
export class LabelUnknown extends TaggedError<LabelUnknown>()("LabelUnknown", {
  image: Schema.String,
  label: Schema.String,
  classes: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { classes, image, label } = this
    return isNegative(label)
      ? `${image} has the label ${label}, but classes are numbers from 0`
      : `${image} has the label "${label}", which is none of the ${classes} classes`
  }
  get remedy() {
    return isNegative(this.label)
      ? "give it the number of its class, or have no labels read if the number stands for none"
      : "correct the label or the list of classes"
  }
}

/** An image has no label, but other images of its split do. */
export class LabelMissing extends TaggedError<LabelMissing>()("LabelMissing", {
  image: Schema.String,
  /** The source of the labels. */
  source: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.image} has no label, though other images have (${this.source})`
  }
  get remedy() {
    return "give it one, or remove it"
  }
}

/** The labels cannot be determined. */
export class LabelsUnusable extends TaggedError<LabelsUnusable>()("LabelsUnusable", {
  problem: Schema.String,
  /** The action that helps. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the labels cannot be used: ${this.problem}`
  }
}

/** The sub-folders of a folder could be splits or classes. */
export class SplitsUnclear extends TaggedError<SplitsUnclear>()("SplitsUnclear", {
  folders: Schema.Array(Schema.String),
  /** Sub-folders with names of splits. */
  suspects: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { folders } = this
    const all = folders.length > NAMED ? `${folders.slice(0, NAMED).join(", ")}, ...` : folders.join(", ")
    return `its sub-folders (${all}) could be splits or classes`
  }
  get remedy() {
    return `name the splits (--splits ${this.suspects.join(",")}), or declare that all are classes (--splits none)`
  }
}

/** The requested split does not exist. */
export class UnknownSplit extends TaggedError<UnknownSplit>()("UnknownSplit", {
  split: Schema.String,
  splits: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no split "${this.split}"`
  }
  get remedy() {
    const { split, splits } = this
    const advice = split === "val" && splits.includes("train")
      ? ", or hold out a part of train as val (--holdout 0.2; in code Images.holdout)"
      : ""
    return `choose one of ${splits.join(", ")}${advice}`
  }
}

/** The name of a part to be held out already belongs to a split. */
export class SplitExists extends TaggedError<SplitExists>()("SplitExists", { split: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the split "${this.split}" already exists, so no part needs to be held out`
  }
  get remedy() {
    return "remove --holdout, or give the part another name in code (Images.holdout, into)"
  }
}

const ADVICE = "repair or remove the file, or leave out what is broken (--check contents --broken skip)"

/** The file is not an image, or is damaged. */
export class ImageBroken extends TaggedError<ImageBroken>()("ImageBroken", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the image cannot be decoded (${this.problem})`
  }
  get remedy() {
    return ADVICE
  }
}

/** The classes of an image's pixels cannot be read. */
export class AnnotationUnusable extends TaggedError<AnnotationUnusable>()("AnnotationUnusable", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the annotation cannot be used (${this.problem})`
  }
  get remedy() {
    return "write it as a PNG of the size of its image, with one channel of 8 bits or a palette, or remove it and its image"
  }
}

/** The image has fewer pixels than needed. */
export class ImageTooSmall extends TaggedError<ImageTooSmall>()("ImageTooSmall", {
  width: Schema.Int,
  height: Schema.Int,
  minimum: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the image is ${this.width} × ${this.height} pixels, but both sides need at least ${this.minimum}`
  }
  get remedy() {
    return ADVICE
  }
}

/** The image has more pixels than allowed. */
export class ImageTooLarge extends TaggedError<ImageTooLarge>()("ImageTooLarge", {
  width: Schema.Int,
  height: Schema.Int,
  limit: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { height, limit, width } = this
    const pixels = width * height
    return `the image is ${width} × ${height} = ${pixels} pixels, but at most ${limit} are decoded, to protect the memory`
  }
  get remedy() {
    return `raise the limit (--pixel-limit ${this.width * this.height}) if the file is correct, ` +
      "or leave out what is broken (--check contents --broken skip)"
  }
}

/** Number of entries that a message lists. */
const NAMED = 10

/** Several images cannot be used. */
export class ImagesBroken extends TaggedError<ImagesBroken>()("ImagesBroken", {
  /** The problems, one sentence per image. */
  findings: Schema.Array(Schema.String),
  /** Number of images that were checked. */
  of: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { findings, of } = this
    const more = findings.length - NAMED
    return [
      `${findings.length} of ${of} images cannot be used`,
      ...findings.slice(0, NAMED).map((finding) => `  ${finding}`),
      ...(more > 0 ? [`  and ${more} more`] : [])
    ].join("\n")
  }
  get remedy() {
    return this.findings.length === this.of
      ? "repair these files, or get others"
      : "repair or remove these files, or leave out what is broken (--broken skip)"
  }
}

/** Packages with pictures are not installed. */
export class PackageMissing extends TaggedError<PackageMissing>()("PackageMissing", {
  packages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return "the pictures of the emoji are npm packages, and some are not installed"
  }
  get remedy() {
    return `install them (npm install ${
      this.packages.join(" ")
    }), or take your own images (Images.layerFolder; every verb but ` +
      "demo has --images FOLDER)"
  }
}

/** A package does not have the expected content. */
export class PackageDamaged extends TaggedError<PackageDamaged>()("PackageDamaged", {
  package: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the package ${this.package} cannot be used (${this.problem})`
  }
  get remedy() {
    return `install it again: npm install ${this.package}`
  }
}

/** Images cannot be loaded. The exit code is that of the reason. */
export class ImagesError extends TaggedError<ImagesError>()("ImagesError", {
  /** The folder, the file, or the name of the collection. */
  source: Schema.String,
  /** The folder or the file, if the source is one. */
  path: Schema.optionalKey(Schema.String),
  reason: Schema.Union([
    FolderMissing,
    FolderEmpty,
    SplitEmpty,
    FilesMissing,
    FileTruncated,
    FileDamaged,
    LabelUnknown,
    LabelMissing,
    LabelsUnusable,
    SplitsUnclear,
    UnknownSplit,
    SplitExists,
    Holdout.ClassesOfOne,
    Holdout.PartEmpty,
    ImageBroken,
    AnnotationUnusable,
    ImageTooSmall,
    ImageTooLarge,
    ImagesBroken,
    PackageMissing,
    PackageDamaged,
    Config.ConfigError,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const named = this.reason instanceof Files.FileError || this.reason instanceof Config.ConfigError
    return named ? this.reason.finding : `${this.source}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the folder or the file of the images to errors. */
export const within = (path: string) =>
  Effect.mapError((reason: ImagesError["reason"]) => new ImagesError({ source: path, path, reason }))

/** Adds the name of the collection or of the split to errors. */
export const about = (source: string) =>
  Effect.mapError((reason: ImagesError["reason"]) => new ImagesError({ source, reason }))
