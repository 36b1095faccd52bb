/**
 * Where pictures come from: folders of the user, emoji out of npm packages, or memory.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Images, ImageSet } from "patchword/layers"
 *
 * const grey = { width: 8, height: 8, data: new Uint8Array(192).fill(128) }
 * const images = Images.layerMemory([ImageSet.memory("train", ["grey"], [grey], [0])])
 * const program = Effect.gen(function*() {
 *   const { load } = yield* Images.Images
 *   const train = yield* load("train")
 *   return yield* train.image(0)
 * })
 * assert.deepStrictEqual(await Effect.runPromise(Effect.provide(program, images)), grey)
 * ```
 */
import { Context, Effect, type FileSystem, Layer, type Path } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Holdout from "../../domain/evaluation/Holdout.ts"
import * as Files from "../files/Files.ts"
import { memoize } from "../files/Memoize.ts"
import { ImagesError, SplitExists, UnknownSplit, within } from "./reading/ImagesError.ts"
import { type ImageSet, subset } from "./reading/ImageSet.ts"
import type * as Emoji from "./sources/Emoji.ts"
import type * as Folder from "./sources/Folder.ts"
import type * as Manifest from "./sources/Manifest.ts"
import type * as Parquet from "./sources/Parquet.ts"
import type * as InShards from "./sources/Shards.ts"
import type * as WebDataset from "./sources/WebDataset.ts"

export {
  FileDamaged,
  FilesMissing,
  FileTruncated,
  FolderEmpty,
  FolderMissing,
  ImageBroken,
  ImagesBroken,
  ImagesError,
  ImageTooLarge,
  ImageTooSmall,
  LabelMissing,
  LabelsUnusable,
  LabelUnknown,
  PackageDamaged,
  PackageMissing,
  SplitEmpty,
  SplitExists,
  SplitsUnclear,
  UnknownSplit
} from "./reading/ImagesError.ts"

/** How a folder is read. */
export type FolderOptions = Folder.Options

/** How the emoji are labelled and where their drawings are kept. */
export type EmojiOptions = Emoji.Options

/** How what a manifest describes is read. */
export type ManifestOptions = Manifest.Options

/** The shards of each split: names of files, or patterns such as `train-{000000..000146}.tar`. */
export type Shards = InShards.Shards

/** How Parquet files are read. */
export type ParquetOptions = Parquet.Options

/** How tar shards are read. */
export type WebDatasetOptions = WebDataset.Options

/** The image sets of one source, by the names of its splits. */
export class Images extends Context.Service<Images, {
  readonly splits: ReadonlyArray<string>
  /** What the sub-folders of a folder were taken for, where that was not told. */
  readonly taken?: string
  /** The pictures of a split. Loaded once; asking again gives the same set. */
  readonly load: (split: string) => Effect.Effect<ImageSet, ImagesError>
}>()("patchword/layers/Images") {}

/** Sets in memory, each a split of its name. */
export const layerMemory = (sets: ReadonlyArray<ImageSet>): Layer.Layer<Images> => {
  const splits = sets.map(({ name }) => name)
  return Layer.succeed(Images, {
    splits,
    load: (split) => {
      const found = sets.find(({ name }) => name === split)
      return found === undefined
        ? Effect.fail(new ImagesError({ source: "images", reason: new UnknownSplit({ split, splits }) }))
        : Effect.succeed(found)
    }
  })
}

/** Which part of a split is held out, and what it is called. */
export interface HoldoutOptions {
  /** The share of each class, above 0 and below 1. */
  readonly share: number
  /** Another seed holds out other images. Default 0. */
  readonly seed?: number
  /** The split that is divided; it keeps the rest. Default `train`. */
  readonly from?: string
  /** The name of the part that is held out. Default `val`. */
  readonly into?: string
}

const heldOut = (images: Images["Service"], options: HoldoutOptions) =>
  Effect.gen(function*() {
    const { from = "train", into = "val", seed = 0, share } = options
    const { load, splits } = images
    const config = yield* within("holdout")(Config.decode(Holdout.Holdout, "holdout")({ share, seed }))
    if (!splits.includes(from)) return yield* within("images")(new UnknownSplit({ split: from, splits }))
    if (splits.includes(into)) return yield* within("images")(new SplitExists({ split: into }))
    const all = splits.flatMap((split) => split === from ? [from, into] : [split])
    const parts = yield* memoize(Effect.fnUntraced(function*(split: string) {
      const set = yield* load(from)
      const { held, rest } = yield* within(from)(Effect.fromResult(Holdout.split(set, config)))
      return split === from
        ? { ...subset(set, rest), holdout: config }
        : { ...subset(set, held), holdout: config, name: into, skipped: [], leftOut: [] }
    }))
    const held: Images["Service"] = {
      ...images,
      splits: all,
      load: (split) => {
        if (split === from || split === into) return parts(split)
        return splits.includes(split)
          ? load(split)
          : within("images")(Effect.fail(new UnknownSplit({ split, splits: all })))
      }
    }
    return held
  })

