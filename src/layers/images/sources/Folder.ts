/** Images in folders: one sub-folder per class, or one folder per split with one sub-folder per class. */
import { Effect } from "effect"
import * as Config from "../../../domain/config/Config.ts"
import * as SplitFolders from "../../../domain/evaluation/SplitFolders.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import { FolderMissing, SplitsUnclear, UnknownSplit, within } from "../reading/ImagesError.ts"
import * as Labels from "./Labels.ts"
import * as Scan from "./Scan.ts"

/** Options of a folder of images. */
export interface Options extends EncodedImages.Options {
  /**
   * Names of the sub-folders that are splits; `[]` if the folder itself is the only split, `train`. Default: the
   * sub-folders are splits if `SplitFolders.decide` is certain of it.
   */
  readonly splits?: ReadonlyArray<string>
  /**
   * Folder that keeps the list of files between runs; by default, no list is kept. The next run lists only folders that
   * have changed. A file that changes in an unchanged folder is found only with `check: "contents"`.
   */
  readonly cache?: string
}

/** Number of classes that a message lists. */
const NAMED = 5

const NO_FOLDER =
  "expected a folder of images, an image, or a file that ends in .yaml, .json, .tar, .tar.gz or .parquet, got another file"

export const make = Effect.fnUntraced(function*(directory: string, options: Options) {
  const { fs, path } = yield* Files.make
  const scan = yield* Scan.make(options.cache)
  const makeSet = EncodedImages.make(options)

  const { alone, splits, taken } = yield* Effect.gen(function*() {
    // A name with an extension is that of a file.
    if (path.extname(directory) === "" && !(yield* fs.exists(directory))) return yield* new FolderMissing({})
    const { size, type } = yield* fs.stat(directory)
    if (type === "File" && Scan.isImage(directory) && options.splits === undefined) {
      return { splits: [], taken: undefined, alone: { name: path.basename(directory), size: Number(size) } }
    }
    if (type !== "Directory") return yield* Config.refusal(directory, NO_FOLDER)
    if (options.splits !== undefined) return { splits: options.splits, taken: undefined }
    const { folders, images } = yield* scan.folders(directory)
    const suspects = SplitFolders.suspects(folders)
    const inside = yield* Effect.forEach(suspects, (name) => scan.folders(path.join(directory, name)))
    const decided = SplitFolders.decide(folders, new Map(suspects.map((name, i) => [name, inside[i]!.folders])))
    if (decided === "unsure") return yield* new SplitsUnclear({ folders, suspects })
    if (decided === "splits") {
      const beside = images === 0 ? "" : `, and ${images} images beside them are in no split`
      return { splits: folders, taken: `its sub-folders ${folders.join(", ")} are splits${beside}` }
    }
    const names = `${folders.slice(0, NAMED).join(", ")}${folders.length > NAMED ? ", ..." : ""}`
    const classes = folders.length === 0 ? "it has no sub-folders" : `its sub-folders (${names}) are classes`
    return { splits: [], taken: `one split, train; ${classes}` }
  }).pipe(Files.onFailure(directory), within(directory))

  const folders = new Map(
    splits.length === 0 ? [["train", directory]] : splits.map((split) => [split, path.join(directory, split)])
  )

  // Labels have the same meaning in every split, even if a split lacks a class.
  const listing = yield* Effect.cached(Effect.gen(function*() {
    const found = yield* Effect.forEach(folders, ([split, folder]) =>
      Effect.gen(function*() {
        if (!(yield* fs.exists(folder))) return yield* new FolderMissing({})
        return [split, yield* scan.classes(folder, `scan ${split}`)] as const
      }).pipe(Files.onFailure(folder), within(folder)))
    return { found: new Map(found), every: new Set(found.flatMap(([, { labels }]) => [...new Set(labels)])) }
  }))

  /** Makes a set of a single image file. */
  const loadAlone = (image: Scan.Image) => {
    const labelSource = "nothing: one image has no label"
    const listing = { split: "train", folder: path.dirname(directory), images: [image], leftOut: [] }
    return makeSet(scan.listing({ ...listing, classes: [Labels.NONE], labels: new Int32Array(1), labelSource }))
  }

  const load = Effect.fnUntraced(function*(split: string) {
    const folder = folders.get(split)
    if (folder === undefined) {
      return yield* within(directory)(new UnknownSplit({ split, splits: [...folders.keys()] }))
    }
    if (alone !== undefined) return yield* loadAlone(alone)
    const { every, found } = yield* listing
    const { folders: inside, images, labels, leftOut, source } = found.get(split)!
    const describe = (index: number) => images[index]!.name
    const numbered = yield* within(folder)(Labels.number({ labels, describe, known: undefined, every, source }))
    const all = [...leftOut, ...Scan.emptyFolders(inside, every)]
    return yield* makeSet(scan.listing({ split, folder, ...numbered, images, leftOut: all }))
  })

  return {
    splits: [...folders.keys()],
    load: yield* memoize(load),
    ...(taken === undefined ? {} : { taken: `${directory}: ${taken} (--splits decides)` })
  }
})
