/** Lists the image files below a folder. Later runs list only changed folders again. */
import { Effect, Option, Schema } from "effect"
import type { Label } from "../../../domain/evaluation/Label.ts"
import * as Json from "../../../domain/values/Json.ts"
import * as Files from "../../files/Files.ts"
import { Progress } from "../../run/Progress.ts"
import { EXTENSIONS } from "../reading/Decode.ts"
import type { Listing } from "../reading/EncodedImages.ts"
import { FolderEmpty, ImageBroken, ImagesError } from "../reading/ImagesError.ts"
import type { LeftOut } from "../reading/LeftOut.ts"

/**
 * An image file. Its name is relative to the scanned folder, with forward slashes. Its size is -1 if the name leads to no
 * file.
 */
export interface Image {
  readonly name: string
  readonly size: number
}

/** The content of a folder. */
export interface Found {
  /** The images, ordered by their names. */
  readonly images: ReadonlyArray<Image>
  readonly leftOut: ReadonlyArray<LeftOut>
  /** Its sub-folders. */
  readonly folders: ReadonlyArray<string>
}

const split = (text: string, separator: string): ReadonlyArray<string> => text === "" ? [] : text.split(separator)

/** The direct content of a folder. File names are joined to one string by slashes, for speed; no name contains a slash. */
const Folder = Schema.Struct({
  version: Schema.String,
  names: Schema.String,
  sizes: Schema.String,
  folders: Schema.Array(Schema.String),
  /** Symbolic links to folders. */
  links: Schema.Array(Schema.String),
  /** Kinds of all other files, with their numbers. */
  others: Schema.Array(Schema.Tuple([Schema.String, Schema.Natural]))
}).check(
  Schema.makeFilter(({ folders, links, names, sizes }) => {
    const images = split(names, "/")
    const lengths = split(sizes, " ")
    const right = [...images, ...folders, ...links].every((name) => /^[^./][^/]*$/s.test(name)) &&
      lengths.length === images.length && lengths.every((size) => /^(?:\d{1,15}|-1)$/.test(size))
    return right || "expected names without a leading dot and without slashes, and a size for each image"
  })
)

/** The scanned folder and the folders below it, by their relative paths. */
const Index = Json.text(Schema.Record(Schema.String, Folder))

type Index = typeof Index.Type

/** Number of files that are listed without a report of progress. */
const SILENT = 10_000

/** Size of a name that leads to no file. */
const NO_FILE = -1

const NOWHERE = "link to nothing"

/** Node.js cannot open such a file: its name holds a replacement character for each byte that is not text. */
const NOT_TEXT = "name that is not UTF-8"
const CIRCLE = "link in a circle"
const AGAIN = "link to a folder read already"

const endingOf = (name: string): string => /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "no ending"

/** Tests whether a name has the extension of an image. */
export const isImage = (name: string): boolean => EXTENSIONS.includes(endingOf(name))

/** Counts kinds of files. */
export const counts = () => {
  const found = new Map<string, number>()
  return { found, add: (kind: string, count = 1): void => void found.set(kind, (found.get(kind) ?? 0) + count) }
}

const join = (folder: string, name: string): string => folder === "" ? name : `${folder}/${name}`

/** Number of folders that a message lists. */
const NAMED = 5

/** Finds the folders that are not classes, because no split has an image in them. */
export const emptyFolders = (folders: ReadonlyArray<string>, classes: ReadonlySet<Label>): ReadonlyArray<LeftOut> => {
  const found = folders.filter((name) => !classes.has(name)).toSorted()
  if (found.length === 0 || classes.size === 0) return []
  return [{ kind: "folder without images (no class)", count: found.length, names: found.slice(0, NAMED) }]
}

/** Returns the class of a file, the name of its folder. Returns undefined if it is in no folder. */
const classOf = (name: string): string | undefined => name.includes("/") ? name.slice(0, name.indexOf("/")) : undefined

