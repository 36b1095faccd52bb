import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Result } from "effect"
import { execFileSync } from "node:child_process"
import { crc32, deflateSync } from "node:zlib"
import * as Accuracy from "../../../src/domain/evaluation/Accuracy.ts"
import * as Classes from "../../../src/domain/evaluation/Classes.ts"
import * as ImageNetSubset from "../../../src/domain/evaluation/ImageNetSubset.ts"
import * as Images from "../../../src/layers/images/Images.ts"
import { subset } from "../../../src/layers/images/reading/ImageSet.ts"
import {
  behaves,
  CLASSES,
  type Content,
  encoded,
  load,
  refused,
  type Sample,
  samples,
  withFolder,
  write
} from "./ImagesContract.ts"

const SYNSETS = CLASSES.map((name, i) => `n0${i} ${name}\n`).join("")

const images = async (all: ReadonlyArray<Sample>, folderOf: (sample: Sample) => string) =>
  Object.fromEntries(
    await Promise.all(
      all.map(async (sample, i) => [`${folderOf(sample)}/${i}.png`, await encoded(sample.picture)] as const)
    )
  )

const open = (options?: Images.ManifestOptions) => (folder: string) =>
  Images.layerManifest(`${folder}/images.yaml`, options)

behaves("a manifest of synset folders", {
  side: 8,
  files: async (all) => ({
    "images.yaml": "root: data\nsynsets: words.txt\nsplits:\n  train: { folder: train }\n",
    "data/words.txt": SYNSETS,
    ...await images(all, ({ label }) => `data/train/n0${label}`)
  }),
  layer: open()
})

behaves("a manifest in JSON of a list", {
  side: 8,
  files: async (all) => ({
    "images.yaml": JSON.stringify({ classes: CLASSES, splits: { train: { folder: "all", list: "train.txt" } } }),
    "train.txt": all.map(({ label }, i) => `${i}.png ${i % 2 === 0 ? label : CLASSES[label]}\n`).join(""),
    ...await images(all, () => "all")
  }),
  layer: open({ check: "contents" })
})

const withManifest = <A, E, R>(
  manifest: string,
  files: Readonly<Record<string, Content>>,
  use: (
    layer: ReturnType<typeof Images.layerManifest>,
    folder: string
  ) => Effect.Effect<A, E, R | FileSystem.FileSystem>
) =>
  Effect.flatMap(
    Effect.promise(() => images(samples(8).slice(4), () => "some/n02")),
    (made) => withFolder({ "images.yaml": manifest, ...made, ...files }, (folder) => use(open()(folder), folder))
  )

const numbers = (width: number, height: number, factor: number) =>
  Uint8Array.from({ length: width * height }, (_, i) => (i * factor) % 256)

const chunk = (name: string, content: Uint8Array) => {
  const named = Buffer.concat([Buffer.from(name), content])
  const [length, checksum] = [content.length, crc32(named)].map((value) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return bytes
  })
  return Buffer.concat([length!, named, checksum!])
}

/** A PNG of the kind, of rows of bytes. */
const png = (
  width: number,
  kind: number,
  depth: number,
  rows: ReadonlyArray<ReadonlyArray<number>>,
  ...more: ReadonlyArray<Buffer>
) =>
  Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", Buffer.from([0, 0, 0, width, 0, 0, 0, rows.length, depth, kind, 0, 0, 0])),
    ...more,
    chunk("IDAT", deflateSync(Buffer.from(rows.flatMap((row) => [0, ...row])))),
    chunk("IEND", Buffer.alloc(0))
  ])

const oriented = (orientation: number) =>
  chunk(
    "eXIf",
    Buffer.from([0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0])
  )

const annotation = (data: Uint8Array, width: number, orientation = 1) => {
  const rows = Array.from({ length: data.length / width }, (_, y) => [...data.subarray(y * width, (y + 1) * width)])
  return png(width, 0, 8, rows, ...(orientation === 1 ? [] : [oriented(orientation)]))
}

