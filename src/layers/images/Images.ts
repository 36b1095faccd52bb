/**
 * Sources of labelled images: folders, shards and files of the user, emoji from npm packages, or memory.
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
import { about, ImagesError, SplitExists, UnknownSplit } from "./reading/ImagesError.ts"
import { type ImageSet, subset } from "./reading/ImageSet.ts"
import type * as Emoji from "./sources/Emoji.ts"
import type * as Folder from "./sources/Folder.ts"
import type * as Manifest from "./sources/Manifest.ts"
import type * as Parquet from "./sources/Parquet.ts"
import type * as Scenes from "./sources/Scenes.ts"
import type * as InShards from "./sources/Shards.ts"
import type * as WebDataset from "./sources/WebDataset.ts"

export {
  AnnotationUnusable,
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

/** Options of a folder of images. */
export type FolderOptions = Folder.Options

/** Options of the emoji: their labels, and the folder for their drawings. */
export type EmojiOptions = Emoji.Options

/** Options of scenes of emoji: their seed, and their number in each split. */
export type ScenesOptions = Scenes.Options

/** Options of a manifest. */
export type ManifestOptions = Manifest.Options

/** The shards of each split: names of files, or patterns such as `train-{000000..000146}.tar`. */
export type Shards = InShards.Shards

/** Options of Parquet files. */
export type ParquetOptions = Parquet.Options

/** Options of WebDataset shards. */
export type WebDatasetOptions = WebDataset.Options

/** The image sets of one source, by the names of its splits. */
export class Images extends Context.Service<Images, {
  readonly splits: ReadonlyArray<string>
  /** Interpretation of a folder's sub-folders, as splits or as classes, if the options did not determine it. */
  readonly taken?: string
  /** Loads the images of a split. It loads them once; later calls return the same set. */
  readonly load: (split: string) => Effect.Effect<ImageSet, ImagesError>
}>()("patchword/layers/Images") {}

/** Serves sets in memory. Each is a split; its name is the split's name. */
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

/** Size and name of the part of a split that is held out. */
export interface HoldoutOptions {
  /** Share of each class that is held out, above 0 and below 1. */
  readonly share: number
  /** Random seed of the choice; default 0. */
  readonly seed?: number
  /** Name of the split that is divided, and that keeps the rest; default `train`. */
  readonly from?: string
  /** Name of the part that is held out; default `val`. */
  readonly into?: string
}

const heldOut = (images: Images["Service"], options: HoldoutOptions) =>
  Effect.gen(function*() {
    const { from = "train", into = "val", seed = 0, share } = options
    const { load, splits } = images
    const config = yield* about("holdout")(Config.decode(Holdout.Holdout, "holdout")({ share, seed }))
    if (!splits.includes(from)) return yield* about("images")(new UnknownSplit({ split: from, splits }))
    if (splits.includes(into)) return yield* about("images")(new SplitExists({ split: into }))
    const all = splits.flatMap((split) => split === from ? [from, into] : [split])
    const parts = yield* memoize(Effect.fnUntraced(function*(split: string) {
      const set = yield* load(from)
      const { held, rest } = yield* about(from)(Effect.fromResult(Holdout.split(set, config)))
      const names = Array.from(held, (place) => `${set.classes[set.labels[place]!]}/${set.describe(place)}`)
      const drawn = { ...config, held: Files.sha256(names.toSorted().join("\n")), whole: set.digest }
      return split === from
        ? { ...subset(set, rest), holdout: drawn }
        : { ...subset(set, held), holdout: drawn, name: into, skipped: [], leftOut: [] }
    }))
    const held: Images["Service"] = {
      ...images,
      splits: all,
      load: (split) => {
        if (split === from || split === into) return parts(split)
        return splits.includes(split)
          ? load(split)
          : about("images")(Effect.fail(new UnknownSplit({ split, splits: all })))
      }
    }
    return held
  })