export const make = Effect.fnUntraced(function*(cache: string | undefined) {
  const files = yield* Files.make
  const { fs, path } = files

  const isLink = (file: string) => Effect.isSuccess(fs.readLink(file))

  const list = Effect.fnUntraced(function*(folder: string) {
    const version = yield* Files.version(folder)
    // Files that a system or an editor leaves behind begin with a dot.
    const names = (yield* fs.readDirectory(folder)).filter((name) => !name.startsWith(".")).toSorted()
    const found = yield* Effect.forEach(
      names,
      Effect.fnUntraced(function*(name) {
        const file = path.join(folder, name)
        const info = yield* Effect.option(fs.stat(file))
        if (Option.isNone(info)) return { name, type: "Nowhere", size: NO_FILE } as const
        const { size, type } = info.value
        return type === "Directory" && (yield* isLink(file))
          ? { name, type: "Link", size: NO_FILE } as const
          : { name, type, size: Number(size) }
      }),
      { concurrency: 16 }
    )
    const images: typeof found = []
    const others = counts()
    for (const one of found) {
      const { name, type } = one
      if (type === "Directory" || type === "Link") continue
      const special = type === "Nowhere" ? undefined : Files.SPECIAL[type]
      if (special !== undefined) others.add(special)
      else if (type === "Nowhere" && name.includes("\uFFFD")) others.add(NOT_TEXT)
      else if (isImage(name)) images.push(one)
      else others.add(type === "Nowhere" ? NOWHERE : endingOf(name))
    }
    const listed: typeof Folder.Type = {
      version,
      names: images.map(({ name }) => name).join("/"),
      sizes: images.map(({ size }) => size).join(" "),
      folders: found.flatMap(({ name, type }) => type === "Directory" ? [name] : []),
      links: found.flatMap(({ name, type }) => type === "Link" ? [name] : []),
      others: [...others.found]
    }
    return listed
  })

  const contains = (outer: string, inner: string): boolean => {
    const between = path.relative(outer, inner)
    return between.split(path.sep, 1)[0] !== ".." && !path.isAbsolute(between)
  }

  /**
   * Returns the target of a link. Returns none if the target is missing, or is a folder around the link or around `root`.
   */
  const targetOf = Effect.fnUntraced(function*(link: string, root: string) {
    const target = yield* fs.realPath(link)
    const parent = yield* fs.realPath(path.dirname(link))
    return contains(target, parent) || contains(target, root) ? Option.none<string>() : Option.some(target)
  }, Effect.orElseSucceed(() => Option.none<string>()))

  const indexFile = (folder: string) =>
    cache === undefined
      ? undefined
      : path.join(cache, `files-${Files.sha256(path.resolve(folder)).slice(0, 16)}.json`)

  const readIndex = (file: string): Effect.Effect<Index> =>
    Effect.flatMap(files.readText(file), Schema.decodeEffect(Index)).pipe(Effect.orElseSucceed(() => ({})))

  const writeIndex = (file: string, index: Index) =>
    Effect.flatMap(Schema.encodeEffect(Index)(index), (text) => files.write(file, text)).pipe(
      Effect.catch(({ message }) => Effect.logWarning(`the files are listed again in every run: ${message}`))
    )

  /**
   * Lists all images below a folder. Links to folders are followed. Within one class (a folder of the first level), each
   * folder is read once, because links may form circles.
   */
  const images = Effect.fnUntraced(function*(folder: string, stage: string) {
    const progress = yield* Progress
    const file = indexFile(folder)
    const known = file === undefined ? {} : yield* readIndex(file)
    const found: Record<string, typeof Folder.Type> = {}
    const all: Array<Image> = []
    const others = counts()
    const root = yield* fs.realPath(folder)
    let changed = false

    const open = Effect.fnUntraced(function*(at: string) {
      const place = path.join(folder, at)
      const before = Object.hasOwn(known, at) ? known[at] : undefined
      const same = before !== undefined && before.version === (yield* Files.version(place))
      const listed = same ? before : yield* list(place)
      if (listed !== before) changed = true
      found[at] = listed
      const sizes = split(listed.sizes, " ")
      split(listed.names, "/").forEach((name, i) => all.push({ name: join(at, name), size: Number(sizes[i]) }))
      for (const [kind, count] of listed.others) others.add(kind, count)
      return listed
    })

    /** A folder: its name below the scanned one, and its path without links. `real` is none if links form a circle. */
    interface Place {
      readonly at: string
      readonly real: Option.Option<string>
    }
    const visit = Effect.fnUntraced(function*(first: Place) {
      const seen = new Set<string>()
      const places = [first]
      const links: Array<string> = []
      // Links come last, so that a folder is read under its own name even if a link leads to it.
      for (;;) {
        const link = places.length === 0 ? links.shift() : undefined
        const place = link === undefined
          ? places.pop()
          : { at: link, real: yield* targetOf(path.join(folder, link), root) }
        if (place === undefined) break
        const { at, real } = place
        if (Option.isNone(real) || seen.has(real.value)) {
          others.add(Option.isNone(real) ? CIRCLE : AGAIN)
          continue
        }
        seen.add(real.value)
        const listed = yield* open(at)
        for (const name of listed.folders) {
          places.push({ at: join(at, name), real: Option.some(path.join(real.value, name)) })
        }
        for (const name of listed.links) links.push(join(at, name))
      }
    })

    const { folders, links } = yield* open("")
    const classes = [
      ...folders.map((at): Place => ({ at, real: Option.some(path.join(root, at)) })),
      ...yield* Effect.forEach(
        links,
        (at) => Effect.map(targetOf(path.join(folder, at), root), (real): Place => ({ at, real }))
      )
    ]
    for (const [done, place] of classes.entries()) {
      yield* visit(place)
      if (all.length > SILENT) {
        yield* progress.report({ stage, step: done + 1, total: classes.length, metrics: { files: all.length } })
      }
    }
    if (file !== undefined && changed) yield* writeIndex(file, found)
    const result: Found = {
      images: all.toSorted((a, b) => a.name < b.name ? -1 : 1),
      leftOut: Array.from(others.found, ([kind, count]) => ({ kind, count })),
      folders: classes.filter(({ real }) => Option.isSome(real)).map(({ at }) => at)
    }
    return result
  })

  /** Lists all images below a folder with their classes, the sub-folders. Images next to these folders are left out. */
  const classes = Effect.fnUntraced(function*(folder: string, stage: string) {
    const { folders, images: found, leftOut } = yield* images(folder, stage)
    const source = {
      read: `the sub-folders of ${folder}`,
      missing: `nothing: no image lies in a sub-folder of ${folder}`
    }
    const inside = found.filter(({ name }) => classOf(name) !== undefined)
    const loose = found.length - inside.length
    if (inside.length === 0 || loose === 0) {
      return { images: found, labels: found.map(({ name }) => classOf(name)), leftOut, folders, source }
    }
    const first = found.find(({ name }) => classOf(name) === undefined)!
    const kind = `image outside of class folders, for example ${first.name}`
    const labels = inside.map(({ name }) => classOf(name))
    return { images: inside, labels, leftOut: [...leftOut, { kind, count: loose }], folders, source }
  })

  /** Returns the names of the folders in a folder, and the number of images next to them, recognised by their extensions. */
  const folders = Effect.fnUntraced(function*(folder: string) {
    const names = (yield* fs.readDirectory(folder)).filter((name) => !name.startsWith(".")).toSorted()
    const root = yield* fs.realPath(folder)
    const others = names.filter((name) => !isImage(name))
    const isFolder = Effect.fnUntraced(function*(name: string) {
      const place = path.join(folder, name)
      const info = yield* Effect.option(fs.stat(place))
      if (!Option.exists(info, ({ type }) => type === "Directory")) return false
      return !(yield* isLink(place)) || Option.isSome(yield* targetOf(place, root))
    })
    return {
      folders: yield* Effect.filter(others, isFolder, { concurrency: 16 }),
      images: names.length - others.length
    }
  })

  /** Returns the size of a file in a list, or -1 if there is no such file. */
  const sizeOf = (file: string) =>
    fs.stat(file).pipe(
      Effect.map(({ size, type }) => type === "File" ? Number(size) : NO_FILE),
      Effect.orElseSucceed(() => NO_FILE)
    )

  /** Reads the bytes of a file. Fails with `ImageBroken` for anything but a regular file, without opening it. */
  const read = Effect.fnUntraced(function*(file: string) {
    const { type } = yield* fs.stat(file)
    if (type === "File") return yield* fs.readFile(file)
    return yield* new ImageBroken({
      problem: `it is a ${Files.SPECIAL[type] ?? type.toLowerCase()}, not a regular file`
    })
  }, (self, file) => Files.onFailure(file)(self))

  /** Returns the path of a part of a folder. An absolute part is itself. */
  const under = (folder: string, part: string): string => path.isAbsolute(part) ? part : path.join(folder, part)

  /** Makes the listing of a split from scanned images. */
  const listing = (
    of: Pick<Listing, "split" | "classes" | "labels" | "labelSource"> & {
      readonly folder: string
      readonly images: ReadonlyArray<Image>
      readonly leftOut: ReadonlyArray<LeftOut>
    }
  ): Listing => {
    const origin = (index: number) => under(of.folder, of.images[index]?.name ?? "")
    return {
      ...of,
      empty: new ImagesError({
        source: of.folder,
        path: of.folder,
        reason: new FolderEmpty({ extensions: EXTENSIONS, leftOut: of.leftOut })
      }),
      describe: (index) => of.images[index]?.name ?? "",
      origin,
      size: (index) => of.images[index]?.size ?? 0,
      file: origin,
      isThere: (index) => of.images[index]?.size !== NO_FILE,
      bytes: (index) => read(origin(index))
    }
  }

  return { images, classes, folders, sizeOf, read, under, listing }
})
