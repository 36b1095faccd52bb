/** Errors of image sources. */
import { Effect, Runtime, Schema } from "effect"
import * as Config from "../../../domain/config/Config.ts"
import * as Holdout from "../../../domain/evaluation/Holdout.ts"
import * as Files from "../../files/Files.ts"
import { LeftOut, toldLeftOut } from "./LeftOut.ts"

/** The folder does not exist. */
export class FolderMissing extends Schema.TaggedError<FolderMissing>()("FolderMissing", {}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return "there is no such folder; check the path"
  }
}

const besides = (leftOut: ReadonlyArray<LeftOut>): string => leftOut.length === 0 ? "" : `; ${toldLeftOut(leftOut)}`

/** The folder holds no image. */
export class FolderEmpty extends Schema.TaggedError<FolderEmpty>()("FolderEmpty", {
  extensions: Schema.Array(Schema.String),
  leftOut: Schema.Array(LeftOut)
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `the folder holds no usable image; put images (${
      this.extensions.join(", ")
    }) into it, one sub-folder per class${besides(this.leftOut)}`
  }
}

/** No file of a split holds an image. */
export class SplitEmpty extends Schema.TaggedError<SplitEmpty>()("SplitEmpty", {
  extensions: Schema.Array(Schema.String),
  leftOut: Schema.Array(LeftOut)
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `its files hold no usable image (${
      this.extensions.join(", ")
    }); check which files are named for this split` +
      besides(this.leftOut)
  }
}

/** The folder holds none of the files of the collection. */
export class FilesMissing extends Schema.TaggedError<FilesMissing>()("FilesMissing", { wanted: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return `the folder holds no ${this.wanted}; check the path, and that the archive is unpacked there`
  }
}

/** The file ends too early. */
export class FileTruncated extends Schema.TaggedError<FileTruncated>()("FileTruncated", {
  expected: Schema.Int,
  found: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the file should have ${this.expected} bytes but has ${this.found}; it is cut off, so get it again`
  }
}

/** The file does not have the expected format. */
export class FileDamaged extends Schema.TaggedError<FileDamaged>()("FileDamaged", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the file cannot be used (${this.problem}); repair it or get it again`
  }
}

/** The label of an image is not one of the classes. */
export class LabelUnknown extends Schema.TaggedError<LabelUnknown>()("LabelUnknown", {
  image: Schema.String,
  label: Schema.String,
  classes: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.image} has the label "${this.label}", which is none of the ${this.classes} classes; ` +
      "correct the label or the list of classes"
  }
}

/** An image has no label, but other images of its split do. */
export class LabelMissing extends Schema.TaggedError<LabelMissing>()("LabelMissing", {
  image: Schema.String,
  /** The source of the labels. */
  source: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.image} has no label, though other images have (${this.source}); give it one, or remove it`
  }
}

/** The labels cannot be determined. */
export class LabelsUnusable extends Schema.TaggedError<LabelsUnusable>()("LabelsUnusable", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the labels cannot be used: ${this.problem}`
  }
}

/** The sub-folders of a folder could be splits or classes. */
export class SplitsUnclear extends Schema.TaggedError<SplitsUnclear>()("SplitsUnclear", {
  folders: Schema.Array(Schema.String),
  /** Sub-folders with names of splits. */
  suspects: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const { folders, suspects } = this
    const all = folders.length > NAMED ? `${folders.slice(0, NAMED).join(", ")}, ...` : folders.join(", ")
    return `its sub-folders (${all}) could be splits or classes; name the splits (--splits ${
      suspects.join(",")
    }), or declare that all are classes (--splits none)`
  }
}

/** The requested split does not exist. */
export class UnknownSplit extends Schema.TaggedError<UnknownSplit>()("UnknownSplit", {
  split: Schema.String,
  splits: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    const { split, splits } = this
    const advice = split === "val" && splits.includes("train")
      ? "; or hold out a part of train as val (--holdout 0.2; in code Images.holdout)"
      : ""
    return `there is no split "${split}"; choose one of ${splits.join(", ")}${advice}`
  }
}

/** The name of a part to be held out already belongs to a split. */
export class SplitExists extends Schema.TaggedError<SplitExists>()("SplitExists", { split: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `the split "${this.split}" already exists, so no part needs to be held out; remove --holdout, or give the ` +
      "part another name in code (Images.holdout, into)"
  }
}

const ADVICE = "repair or remove the file, or leave out what is broken (--check contents --broken skip)"

/** The file is not an image, or is damaged. */
export class ImageBroken extends Schema.TaggedError<ImageBroken>()("ImageBroken", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the image cannot be decoded (${this.problem})`
  }
  override get message() {
    return `${this.finding}; ${ADVICE}`
  }
}

/** The image has fewer pixels than needed. */
export class ImageTooSmall extends Schema.TaggedError<ImageTooSmall>()("ImageTooSmall", {
  width: Schema.Int,
  height: Schema.Int,
  minimum: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the image is ${this.width} × ${this.height} pixels, but both sides need at least ${this.minimum}`
  }
  override get message() {
    return `${this.finding}; ${ADVICE}`
  }
}

/** The image has more pixels than allowed. */
export class ImageTooLarge extends Schema.TaggedError<ImageTooLarge>()("ImageTooLarge", {
  width: Schema.Int,
  height: Schema.Int,
  limit: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { height, limit, width } = this
    return `the image is ${width} × ${height} = ${
      width * height
    } pixels, but at most ${limit} are decoded, to protect ` +
      "the memory"
  }
  override get message() {
    return `${this.finding}; raise the limit (--pixel-limit ${this.width * this.height}) if the file is correct, ` +
      "or leave out what is broken (--check contents --broken skip)"
  }
}

/** Number of entries that a message lists. */
const NAMED = 10

/** Several images cannot be used. */
export class ImagesBroken extends Schema.TaggedError<ImagesBroken>()("ImagesBroken", {
  /** The problems, one sentence per image. */
  findings: Schema.Array(Schema.String),
  /** Number of images that were checked. */
  of: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const { findings, of } = this
    const more = findings.length - NAMED
    return [
      `${findings.length} of ${of} images cannot be used`,
      ...findings.slice(0, NAMED).map((finding) => `  ${finding}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
      findings.length === of
        ? "repair these files, or get others"
        : "repair or remove these files, or leave out what is broken (--broken skip)"
    ].join("\n")
  }
}

/** Packages with pictures are not installed. */
export class PackageMissing extends Schema.TaggedError<PackageMissing>()("PackageMissing", {
  packages: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  override get message() {
    return "the pictures of the emoji are npm packages, and some are not installed; give your own images (--images FOLDER; in " +
      `code Images.layerFolder), or install these: npm install ${this.packages.join(" ")}`
  }
}

/** A package does not have the expected content. */
export class PackageDamaged extends Schema.TaggedError<PackageDamaged>()("PackageDamaged", {
  package: Schema.String,
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the package ${this.package} cannot be used (${this.problem}); install it again by: npm install ${this.package}`
  }
}

/** Images cannot be loaded. The exit code is that of the reason. */
export class ImagesError extends Schema.TaggedError<ImagesError>()("ImagesError", {
  /** The folder, the file, or the name of the collection. */
  source: Schema.String,
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
  override get message() {
    const named = this.reason instanceof Files.FileError || this.reason instanceof Config.ConfigError
    return named ? this.reason.message : `${this.source}: ${this.reason.message}`
  }
}

/** Adds the source of the images to errors. */
export const within = (source: string) =>
  Effect.mapError((reason: ImagesError["reason"]) => new ImagesError({ source, reason }))