const colours = chunk("PLTE", Buffer.from(Array.from({ length: 3 * 256 }, (_, i) => (i * 31) % 256)))
const opaque = chunk("tRNS", Buffer.from([0, 0, 9]))

const ALL = Array.from({ length: 1000 }, (_, i) => `n${String(i).padStart(8, "0")} thing ${i}\n`)

describe("Images.layerManifest", () => {
  it.effect.each(["images.yaml", "words.txt", "train.txt"])("opens no %s that is no file", (name) =>
    withManifest(
      "classes: words.txt\nsplits:\n  train: { list: train.txt }\n",
      { "words.txt": "a\n", "train.txt": "1.png a\n" },
      (layer, folder) =>
        Effect.gen(function*() {
          yield* (yield* FileSystem.FileSystem).remove(`${folder}/${name}`)
          execFileSync("mkfifo", [`${folder}/${name}`])
          const message = yield* refused(load(layer), "FileDamaged", 65)
          assert.include(message, `${name}: the file cannot be used (it is a FIFO, not a regular file)`)
        })
    ))

  it.effect("takes a list with spaces around its lines and its names, and with the line ends of Windows", () =>
    withManifest(
      "splits: { train: { folder: some/n02, list: list.txt } }",
      { "list.txt": "  0.png 0  \r\n 1.png\t1\r\n\r\n" },
      (layer, folder) =>
        Effect.gen(function*() {
          const { rename } = yield* FileSystem.FileSystem
          yield* rename(`${folder}/some/n02/1.png`, `${folder}/some/n02/ 1.png`)
          const set = yield* load(layer)
          assert.deepStrictEqual([0, 1].map(set.describe), ["0.png", " 1.png"])
          assert.deepStrictEqual([...set.labels], [0, 1])
        })
    ))

  it.effect("reads classes from a file of names", () =>
    withManifest(
      "classes: names.txt\nsplits: { test: { folder: some } }",
      { "names.txt": "n00\nn02\n" },
      (layer) =>
        Effect.map(load(layer, "test"), ({ classes, labels }) => {
          assert.deepStrictEqual(classes, ["n00", "n02"])
          assert.deepStrictEqual([...labels], [1, 1])
        })
    ))

  it.effect("takes absolute paths for the root, for a folder and for files of names", () =>
    withManifest("splits: {}\n", {}, (_, folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${folder}/names.txt`, "n02\n")
        const written = [
          { root: `${folder}/some`, splits: { train: { folder: "" } } },
          {
            root: `${folder}/elsewhere`,
            classes: `${folder}/names.txt`,
            splits: { train: { folder: `${folder}/some` } }
          }
        ]
        for (const manifest of written) {
          yield* fs.writeFileString(`${folder}/images.yaml`, JSON.stringify(manifest))
          const { classes, length } = yield* load(open()(folder), "train")
          assert.deepStrictEqual([classes, length], [["n02"], 2])
        }
      })))

  it.effect("takes absolute paths in the lines of a list, also with annotations", () =>
    withManifest(
      "splits: {}\n",
      { "maps/n02/0.png": annotation(new Uint8Array(64), 8) },
      (_, folder) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          yield* fs.writeFileString(`${folder}/train.txt`, `${folder}/some/n02/0.png zebra\n`)
          const train = { folder: "some", list: "train.txt", annotations: "maps" }
          yield* fs.writeFileString(`${folder}/images.yaml`, JSON.stringify({ splits: { train } }))
          const set = yield* load(open({ check: "contents" })(folder), "train")
          assert.strictEqual(set.describe(0), `${folder}/some/n02/0.png`)
          assert.strictEqual((yield* set.image(0)).width, 8)
          assert.strictEqual((yield* set.annotation!(0)).width, 8)
        })
    ))

  it.effect("takes the classes of all splits where none are given", () =>
    withManifest(
      "splits: { train: { folder: some }, val: { list: val.txt } }",
      { "val.txt": "some/n02/0.png zebra\n\nsome/n02/1.png ape\n" },
      (layer) =>
        Effect.gen(function*() {
          const val = yield* load(layer, "val")
          assert.deepStrictEqual(val.classes, ["ape", "n02", "zebra"])
          assert.deepStrictEqual([...val.labels], [2, 0])
          assert.strictEqual(val.describe(1), "some/n02/1.png")
          assert.deepStrictEqual([...(yield* load(layer, "train")).labels], [1, 1])
        })
    ))

  it.effect("keeps the labels of all 1000 classes in a subset, and refuses others", () => {
    const [inside = 0] = ImageNetSubset.classes("imagenet-a")
    const folder = (label: number) => `n${String(label).padStart(8, "0")}`
    const manifest = [
      "synsets: words.txt",
      "splits:",
      "  right: { list: right.txt, subset: imagenet-a }",
      "  wrong: { list: wrong.txt, subset: imagenet-a }"
    ].join("\n")
    const lists = {
      "right.txt": `some/n02/0.png ${folder(inside)}\n`,
      "wrong.txt": `some/n02/0.png ${folder(inside)}\nsome/n02/1.png n00000000\n`
    }
    return withManifest(manifest, { ...lists, "words.txt": ALL.join("") }, (layer) =>
      Effect.gen(function*() {
        const right = yield* load(layer, "right")
        assert.strictEqual(right.classes.length, 1000)
        assert.strictEqual(right.classes[inside], `thing ${inside}`)
        assert.deepStrictEqual([...right.labels], [inside])
        assert.deepStrictEqual(right.among, ImageNetSubset.classes("imagenet-a"))
        const train = { name: "train", classes: right.classes, labels: Int32Array.from(right.classes.keys()) }
        const two = { ...right, labels: right.among!.slice(0, 2) }
        const met = Result.getOrThrow(Classes.meet(train, two))
        const wrongly = new Float32Array(2000).map((_, at) => at % 1000)
        assert.deepInclude(Accuracy.measure(met, wrongly), { classes: 200, top1: 0 })
        const outside = new Float32Array(2000)
        two.labels.forEach((label, row) => (outside[row * 1000 + label] = 1))
        outside[999] = outside[1999] = 2
        assert.deepInclude(Accuracy.measure(met, outside), { classes: 200, top1: 1 })
        const message = yield* refused(load(layer, "wrong"), "LabelUnknown", 65)
        assert.include(message, "some/n02/1.png has the label \"n00000000\", which is none of the 200 classes")
      }))
  })

  const annotated = "splits: { train: { folder: some/n02, annotations: maps } }"
  const [first, second] = [numbers(8, 8, 7), numbers(8, 8, 5)]

  it.effect("gives the classes of pixels", () => {
    const [one, two] = [annotation(first, 8), annotation(second, 8)]
    return withManifest(annotated, { "maps/0.png": one, "maps/1.png": two }, (layer, folder) =>
      Effect.gen(function*() {
        const set = yield* load(layer)
        assert.deepStrictEqual(yield* set.annotation!(0), { width: 8, height: 8, data: first })
        assert.isTrue(Exit.hasDies(yield* Effect.exit(set.annotation!(2))))
        const last = subset(set, [1, 0])
        assert.deepStrictEqual(yield* last.annotation!(1), yield* set.annotation!(0))

        yield* write(folder, { "maps/1.png": one })
        assert.notStrictEqual((yield* load(layer)).digest, set.digest)
        yield* (yield* FileSystem.FileSystem).remove(`${folder}/maps/1.png`)
        yield* refused(load(layer), "FileError", 66)
        yield* refused(load(open({ check: "names" })(folder)), "FileError", 66)
      }))
  })

  it.effect("refuses annotations that are of another size or kind, all at once", () => {
    const files = {
      "maps/0.png": annotation(numbers(3, 2, 7), 3),
      "maps/1.png": png(8, 2, 8, [Array.from({ length: 24 }, () => 1)])
    }
    return withManifest(annotated, files, (layer, folder) =>
      Effect.gen(function*() {
        const message = yield* refused(load(layer), "ImagesBroken", 65)
        assert.include(message, "of its picture, 8 × 8 as it is stored, but this file is 3 × 2)")
        assert.include(
          message,
          "maps/1.png: the annotation cannot be used (an annotation has one channel of 8 bits, or a palette, but"
        )
        yield* refused(load(open({ onBroken: "skip" })(folder)), "ImagesBroken", 65)
        const unseen = yield* load(open({ check: "names" })(folder))
        yield* refused(unseen.annotation!(0), "AnnotationUnusable", 65)
        yield* write(folder, { "maps/0.png": Buffer.from(SYNSETS) })
        yield* refused(unseen.annotation!(0), "AnnotationUnusable", 65)
      }))
  })

  const row = [0, 1, 2, 3, 0, 2, 1, 3]
  const kinds: ReadonlyArray<readonly [name: string, file: Buffer, indices: ReadonlyArray<number>]> = [
    ["a palette", png(8, 3, 8, [[0, 1, 2, 21, 255, 200, 7, 3], row], colours, opaque), [
      0,
      1,
      2,
      21,
      255,
      200,
      7,
      3,
      ...row
    ]],
    ["a palette of 4 bits", png(8, 3, 4, [[0x01, 0x23, 0x45, 0xef]], colours, opaque), [0, 1, 2, 3, 4, 5, 14, 15]],
    ["a palette of 2 bits", png(8, 3, 2, [[0b00011011, 0b00100111]], colours), row],
    ["a palette of 1 bit", png(8, 3, 1, [[0b01100101]], colours), [0, 1, 1, 0, 0, 1, 0, 1]],
    ["greys of 2 bits", png(8, 0, 2, [[0b00011011, 0b00100111]]), row],
    ["greys of 1 bit", png(8, 0, 1, [[0b01100101]]), [0, 1, 1, 0, 0, 1, 0, 1]],
    ["greys of which one is transparent", png(8, 0, 8, [row], chunk("tRNS", Buffer.from([0, 2]))), row]
  ]
  it.effect.each(kinds)("takes the indices of %s for classes", ([, file, indices]) =>
    Effect.gen(function*() {
      const height = indices.length / 8
      const picture = annotation(numbers(8, height, 9), 8)
      const files = { "images.yaml": "splits: { train: { folder: some, annotations: maps } }", "some/0.png": picture }
      yield* withFolder({ ...files, "maps/0.png": file }, (folder) =>
        Effect.gen(function*() {
          const set = yield* load(open()(folder))
          assert.deepStrictEqual(yield* set.annotation!(0), { width: 8, height, data: Uint8Array.from(indices) })
        }))
    }))

  it.effect.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "turns an annotation as its picture by orientation %d",
    (orientation) =>
      Effect.gen(function*() {
        const data = numbers(5, 3, 17)
        const [picture, plain, own] = yield* Effect.promise(() =>
          Promise.all([annotation(data, 5, orientation), annotation(data, 5), annotation(data, 5, orientation)])
        )
        const manifest = "splits: { plain: { folder: some, annotations: a }, own: { folder: some, annotations: b } }"
        yield* withFolder(
          { "images.yaml": manifest, "some/0.png": picture, "a/0.png": plain, "b/0.png": own },
          (folder) =>
            Effect.gen(function*() {
              for (const split of ["plain", "own"]) {
                const set = yield* load(open()(folder), split)
                const { height, width, ...shown } = yield* set.image(0)
                const seen = shown.data.filter((_, i) => i % 3 === 0)
                assert.deepStrictEqual(yield* set.annotation!(0), { width, height, data: seen })
                const stored = yield* load(open({ colour: "official" })(folder), split)
                assert.deepStrictEqual(yield* stored.annotation!(0), { width: 5, height: 3, data })
                assert.strictEqual((yield* stored.image(0)).width, 5)
              }
            })
        )
      })
  )

  it.effect("chooses the classes of a subset by their WordNet numbers, in any order of the list", () => {
    const shuffled = ALL.map((_, i) => ALL[(i * 389 + 11) % 1000]!)
    const [, inside = 0] = ImageNetSubset.classes("imagenet-a")
    const number = ALL[inside]!.split(" ")[0]!
    const lists = { "list.txt": `some/n02/0.png ${number}\n` }
    const split = "splits: { a: { list: list.txt, subset: imagenet-a } }"
    return Effect.gen(function*() {
      for (const given of ["synsets", "classes"]) {
        const lines = given === "synsets"
          ? shuffled.join("")
          : shuffled.map((line) => `${line.split(" ")[0]}\n`).join("")
        yield* withManifest(
          `${given}: words.txt\n${split}`,
          { ...lists, "words.txt": lines },
          (layer) =>
            Effect.map(load(layer, "a"), ({ among, classes, labels, synsets }) => {
              assert.strictEqual(shuffled[labels[0]!], ALL[inside])
              assert.deepStrictEqual(
                Array.from(among!, (place) => shuffled[place]!).toSorted(),
                Array.from(ImageNetSubset.classes("imagenet-a"), (place) => ALL[place]!)
              )
              assert.strictEqual((synsets ?? classes)[labels[0]!], number)
            })
        )
      }
    })
  })

  it.effect("refuses a subset of classes without WordNet numbers", () =>
    withManifest(
      "classes: words.txt\nsplits: { a: { list: list.txt, subset: imagenet-a } }",
      { "words.txt": ALL.map((_, i) => `thing-${i}\n`).join(""), "list.txt": "some/n02/0.png thing-6\n" },
      (layer) =>
        Effect.map(refused(load(layer, "a"), "ConfigError", 64), (message) =>
          assert.include(
            message,
            "splits.a.subset: expected the WordNet number of each class, such as n01440764, got \"thing-0\"; give synsets"
          ))
    ))

  it.effect("refuses an image that a list names with two classes, and takes one that it names twice", () =>
    Effect.gen(function*() {
      const files = (line: string) => ({ "list.txt": `some/n02/0.png a\nsome/n02/1.png b\n${line}\n` })
      const manifest = "classes: [a, b]\nsplits: { train: { list: list.txt } }"
      for (const line of ["some/n02/0.png b", "some/../some/n02/0.png 1"]) {
        yield* withManifest(
          manifest,
          files(line),
          (layer) =>
            Effect.map(refused(load(layer), "LabelsUnusable", 65), (message) => {
              assert.match(message, /list\.txt: /)
              assert.include(message, "some/n02/0.png is named with the class \"a\" and with the class \"b\"")
            })
        )
      }
      yield* withManifest(
        manifest,
        files("some/n02/0.png 0"),
        (layer) => Effect.map(load(layer), ({ labels }) => assert.deepStrictEqual([...labels], [0, 1, 0]))
      )
    }))

  it.effect("refuses a subset of other classes than ImageNet's", () =>
    withManifest(
      "synsets: words.txt\nsplits: { train: { folder: some, subset: imagenet-r } }",
      { "words.txt": SYNSETS },
      (layer) =>
        Effect.map(refused(load(layer), "ConfigError", 64), (message) =>
          assert.include(message, "splits.train.subset: expected the 1000 classes of ImageNet, got 3"))
    ))

  const broken: ReadonlyArray<readonly [manifest: string, said: string]> = [
    ["splits: [", "images.yaml: "],
    ["splits: { train: { foldr: some } }", "splits.train.foldr: unknown key; did you mean folder?"],
    ["classes: [a]\nsynsets: b\nsplits: {}", "classes and synsets are both given; keep one of them"]
  ]
  it.effect.each(broken)(
    "refuses the manifest %s",
    ([manifest, said]) =>
      withManifest(
        manifest,
        {},
        (layer) => Effect.map(refused(load(layer), "ConfigError", 64), (message) => assert.include(message, said!))
      )
  )

  it.effect("refuses what is missing, and labels that are no class", () =>
    withManifest(
      "classes: [a, b]\nsplits: { gone: { folder: gone }, list: { list: list.txt }, some: { folder: some } }",
      { "list.txt": "some/n02/9.png a" },
      (layer, folder) =>
        Effect.gen(function*() {
          yield* refused(load(layer, "gone"), "FolderMissing", 66)
          const listed = yield* refused(load(layer, "list"), "FileError", 66)
          assert.include(listed, "some/n02/9.png: there is no such file")
          const label = yield* refused(load(layer, "some"), "LabelUnknown", 65)
          assert.include(label, "n02/0.png has the label \"n02\", which is none of the 2 classes")
          yield* refused(load(Images.layerManifest(`${folder}/none.yaml`), "some"), "FileError", 66)
        })
    ))

  const list = (lines: string, rest = "") =>
    [`${rest}splits: { train: { list: train.txt } }`, { "train.txt": lines }] as const

  it.effect.each(
    [
      ["0 -1", "LabelUnknown", "some/n02/0.png has the label -1, but classes are numbers from 0"],
      ["0 dog", "LabelsUnusable", "some are numbers (2), others are names (\"dog\"); use only numbers or only names"],
      ["0", "LabelMissing", "some/n02/0.png has no label, though other images have"]
    ] as const
  )("refuses the label of a list: %s", ([line, tag, said]) => {
    const [name, label = ""] = line.split(" ")
    return withManifest(
      ...list(`some/n02/${name}.png ${label}\nsome/n02/1.png 2\n`),
      (layer) => Effect.map(refused(load(layer), tag, 65), (message) => assert.include(message, said!))
    )
  })

  it.effect("reads numbers of a list as they are, of any size and with a sign", () =>
    Effect.gen(function*() {
      const wide = list("some/n02/0.png 9007199254740993\nsome/n02/1.png 9007199254740992\n")
      yield* withManifest(...wide, (layer) =>
        Effect.map(load(layer), ({ classes, labels }) => {
          assert.deepStrictEqual(classes, ["9007199254740992", "9007199254740993"])
          assert.deepStrictEqual([...labels], [1, 0])
        }))
      yield* withManifest(...list("some/n02/0.png +0\nsome/n02/1.png 01\n", "classes: [a, b]\n"), (layer) =>
        Effect.map(load(layer), ({ labels, labelSource }) => {
          assert.deepStrictEqual([...labels], [0, 1])
          assert.match(labelSource ?? "", /^the labels in .*train\.txt$/)
        }))
      yield* withManifest(...list("some/n02/0.png 4294967296\n", "classes: [a, b]\n"), (layer) =>
        refused(load(layer), "LabelUnknown", 65))
    }))

  it.effect.each([
    ["classes: [a, b, a]", "", "the class \"a\" occurs twice in the list of classes"],
    ["classes: names.txt", "a\nb\na\n", "the class \"a\" occurs twice in the list of classes"],
    ["classes: names.txt", "a\n\nb\n", "line 2 of the list of classes is empty"],
    ["synsets: names.txt", "n00 crane\nn01 bird\nn00 crane\n", "the class \"n00\" occurs twice"],
    ["classes: [\"1\", \"2\"]", "", "they are numbers, for example 0, but class 0 has the number \"1\" as its name"]
  ])("refuses classes that could be mixed up: %s of %o", ([classes, names, said]) => {
    const [manifest, files] = list("some/n02/0.png 0\nsome/n02/1.png 1\n", `${classes}\n`)
    return withManifest(
      manifest,
      { ...files, "names.txt": names! },
      (layer) => Effect.map(refused(load(layer), "LabelsUnusable", 65), (message) => assert.include(message, said!))
    )
  })

  it.effect("takes images without any label for one class also where classes are known", () =>
    withManifest(
      ...list("some/n02/0.png\nsome/n02/1.png\n", "classes: [a, b]\n"),
      (layer) =>
        Effect.map(load(layer), ({ classes, labels, labelSource }) => {
          assert.deepStrictEqual([classes, [...labels]], [["."], [0, 0]])
          assert.match(labelSource ?? "", /^nothing: .*train\.txt has no labels$/)
        })
    ))

  it.effect.each(["constructor", "toString", "__proto__"])(
    "has no split %s of its own",
    (split) =>
      withManifest(
        "splits: { train: { folder: some } }",
        {},
        (layer) => refused(load(layer, split), "UnknownSplit", 66)
      )
  )
})