/**
 * Holds out a part of a split as a split of its own: by default, it divides `train` into `train` and `val`. The other
 * splits stay as they are. Each class contributes the same share. The choice depends only on the seed and on the images'
 * classes and names. It is the same in every program and for every order of files.
 *
 * ```ts
 * import { Images } from "patchword/layers"
 *
 * const birds = Images.layerFolder("birds").pipe(Images.holdout({ share: 0.2 }))
 * ```
 *
 * The layer fails with
 * - `ConfigError` if the share is not between 0 and 1,
 * - `UnknownSplit` if the divided split does not exist,
 * - `SplitExists` if a split already has the name of the part.
 *
 * `load` fails with
 * - `ClassesOfOne` if a class has only one image,
 * - `PartEmpty` if a part would be empty.
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

// Each source is imported when its layer is built, because it imports the readers of its formats.
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

/** {@link layerScenes} without its services: the file system and the paths come from the environment. */
export const layerScenesNoDeps = (
  options: ScenesOptions = {}
): Layer.Layer<Images, never, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Scenes.ts"), ({ make }) => make(options))

/** {@link layerCifar} without its services: the file system and the paths come from the environment. */
export const layerCifarNoDeps = (
  directory: string
): Layer.Layer<Images, ImagesError, FileSystem.FileSystem | Path.Path> =>
  loaded(() => import("./sources/Cifar.ts"), ({ make }) => make(directory))

/**
 * Reads image files from a folder with one sub-folder per class. It reads any format that sharp reads, upright, opaque and
 * in RGB. With `colour: "official"`, it reads them as the official code does.
 *
 * The sub-folders are splits, which contain the classes, in two cases: all of them have names of splits, or several do and
 * these have a class in common. Otherwise the only split is `train`. `taken` states the interpretation. Images next to
 * folders of classes and files of other kinds are left out; `leftOut` counts them.
 *
 * Fails with `FolderMissing` if the folder is missing, and with `SplitsUnclear` if its sub-folders could be splits or classes.
 * `load` fails with
 * - `FolderEmpty` if there are no images,
 * - `ImagesBroken` if images are broken, too small or too large, unless `onBroken` is `skip`.
 */
export const layerFolder = (directory: string, options?: FolderOptions): Layer.Layer<Images, ImagesError> =>
  layerFolderNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))

/**
 * Reads WebDataset: tar shards of samples, plain or compressed by gzip. The files of a sample have the same name up to the
 * first dot, and can be anywhere in the shard. One of them is the image. A `.cls`, or a field in a `.json`, gives its
 * class: a number, counted from 0, or a name. A split without any label has one class, `.`. Each shard is listed once, and
 * images are read from their positions in it. Compressed shards are unpacked into the cache.
 *
 * `load` fails with
 * - `FileError` if a shard is missing or cannot be unpacked,
 * - `FileTruncated` if a shard is cut off,
 * - `FileDamaged` if a shard is not a tar file, or a sample has two images or two labels,
 * - `LabelUnknown` if a label is not a class,
 * - `LabelsUnusable` if a label cannot be read.
 *
 * For images, it fails as `load` of {@link layerFolder} does.
 */
export const layerWebDataset = (shards: Shards, options?: WebDatasetOptions): Layer.Layer<Images> =>
  layerWebDatasetNoDeps(shards, options).pipe(Layer.provide(Files.layerNode))

/**
 * Reads Parquet files with a column of encoded images and a column of labels. Images are bytes, or structs with the field
 * `bytes`, as Hugging Face writes them. Labels are numbers, counted from 0, or names. The names of the classes come from
 * the options, else from the file's own metadata. Labels of several files are matched by name. Without a column `label`, or
 * one that could serve as such, all images have one class, `.`.
 *
 * Images are read by pages if the file has an index of its pages, else by row groups. So small pages or row groups serve
 * random access best.
 *
 * `load` fails with
 * - `FileError` if a file is missing,
 * - `FileDamaged` or `FileTruncated` if a file is damaged or lacks a column,
 * - `LabelsUnusable` if a column cannot be a label,
 * - `LabelUnknown` if a label is not a class.
 *
 * For images, it fails as `load` of {@link layerFolder} does.
 */