/**
 * Holds a part of a split out, which becomes a split of its own: `train` is divided into `train` and `val`. The other splits
 * stay as they are. Each class gives its share. The images are chosen by the seed and by their class and name, so every
 * program and every order of files divides alike.
 *
 * ```ts
 * import { Images } from "patchword/layers"
 *
 * const birds = Images.layerFolder("birds").pipe(Images.holdout({ share: 0.2 }))
 * ```
 *
 * The layer fails with `ConfigError` when the share is not between 0 and 1, with `UnknownSplit` when there is no split to
 * divide, with `SplitExists` when there is one of the part's name; `load` with `ClassesOfOne` when a class has one image,
 * with `PartEmpty` when a part has none.
 */
export const holdout =
  (options: HoldoutOptions) => <E, R>(images: Layer.Layer<Images, E, R>): Layer.Layer<Images, E | ImagesError, R> =>
    Layer.provide(Layer.effect(Images, Effect.flatMap(Images, (service) => heldOut(service, options))), images)

const traced = ({ load, ...images }: Images["Service"]): Images["Service"] => ({
  ...images,
  load: Effect.fn("patchword.Images.load")(function*(split) {
    const set = yield* load(split)
    yield* Effect.annotateCurrentSpan({ "patchword.split": split, "patchword.images": set.length })
    return set
  })
})

// Each source is loaded by whoever builds its layer, for it brings the readers of its formats.
const loaded = <S, E, R>(
  load: () => Promise<S>,
  make: (source: S) => Effect.Effect<Images["Service"], E, R>
): Layer.Layer<Images, E, R> =>
  Layer.effect(Images, Effect.promise(load).pipe(Effect.flatMap(make), Effect.map(traced)))

/** {@link layerFolder} without its services: the file system and the paths come from the environment. */
export const layerFolderNoDeps = (
  directory: string,
  options: FolderOptions = {}
): Layer.Layer<Images, ImagesError, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Folder.ts"), ({ make }) => make(directory, options))

/** {@link layerEmoji} without its services: the file system and the paths come from the environment. */
export const layerEmojiNoDeps = (
  options: EmojiOptions = {}
): Layer.Layer<Images, never, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Emoji.ts"), ({ make }) => make(options))

/** {@link layerWebDataset} without its services: the file system and the paths come from the environment. */
export const layerWebDatasetNoDeps = (
  shards: Shards,
  options: WebDatasetOptions = {}
): Layer.Layer<Images, never, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/WebDataset.ts"), ({ make }) => make(shards, options))

/** {@link layerParquet} without its services: the file system and the paths come from the environment. */
export const layerParquetNoDeps = (
  shards: Shards,
  options: ParquetOptions = {}
): Layer.Layer<Images, never, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Parquet.ts"), ({ make }) => make(shards, options))

/** {@link layerManifest} without its services: the file system and the paths come from the environment. */
export const layerManifestNoDeps = (
  file: string,
  options: ManifestOptions = {}
): Layer.Layer<Images, ImagesError, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Manifest.ts"), ({ make }) => make(file, options))

/** {@link layerCifar} without its services: the file system and the paths come from the environment. */
export const layerCifarNoDeps = (
  directory: string
): Layer.Layer<Images, ImagesError, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Cifar.ts"), ({ make }) => make(directory))

/**
 * Image files of a folder, a sub-folder per class: any format that sharp reads, upright, opaque and in RGB, or as the
 * official code reads them (`colour: "official"`). Where all sub-folders are called as splits are, or several are and have
 * a class in common, the sub-folders are the splits and hold the classes; else the only split is `train`. `taken` says
 * which. Images beside folders of classes are left out, as are files of other kinds; `leftOut` counts them.
 *
 * Fails with 66 when the folder is missing, with 65 when its sub-folders could be splits or classes; `load` with 66 when
 * it is empty, with 65 when images are broken, too small or too large, unless these are to be skipped.
 */
