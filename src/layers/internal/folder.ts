/** Images in folders: one sub-folder per class, perhaps within one per split. */
import { Effect, Option } from "effect"
import { createHash } from "node:crypto"
import type { Picture } from "../../domain/Picture.ts"
import * as Files from "../Files.ts"
import { FolderEmpty, FolderMissing, ImagesError, type ImageSet, UnknownSplit, within } from "../ImageSet.ts"
import * as Decode from "./decode.ts"
import { remember } from "./remember.ts"

/** How a folder is read. */
export interface Options {
  /** What a broken or too small image does: fail `load`, or be left out and listed in `skipped`. Default `fail`. */
  readonly onBroken?: "fail" | "skip"
  /**
   * The sub-folders that are splits; `[]` when the folder itself is the only one, `train`. By default every sub-folder is
   * a split if one is called `train`.
   */
  readonly splits?: ReadonlyArray<string>
  /**
   * Whether `load` decodes every file once, so that broken ones are found before training and the digest covers the
   * bytes; or trusts names and sizes, for millions of images. Default `contents`.
   */
  readonly check?: "contents" | "names"
  /** Least width and height, as a patch's side. Default 1. */
  readonly minimumSide?: number
  /** Most pixels of a file; a guard against decompression bombs. Default 100 million. */
  readonly pixelLimit?: number
  /** Shrinks pictures on decoding until the shorter side has so many pixels; makes small views of large photographs cheap. */
  readonly shrinkTo?: number
  /** How many bytes of decoded pictures are kept for the next epoch. Default 512 MiB. */
  readonly memory?: number
}

interface Entry {
  readonly file: string
  /** Relative to the split's folder, with forward slashes. */
  readonly name: string
  readonly class: string
}

// What a system or an editor leaves behind starts with a dot.
const isImage = (name: string): boolean =>
  name.split("/").every((part) => !part.startsWith(".")) &&
  Decode.EXTENSIONS.includes(name.slice(name.lastIndexOf(".") + 1).toLowerCase())

export const make = Effect.fnUntraced(function*(directory: string, options: Options) {
  const { fs, path } = yield* Files.make
  const bounds: Decode.Bounds = {
    pixelLimit: options.pixelLimit ?? 100_000_000,
    minimumSide: options.minimumSide ?? 1,
    shrinkTo: options.shrinkTo
  }
  const subfolders = Effect.fnUntraced(function*(folder: string) {
    const names = yield* fs.readDirectory(folder)
    const kinds = yield* Effect.forEach(names, (name) =>
      fs.stat(path.join(folder, name)).pipe(
        Effect.map(({ type }) => type),
        // A link to nowhere is no folder.
        Effect.catch(() => Effect.succeed("Unknown"))
      ), { concurrency: 16 })
    return names.filter((name, i) => kinds[i] === "Directory" && !name.startsWith(".")).toSorted()
  })

  // Folders of classes may be links, which a recursive listing does not follow.
  const list = Effect.fnUntraced(function*(folder: string) {
    const inner = yield* Effect.forEach(
      yield* subfolders(folder),
      (name) =>
        Effect.map(
          fs.readDirectory(path.join(folder, name), { recursive: true }),
          (names) => names.map((file) => `${name}/${file.replaceAll("\\", "/")}`)
        )
    )
    return [...yield* fs.readDirectory(folder), ...inner.flat()].filter(isImage).toSorted().map((name): Entry => ({
      file: path.join(folder, name),
      name,
      class: name.includes("/") ? name.slice(0, name.indexOf("/")) : "."
    }))
  })

  const splits = yield* Effect.gen(function*() {
    if (!(yield* fs.exists(directory))) return yield* new FolderMissing({})
    if (options.splits !== undefined) return options.splits
    const found = yield* subfolders(directory)
    return found.includes("train") ? found : []
  }).pipe(Files.onFailure(directory), within(directory))

  const folders = new Map(
    splits.length === 0 ? [["train", directory]] : splits.map((split) => [split, path.join(directory, split)])
  )

  // Labels mean the same in every split, also where one lacks a class.
  const listing = yield* Effect.cached(Effect.gen(function*() {
    const entries = yield* Effect.forEach(folders, ([split, folder]) =>
      Effect.gen(function*() {
        if (!(yield* fs.exists(folder))) return yield* new FolderMissing({})
        return [split, yield* list(folder)] as const
      }).pipe(Files.onFailure(folder), within(folder)))
    const classes = [...new Set(entries.flatMap(([, images]) => images.map((image) => image.class)))].toSorted()
    return { entries: new Map(entries), classes }
  }))

  let room = options.memory ?? 512 * 2 ** 20

  const load = Effect.fn("Images.load")(function*(split: string) {
    const folder = folders.get(split)
    if (folder === undefined) {
      return yield* within(directory)(new UnknownSplit({ split, splits: [...folders.keys()] }))
    }
    const { classes, entries } = yield* listing
    const kept = new Map<string, Picture>()

    const keep = (file: string, picture: Picture) => {
      if (picture.data.length > room || kept.has(file)) return
      room -= picture.data.length
      kept.set(file, picture)
    }

    const read = Effect.fnUntraced(function*(file: string) {
      const bytes = yield* Files.onFailure(file)(fs.readFile(file))
      const picture = yield* Decode.decode(bytes, bounds)
      keep(file, picture)
      return { bytes, picture }
    }, (self, file) => within(file)(self))

    const identify = ({ file }: Entry) =>
      options.check === "names"
        ? fs.stat(file).pipe(Effect.map(({ size }) => String(size)), Files.onFailure(file), within(file))
        : Effect.map(read(file), ({ bytes }) => Files.sha256(bytes))

    const skippable = ({ reason }: ImagesError) =>
      options.onBroken === "skip" && (reason._tag === "ImageBroken" || reason._tag === "ImageTooSmall")

    const skipped: Array<string> = []
    const checked = yield* Effect.forEach(
      entries.get(split) ?? [],
      (entry) =>
        Effect.map(identify(entry), (identity) => Option.some({ entry, identity })).pipe(
          Effect.catchIf(skippable, ({ message }) =>
            Effect.sync(() => {
              skipped.push(message)
              return Option.none()
            }))
        ),
      { concurrency: 8 }
    )
    const images = checked.flatMap(Option.toArray)
    if (images.length === 0) return yield* within(folder)(new FolderEmpty({ extensions: Decode.EXTENSIONS }))

    const hash = createHash("sha256").update(JSON.stringify([classes, bounds.shrinkTo ?? null]))
    for (const { entry, identity } of images) hash.update(`\n${entry.name}\n${identity}`)
    const set: ImageSet = {
      name: split,
      length: images.length,
      classes,
      labels: Int32Array.from(images, ({ entry }) => classes.indexOf(entry.class)),
      digest: hash.digest("hex"),
      skipped: skipped.toSorted(),
      image: (index) => {
        const entry = images[index]?.entry
        if (entry === undefined) {
          return Effect.die(
            new RangeError(`image set ${split}: there is no image ${index}, only 0 to ${images.length - 1}`)
          )
        }
        const picture = kept.get(entry.file)
        return picture === undefined ? Effect.map(read(entry.file), (found) => found.picture) : Effect.succeed(picture)
      },
      describe: (index) => images[index]?.entry.name ?? ""
    }
    return set
  })

  return { splits: [...folders.keys()], load: yield* remember(load) }
})
