/** Collections that a small file describes: the places of the images of each split, and the names of the classes. */
import { Effect, Schema } from "effect"
import * as Config from "../../../domain/config/Config.ts"
import * as ImageNetSubset from "../../../domain/evaluation/ImageNetSubset.ts"
import * as Label from "../../../domain/evaluation/Label.ts"
import * as LabelMap from "../../../domain/pixels/LabelMap.ts"
import * as ConfigFile from "../../files/ConfigFile.ts"
import * as Files from "../../files/Files.ts"
import { memoize } from "../../files/Memoize.ts"
import * as Annotation from "../reading/Annotation.ts"
import * as EncodedImages from "../reading/EncodedImages.ts"
import { FolderMissing, LabelsUnusable, LabelUnknown, UnknownSplit, within } from "../reading/ImagesError.ts"
import { type ImageSet, outside } from "../reading/ImageSet.ts"
import * as Labels from "./Labels.ts"
import * as Scan from "./Scan.ts"
import * as Shards from "./Shards.ts"

/** Options of a manifest. */
export interface Options extends EncodedImages.Options {
  /** Folder that keeps the lists of files between runs, as for a folder of images. By default, no list is kept. */
  readonly cache?: string
}

const Split = Schema.Struct({
  /** Folder of the images; default the root. Without a list, it has one sub-folder per class. */
  folder: Schema.optionalKey(Schema.String),
  /** File with one line per image: its path in the folder, then its label. */
  list: Schema.optionalKey(Schema.String),
  /** The subset of ImageNet's classes that can occur. The labels stay those of all 1000. */
  subset: Schema.optionalKey(Schema.Literals(["imagenet-a", "imagenet-r"])),
  /** Folder of the pixel classes: a PNG for each image, of the same name, with grey values or a palette. */
  annotations: Schema.optionalKey(Schema.String)
})

/** A manifest. Relative paths begin at `root`, and a relative `root` at the manifest's own folder. */
const Manifest = Schema.Struct({
  root: Schema.optionalKey(Schema.String),
  /** The names of the classes, or a file with one per line. Default: the labels of the images. */
  classes: Schema.optionalKey(Schema.Union([Schema.NonEmptyArray(Schema.String), Schema.String])),
  /** File with one class per line: the name in folders and lists, then the name for readers. */
  synsets: Schema.optionalKey(Schema.String),
  /** The names of the classes of pixels, or a file: one per line, or a table with tabs and a column `Name`. */
  pixelClasses: Schema.optionalKey(Schema.Union([Schema.NonEmptyArray(Schema.String), Schema.String])),
  /** True if 0 in an annotation stands for no class, and the first class has the number 1, as in ADE20K; default false. */
  reduceZeroLabel: Schema.optionalKey(Schema.Boolean),
  splits: Schema.Record(Schema.String, Split)
}).check(
  Schema.makeFilter(({ classes, pixelClasses, reduceZeroLabel, synsets }) => {
    if (classes !== undefined && synsets !== undefined) return "classes and synsets are both given; keep one of them"
    return reduceZeroLabel === undefined || pixelClasses !== undefined ||
      "reduceZeroLabel is given without pixelClasses; add these"
  })
)

/** Splits a list of images into lines. */
const linesOf = (text: string): ReadonlyArray<string> => text.split(/\r?\n/).filter((line) => line.trim() !== "")