export const layerFolder = (directory: string, options?: FolderOptions): Layer.Layer<Images, ImagesError> =>
  layerFolderNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))

/**
 * WebDataset: tar shards, plain or compressed by gzip, of samples. A sample is an image and, of the same name up to its
 * first dot, a `.cls` with its class or a `.json` with a field that gives it: a number, counted from 0, or a name. Its
 * files may stand anywhere in the shard. A split without any label is one class, `.`. A shard is listed once; images are
 * read from their places in it. Compressed shards are unpacked into the cache.
 *
 * `load` fails with 66 when a shard is missing, with 65 when one is cut off or no tar, when a sample has two images or two
 * labels, when a label is no class or cannot be read, and as that of {@link layerFolder} does for images; with 74 when a
 * shard cannot be unpacked.
 */
export const layerWebDataset = (shards: Shards, options?: WebDatasetOptions): Layer.Layer<Images> =>
  layerWebDatasetNoDeps(shards, options).pipe(Layer.provide(Files.layerNode))

/**
 * Parquet files with a column of encoded images (bytes, or structs with the field `bytes`, as Hugging Face writes them)
 * and a column of labels: numbers, counted from 0, or names. The names of the classes are those that the file's own
 * description gives, unless told otherwise; labels of several files meet by name. Without a column `label`, or one that
 * could be meant, all images are one class, `.`.
 *
 * Images are read by pages where the file has an index of its pages, else by row groups, so small ones serve random
 * access best. `load` fails with 66 when a file is missing, with 65 when one is damaged, lacks a column, when a column
 * cannot be a label, when a label is no class, and as that of {@link layerFolder} does for images.
 */
export const layerParquet = (shards: Shards, options?: ParquetOptions): Layer.Layer<Images> =>
  layerParquetNoDeps(shards, options).pipe(Layer.provide(Files.layerNode))

/**
 * A collection that a YAML or JSON file describes, as ImageNet and its test sets:
 *
 * ```yaml
 * root: ILSVRC                              # the paths below are relative to it; by default the manifest's folder
 * synsets: LOC_synset_mapping.txt           # lines "n01440764 tench, Tinca tinca"; or classes: [..], or a file of names
 * splits:
 *   train: { folder: train }                # a folder per class
 *   val: { folder: val, list: val.txt }     # lines "path label"; a label is a number, counted from 0, or a name
 *   adversarial: { folder: imagenet-a, subset: imagenet-a }
 *   sketch: { folder: sketch }
 *   scenes: { folder: images, annotations: annotations }   # a PNG for each image, of greys or a palette
 * ```
 *
 * With `synsets`, folders and labels are the first words and the classes the rest of the lines. A `subset` holds 200 of
 * the 1000 classes under the labels that they have among all; a classifier is tested on it by its scores of these alone.
 *
 * Fails with 64 when the manifest is none, with 66 when a file is missing; `load` also with 65 when a label is no class,
 * and as that of {@link layerFolder} does for images.
 */
export const layerManifest = (file: string, options?: ManifestOptions): Layer.Layer<Images, ImagesError> =>
  layerManifestNoDeps(file, options).pipe(Layer.provide(Files.layerNode))

/**
 * CIFAR-10 (`data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`) or CIFAR-100 (`train.bin`,
 * `test.bin`, `fine_label_names.txt`; its fine labels) as their authors publish them in binary, with the splits `train`
 * and `test`. A loaded split is held in memory: 154 MB for `train`.
 *
 * Fails with 66 when the folder or its list of classes is missing; `load` with 66 when a batch is missing, with 65 when
 * one is cut off or has a label that is no class.
 */
export const layerCifar = (directory: string): Layer.Layer<Images, ImagesError> =>
  layerCifarNoDeps(directory).pipe(Layer.provide(Files.layerNode))

/**
 * 1 636 emoji drawn by six hands at 48 × 48 pixels on mid-grey, in 8 classes. `train` and `val` show four styles;
 * `in-new` new things in these; `flat-new` and `3d-new` new things in new styles; `flat-seen` and `3d-seen` the things
 * of `train` in new styles. The pictures are in npm packages; `load` fails with 66 and says which when they are not
 * installed.
 */
export const layerEmoji = (options?: EmojiOptions): Layer.Layer<Images> =>
  layerEmojiNoDeps(options).pipe(Layer.provide(Files.layerNode))