export const layerParquet = (shards: Shards, options?: ParquetOptions): Layer.Layer<Images> =>
  layerParquetNoDeps(shards, options).pipe(Layer.provide(Files.layerNode))

/**
 * Reads a collection that a YAML or JSON file (a manifest) describes, for example ImageNet and its test sets:
 *
 * ```yaml
 * root: ILSVRC                              # the paths below are relative to it; by default the manifest's folder
 * synsets: LOC_synset_mapping.txt           # lines "n01440764 tench, Tinca tinca"; or classes: [..], or a file of names
 * splits:
 *   train: { folder: train }                # a folder per class
 *   val: { folder: val, list: val.txt }     # lines "path label"; a label is a number, counted from 0, or a name
 *   adversarial: { folder: imagenet-a, subset: imagenet-a }
 *   sketch: { folder: sketch }
 *   scenes: { folder: images, annotations: annotations }   # a PNG for each image, with grey values or a palette
 * pixelClasses: objectInfo150.txt           # their classes: [..], or a file of names, or a table with a column Name
 * reduceZeroLabel: true                     # 0 stands for no class, and 1 for the first one, as in ADE20K
 * ```
 *
 * Each line of `synsets` begins with the name in folders and labels; the rest is the name of the class. A `subset` holds 200
 * of the 1000 classes, chosen by their WordNet numbers, under their labels among all 1000. A classifier is tested on it by its
 * scores of these classes alone.
 *
 * Fails with `ConfigError` if the manifest is invalid, and with `FileError` if a file is missing. `load` also fails with
 * `LabelUnknown` if a label is not a class. For images, it fails as `load` of {@link layerFolder} does.
 */
export const layerManifest = (file: string, options?: ManifestOptions): Layer.Layer<Images, ImagesError> =>
  layerManifestNoDeps(file, options).pipe(Layer.provide(Files.layerNode))

/**
 * Reads CIFAR-10 (`data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`) or CIFAR-100
 * (`train.bin`, `test.bin`, `fine_label_names.txt`; its fine labels) in the binary form that its authors publish. The
 * splits are `train` and `test`. A loaded split is held in memory: 154 MB for `train`.
 *
 * Fails with `FolderMissing` or `FilesMissing` if the folder or its list of classes is missing. `load` fails with
 * `FileError` if a batch is missing, with `FileTruncated` if one is cut off, and with `LabelUnknown` if a label is not a
 * class.
 */
export const layerCifar = (directory: string): Layer.Layer<Images, ImagesError> =>
  layerCifarNoDeps(directory).pipe(Layer.provide(Files.layerNode))

/**
 * Serves 1 636 emoji in 8 classes, drawn by six hands, at 48 × 48 pixels on mid-grey. `train` and `val` show four styles.
 * `in-new` shows new things in these styles. `flat-new` and `3d-new` show new things in new styles. `flat-seen` and
 * `3d-seen` show the things of `train` in new styles. The pictures are in npm packages. `load` fails with `PackageMissing`,
 * which names the packages that are not installed.
 */
export const layerEmoji = (options?: EmojiOptions): Layer.Layer<Images> =>
  layerEmojiNoDeps(options).pipe(Layer.provide(Files.layerNode))

/**
 * Serves scenes of {@link layerEmoji}'s drawings on textured grounds, at 96 × 96 pixels, with the classes of their pixels: the
 * ground, and nine classes of objects. A scene depends on the seed, its split and its index. `train` has 2000 scenes; `val`,
 * `in-new`, `flat-new` and `3d-new` have 200 each, of the emoji of that split. Loaded scenes are kept: 36 KB each. `load` fails with
 * `PackageMissing`, as that of the emoji.
 */
export const layerScenes = (options?: ScenesOptions): Layer.Layer<Images> =>
  layerScenesNoDeps(options).pipe(Layer.provide(Files.layerNode))
