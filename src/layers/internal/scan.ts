/** The image files below a folder, listed once and again only where something changed. */
import { Effect, Option, Schema } from "effect"
import * as Json from "../../domain/Json.ts"
import * as Files from "../Files.ts"
import { FolderEmpty, ImagesError } from "../ImageSet.ts"
import { Progress } from "../Progress.ts"
import { EXTENSIONS } from "./decode.ts"
import type { Listing } from "./encoded.ts"

/** An image file. Its name is relative to the scanned folder, with forward slashes. */
export interface Image {
  readonly name: string
  readonly size: number
}

/** What lies directly in a folder. The file names are one string, for speed: no name has a slash. */
const Folder = Schema.Struct({
  modified: Schema.Finite,
  names: Schema.String,
  sizes: Schema.String,
  folders: Schema.Array(Schema.String)
})

/** The folders below the scanned one, by their relative paths. */
const Index = Json.text(Schema.Record(Schema.String, Folder))

type Index = typeof Index.Type

/** So many files are listed without a word. */
const SILENT = 10_000

const isImage = (name: string): boolean => EXTENSIONS.includes(name.slice(name.lastIndexOf(".") + 1).toLowerCase())

const split = (text: string, separator: string): ReadonlyArray<string> => text === "" ? [] : text.split(separator)

/** The class of a file: its folder's name, or `.` when it lies in none. */
export const classOf = (name: string): string => name.includes("/") ? name.slice(0, name.indexOf("/")) : "."

export const make = Effect.fnUntraced(function*(cache: string | undefined) {
  const files = yield* Files.make
  const { fs, path } = files

  const isLink = (file: string) => Effect.isSuccess(fs.readLink(file))

  // Folders of classes may be links; deeper ones are not followed, since they may lead in a circle.
  const list = Effect.fnUntraced(function*(folder: string, follow: boolean) {
    const modified = (yield* fs.stat(folder)).mtime
    // What a system or an editor leaves behind starts with a dot.
    const names = (yield* fs.readDirectory(folder)).filter((name) => !name.startsWith("."))
    const found = yield* Effect.forEach(names, (name) => {
      const file = path.join(folder, name)
      const info = Files.onFailure(file)(fs.stat(file))
      // A link to nowhere is no folder.
      return isImage(name) ? Effect.asSome(info) : Effect.option(info)
    }, { concurrency: 16 })
    const entries = names.flatMap((name, i) => Option.toArray(found[i]!).map((info) => ({ name, info })))
    const folders = entries.filter(({ info }) => info.type === "Directory").map(({ name }) => name)
    const entered = follow
      ? folders
      : yield* Effect.filter(folders, (name) => Effect.map(isLink(path.join(folder, name)), (linked) => !linked))
    const images = entries.filter(({ info, name }) => info.type !== "Directory" && isImage(name))
    const listed: typeof Folder.Type = {
      modified: Option.match(modified, { onNone: () => -1, onSome: (date) => date.getTime() }),
      names: images.map(({ name }) => name).join("/"),
      sizes: images.map(({ info }) => info.size).join(" "),
      folders: entered.toSorted()
    }
    return listed
  })

  const indexFile = (folder: string) =>
    cache === undefined
      ? undefined
      : path.join(cache, `files-${Files.sha256(path.resolve(folder)).slice(0, 16)}.json`)

  const readIndex = (file: string): Effect.Effect<Index> =>
    Effect.flatMap(files.readText(file), Schema.decodeEffect(Index)).pipe(Effect.orElseSucceed(() => ({})))

  const writeIndex = (file: string, index: Index) =>
    Effect.flatMap(Schema.encodeEffect(Index)(index), (text) => files.write(file, text)).pipe(
      Effect.catch(({ message }) => Effect.logWarning(`the files are listed anew in every run: ${message}`))
    )

  /** All images below a folder, in order of their names. */
  const images = Effect.fnUntraced(function*(folder: string, stage: string) {
    const progress = yield* Progress
    const file = indexFile(folder)
    const known = file === undefined ? {} : yield* readIndex(file)
    const found: Record<string, typeof Folder.Type> = {}
    const all: Array<Image> = []
    let changed = false

    const visit: (at: string) => Effect.Effect<void, Effect.Error<ReturnType<typeof list>>> = Effect.fnUntraced(
      function*(at) {
        const place = path.join(folder, at)
        const before = known[at]
        const { mtime } = yield* fs.stat(place)
        const same = Option.exists(mtime, (date) => date.getTime() === before?.modified)
        const listed = before !== undefined && same ? before : yield* list(place, at === "")
        if (listed !== before) changed = true
        found[at] = listed
        const prefix = at === "" ? "" : `${at}/`
        const sizes = split(listed.sizes, " ")
        split(listed.names, "/").forEach((name, i) => all.push({ name: `${prefix}${name}`, size: Number(sizes[i]) }))
        let done = 0
        for (const name of listed.folders) {
          yield* visit(`${prefix}${name}`)
          done += 1
          if (at === "" && all.length > SILENT) {
            yield* progress.report({ stage, step: done, total: listed.folders.length, metrics: { files: all.length } })
          }
        }
      }
    )
    yield* visit("")
    if (file !== undefined && changed) yield* writeIndex(file, found)
    return all.toSorted((a, b) => a.name < b.name ? -1 : 1)
  })

  /** The names of the folders in a folder. */
  const folders = (folder: string) => Effect.map(list(folder, true), (listed) => listed.folders)

  /** Scanned images as a split. */
  const listing = (
    of: Pick<Listing, "split" | "classes" | "labels"> & {
      readonly folder: string
      readonly images: ReadonlyArray<Image>
    }
  ): Listing => {
    const origin = (index: number) => path.join(of.folder, of.images[index]?.name ?? "")
    return {
      ...of,
      empty: new ImagesError({ source: of.folder, reason: new FolderEmpty({ extensions: EXTENSIONS }) }),
      describe: (index) => of.images[index]?.name ?? "",
      origin,
      size: (index) => of.images[index]?.size ?? 0,
      file: origin,
      bytes: (index) => Files.onFailure(origin(index))(fs.readFile(origin(index)))
    }
  }

  return { images, folders, listing }
})
