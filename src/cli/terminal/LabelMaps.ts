/**
 * The classes of the pixels of images: label maps in a folder, with a list of the classes and of the map of each image, and lines that
 * tell the share of each class.
 */
import { Effect, Option, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as ClassColours from "../../domain/pixels/ClassColours.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import * as IndexedPng from "../../layers/files/IndexedPng.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import type { PredictedPixels } from "../../pipelines/evaluate/PredictPixels.ts"
import * as Layout from "./Layout.ts"
import * as Print from "./Print.ts"

/** The file of a folder of label maps that names the classes, and the map of each image. */
export const CLASSES = "classes.json"

const Class = Schema.Struct({ label: Schema.Int, class: Schema.String, colour: Schema.Array(Schema.Int) })
const ImageMap = Schema.Struct({ image: Schema.String, map: Schema.String })

/** An image with the name of its label map in the folder. */
export type ImageMap = typeof ImageMap.Type

const text = Json.text(Schema.Struct({ classes: Schema.Array(Class), images: Schema.Array(ImageMap) }), { space: 2 })
const encode = Schema.encodeEffect(text)
const decode = Schema.decodeEffect(text)

const ENDING = ".png"
/** Most bytes of a file's name on common file systems. */
const LONGEST = 255
/** Characters of a digest that tells names apart. */
const DIGITS = 8

// Some file systems take these names for the same.
const fold = (name: string): string => name.normalize("NFC").toLowerCase()

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Cuts a text to so many bytes of UTF-8, between characters. */
const cut = (text: string, length: number): string =>
  text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(length)).read)

/** Splits the name of an image into the names of folders and the file. None of them leads out of a folder. */
const partsOf = (name: string): ReadonlyArray<string> =>
  name.split(/[/\\]/).filter((part) => part !== "" && part !== "." && part !== "..").map((part) =>
    part.replace(/[:*?"<>|\p{Cc}]/gu, "_")
  )

const foldersOf = (name: string): ReadonlyArray<string> =>
  name.split("/").slice(0, -1).map((_, i, parts) => parts.slice(0, i + 1).join("/"))

/**
 * Returns the name of each image's label map in a folder: that of the image with the ending .png. A name that several images share, or
 * that is no good name of a file, gets a digest of the image's own name.
 */
export const namesOf = (images: ReadonlyArray<string>): ReadonlyArray<string> => {
  const cleaned = images.map((image) => partsOf(image).join("/"))
  const stems = cleaned.map((name) => name.replace(/\.[^./]+$/, ""))
  const counts = new Map<string, number>()
  for (const stem of stems) counts.set(fold(stem), (counts.get(fold(stem)) ?? 0) + 1)
  const folders = new Set(cleaned.flatMap(foldersOf).map(fold))
  const isPlain = (index: number) => {
    const stem = stems[index]!
    const file = `${stem}${ENDING}`
    return stem !== "" && cleaned[index] === images[index]!.replaceAll("\\", "/") && counts.get(fold(stem)) === 1 &&
      !folders.has(fold(file)) && bytes(file.split("/").at(-1)!).length <= LONGEST
  }
  const plain = new Set([...images.keys()].filter(isPlain))
  const taken = new Set([...plain].map((index) => fold(stems[index]!)))
  return images.map((image, index) => {
    const stem = stems[index]!
    if (plain.has(index)) return `${stem}${ENDING}`
    const file = stem.split("/").at(-1)!
    const start = `${stem.slice(0, stem.length - file.length)}${cut(file, LONGEST - ENDING.length - DIGITS - 1)}`
    // Only images of equal names need a further digest.
    for (let turn = 0;; turn++) {
      const own = `${start}-${Files.sha256(turn === 0 ? image : `${image}\0${turn}`).slice(0, DIGITS)}`
      if (taken.has(fold(own))) continue
      taken.add(fold(own))
      return `${own}${ENDING}`
    }
  })
}

/** Names the label map of each image of a set. */
export const of = (set: ImageSet): ReadonlyArray<ImageMap> => {
  const images = Array.from({ length: set.length }, (_, index) => set.describe(index))
  const maps = namesOf(images)
  return images.map((image, index) => ({ image, map: maps[index]! }))
}

/**
 * Fails with `FileError` if a folder has files that may not be replaced, or if it is none. Fails with `ConfigError` if files other than
 * label maps would be lost.
 */
export const checkFree = Effect.fnUntraced(function*(folder: string, replace: boolean) {
  const { fs, path, readText } = yield* Files.make
  const there = yield* Files.ifThere(Files.onFailure(folder)(fs.stat(folder)))
  if (Option.isNone(there)) return
  if (there.value.type !== "Directory") {
    return yield* new Files.FileError({ path: folder, kind: "unwritable", cause: new Error("it is no folder") })
  }
  const names = yield* Files.onFailure(folder)(fs.readDirectory(folder, { recursive: true }))
  if (names.length === 0) return
  if (!replace) return yield* new Files.FileError({ path: folder, kind: "filled", cause: undefined })
  const described = yield* readText(path.join(folder, CLASSES)).pipe(Effect.flatMap(decode), Effect.option)
  const maps = Option.match(described, { onNone: () => [], onSome: ({ images }) => images.map(({ map }) => map) })
  const own = new Set([CLASSES, ...maps, ...maps.flatMap(foldersOf)])
  const other = names.find((name) => !own.has(name.replaceAll("\\", "/")))
  if (other === undefined) return
  return yield* Config.refusal(
    `--out ${folder}`,
    `expected a new folder, or one of label maps alone (${CLASSES} lists them), got one with ${other}`,
    "name another folder"
  )
})

/**
 * Writes a folder of label maps with the list of classes and images, whole or not at all. A folder of the same name is replaced. `fill`
 * passes each image to the function that it receives.
 */
export const write = Effect.fnUntraced(function*<E, R>(
  folder: string,
  described: { readonly classes: ReadonlyArray<string>; readonly images: ReadonlyArray<ImageMap> },
  fill: (put: (image: PredictedPixels) => Effect.Effect<void, Files.FileError>) => Effect.Effect<void, E, R>
) {
  const files = yield* Files.make
  const { classes, images } = described
  const context = yield* Effect.context<R>()
  yield* files.writeFolder(
    folder,
    Effect.fnUntraced(function*(temporary) {
      const put = Effect.fnUntraced(function*({ index, labels }: PredictedPixels) {
        const file = files.path.join(temporary, images[index]!.map)
        yield* files.makeFolder(files.path.dirname(file))
        yield* files.writeParts(file, [IndexedPng.encode(labels)])
      })
      yield* Effect.provideContext(fill(put), context)
      const listed = classes.map((name, label) => ({ label, class: name, colour: ClassColours.of(label) }))
      const content = yield* Effect.orDie(encode({ classes: listed, images }))
      yield* files.writeParts(files.path.join(temporary, CLASSES), [bytes(`${content}\n`)])
    })
  )
})

/** The classes of an image with their shares, as a line of JSON or for people. */
export const line = (json: boolean, set: ImageSet, top: number) => ({ index, shares }: PredictedPixels): string => {
  const [image, shown] = [set.describe(index), shares.slice(0, top)]
  if (json) return JSON.stringify({ image, shares: shown })
  return [image, ...shown.map((one) => `${one.class} ${Print.percent(one.share)} %`)].map(Layout.plain).join("  ")
}