export const make = Effect.fnUntraced(function*(file: string, options: Options) {
  const { fs, path, readText } = yield* Files.make
  const scan = yield* Scan.make(options.cache)
  const { under } = scan
  const makeSet = EncodedImages.make(options)

  yield* within(file)(Shards.stat(fs, file))
  const manifest = yield* within(file)(ConfigFile.read(Manifest, file))
  const splitsBy = new Map(Object.entries(manifest.splits))
  const splits = [...splitsBy.keys()]
  const root = under(path.dirname(file), manifest.root ?? ".")
  const at = (part: string) => under(root, part)

  const textOf = (list: string) => Effect.andThen(Shards.stat(fs, list), readText(list))
  const namesIn = (list: string) => within(list)(Effect.flatMap(textOf(list), Labels.namesOf))

  /** Reads the keys in labels and the names of the classes. */
  const named = yield* Effect.cached(Effect.gen(function*() {
    const { classes, synsets } = manifest
    if (synsets !== undefined) {
      const lines = yield* namesIn(at(synsets))
      const keys = lines.map((line) => line.split(/\s/, 1)[0]!)
      return { keys, classes: lines.map((line, i) => line.slice(keys[i]!.length).trim() || keys[i]!) }
    }
    if (classes === undefined) return undefined
    const names = typeof classes === "string" ? yield* namesIn(at(classes)) : classes
    return { keys: names, classes: names }
  }))

  /** Reads the names of the classes of pixels. */
  const pixels = yield* Effect.cached(Effect.gen(function*() {
    const { pixelClasses, reduceZeroLabel: reduceZero = false } = manifest
    if (pixelClasses === undefined) return undefined
    const from = typeof pixelClasses === "string" ? at(pixelClasses) : file
    return yield* within(from)(Effect.gen(function*() {
      const names = typeof pixelClasses === "string"
        ? yield* Effect.flatMap(textOf(from), Labels.namesOfTable)
        : pixelClasses
      yield* Labels.distinct(names)
      if (names.length > LabelMap.IGNORED) {
        const problem =
          `there are ${names.length} classes of pixels, but annotations of 8 bits hold ${LabelMap.IGNORED} at most`
        return yield* new LabelsUnusable({ problem, remedy: "merge classes" })
      }
      return { names, reduceZero }
    }))
  }))

  const listed = Effect.fnUntraced(function*(list: string, folder: string) {
    const lines = linesOf(yield* within(list)(textOf(list)))
    const isThere = (name: string) => Effect.orElseSucceed(fs.exists(under(folder, name)), () => false)
    const parts = yield* Effect.forEach(
      lines,
      Effect.fnUntraced(function*(line) {
        const [, name = line, text = ""] = /^(.*\S)\s+(\S+)\s*$/.exec(line) ?? []
        const plain = name.trim()
        // The name of a file may begin or end with a space.
        return { name: plain === name || (yield* isThere(name)) ? name : plain, text }
      })
    )
    const labels = yield* within(list)(Labels.readAll(
      parts,
      ({ text }) => Label.parse(text),
      (index) => parts[index]!.name
    ))
    const images = yield* Effect.forEach(
      parts,
      ({ name }) => Effect.map(scan.sizeOf(under(folder, name)), (size) => ({ name, size })),
      { concurrency: 16 }
    )
    const source = { read: `the labels in ${list}`, missing: `nothing: ${list} has no labels` }
    return { images, labels, leftOut: [], folders: [], source }
  })

  const found = yield* memoize(Effect.fnUntraced(function*(split: string) {
    const { folder = "", list } = splitsBy.get(split)!
    const place = at(folder)
    if (list !== undefined) return yield* listed(at(list), place)
    return yield* Effect.gen(function*() {
      if (!(yield* fs.exists(place))) return yield* new FolderMissing({})
      return yield* scan.classes(place, `scan ${split}`)
    }).pipe(Files.onFailure(place), within(place))
  }))

  // Labels have the same meaning in every split, even if a split lacks a class.
  const everyLabel = yield* Effect.cached(
    Effect.map(Effect.forEach(splits, found), (all) => new Set(all.flatMap(({ labels }) => [...new Set(labels)])))
  )

  /** Finds the annotation file of an image, by the name of the image. */
  const annotations = (images: string, folder: string, classes: Annotation.PixelClasses | undefined) => {
    const placed = (image: string) => path.isAbsolute(image) ? path.relative(images, image) : image
    const fileOf = (image: string) => path.join(folder, placed(image).replace(/\.[^./]*$/, ".png"))
    const bounds = EncodedImages.bounds(options)
    return {
      of: Effect.fnUntraced(function*(image: string) {
        const picture = under(images, image)
        const shown = yield* within(picture)(scan.read(picture))
        return yield* scan.read(fileOf(image)).pipe(
          Effect.flatMap((bytes) => Annotation.read(bytes, shown, bounds)),
          Effect.flatMap((read) => classes === undefined ? Effect.succeed(read) : Annotation.numbered(read, classes)),
          within(fileOf(image))
        )
      }),
      identify: (image: string) =>
        within(fileOf(image))(
          options.check === "names"
            ? Effect.map(Files.onFailure(fileOf(image))(fs.stat(fileOf(image))), ({ size }) => String(size))
            : Effect.map(scan.read(fileOf(image)), Files.sha256)
        )
    }
  }

  const annotate = Effect.fnUntraced(function*(
    set: ImageSet,
    { identify, of }: ReturnType<typeof annotations>,
    classes: Annotation.PixelClasses | undefined
  ) {
    const identities = yield* Effect.forEach(
      Array.from(set.labels.keys()),
      (index) => identify(set.describe(index)),
      { concurrency: 16 }
    )
    const annotated: ImageSet = {
      ...set,
      digest: Files.sha256(
        [set.digest, ...identities, ...(classes === undefined ? [] : [JSON.stringify(classes)])].join("\n")
      ),
      ...(classes === undefined ? {} : { pixelClasses: classes.names }),
      annotation: (index) => index in set.labels ? of(set.describe(index)) : outside(set.name, index, set.length)
    }
    return annotated
  })

  /** Finds the places of a subset's classes by their WordNet numbers. The order of the list tells nothing. */
  const placesOf = Effect.fnUntraced(function*(
    split: string,
    part: ImageNetSubset.Subset,
    keys: ReadonlyArray<string>
  ) {
    const numbers = ImageNetSubset.numbersOf({ classes: keys })
    const places = numbers && ImageNetSubset.places(numbers, part)
    if (places !== undefined) return places
    const message = keys.length === ImageNetSubset.CLASSES
      ? `expected the WordNet number of each class, such as n01440764, got ${
        JSON.stringify(ImageNetSubset.unnumbered(keys))
      }; give synsets: a file with a line such as "n01440764 tench" for each class, in any order`
      : `expected the ${ImageNetSubset.CLASSES} classes of ImageNet, got ${keys.length}`
    const problem = { path: `splits.${split}.subset`, message }
    return yield* within(file)(new Config.ConfigError({ source: file, problems: [problem] }))
  })

  /** Refuses a list that names an image with two classes. */
  const oneClassEach = Effect.fnUntraced(function*(
    { classes, images, labels }: {
      readonly images: ReadonlyArray<{ readonly name: string }>
      readonly classes: ReadonlyArray<string>
      readonly labels: Int32Array
    }
  ) {
    const seen = new Map<string, number>()
    for (const [index, { name }] of images.entries()) {
      const image = path.normalize(name)
      const [before, label] = [seen.get(image), labels[index]!]
      if (before !== undefined && before !== label) {
        const problem = `${image} is named with the class "${classes[before]}" and with the class "${classes[label]}"`
        return yield* new LabelsUnusable({ problem, remedy: "keep one of both lines" })
      }
      seen.set(image, label)
    }
  })

  const load = Effect.fnUntraced(function*(split: string) {
    const described = splitsBy.get(split)
    if (described === undefined) return yield* within(file)(new UnknownSplit({ split, splits }))
    const known = yield* named
    const { folders, images, labels: read, leftOut, source } = yield* found(split)
    const folder = at(described.folder ?? "")
    const describe = (index: number) => images[index]!.name
    const every = known === undefined ? yield* everyLabel : new Set<Label.Label>()
    const idle = known === undefined ? Scan.emptyFolders(folders, every) : []
    const numbered = yield* within(folder)(Labels.number({ labels: read, describe, known, every, source }))
    if (described.list !== undefined) {
      const named = { images, classes: known?.classes ?? numbered.classes, labels: numbered.labels }
      yield* within(at(described.list))(oneClassEach(named))
    }
    const among = described.subset === undefined
      ? undefined
      : yield* placesOf(split, described.subset, known?.keys ?? numbered.classes)
    if (among !== undefined) {
      const allowed = new Set(among)
      const wrong = numbered.labels.findIndex((label) => !allowed.has(label))
      if (wrong !== -1) {
        const label = String(read[wrong] ?? "")
        return yield* within(folder)(new LabelUnknown({ image: describe(wrong), label, classes: among.length }))
      }
    }
    const listing = scan.listing({ split, folder, ...numbered, images, leftOut: [...leftOut, ...idle] })
    const pixelClasses = described.annotations === undefined ? undefined : yield* pixels
    const annotated = described.annotations === undefined
      ? undefined
      : annotations(folder, at(described.annotations), pixelClasses)
    const made = yield* makeSet(
      annotated === undefined ? listing : { ...listing, verify: (index) => annotated.of(describe(index)) }
    )
    const synsets = manifest.synsets === undefined || known === undefined
      ? undefined
      : ImageNetSubset.numbersOf({ classes: known.keys })
    const set: ImageSet = {
      ...made,
      ...(synsets === undefined ? {} : { synsets }),
      ...(among === undefined ? {} : { among })
    }
    return annotated === undefined ? set : yield* annotate(set, annotated, pixelClasses)
  })

  return { splits, load: yield* memoize(load) }
})
