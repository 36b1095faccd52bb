import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import sharp from "sharp"
import * as Images from "../../../src/layers/images/Images.ts"
import * as ImageSet from "../../../src/layers/images/reading/ImageSet.ts"
import { Progress, type Report, silent } from "../../../src/layers/run/Progress.ts"
import * as Contract from "./ImagesContract.ts"
import { refused } from "./ImagesContract.ts"

const orange = { create: { width: 20, height: 10, channels: 3, background: { r: 200, g: 100, b: 40 } } } as const

const png = () => sharp(orange).png().toBuffer()

const noise = () =>
  sharp({ create: { ...orange.create, width: 120, height: 120, noise: { type: "gaussian", mean: 128, sigma: 40 } } })
    .jpeg().toBuffer()

const withFolder = <A, E, R>(
  files: Readonly<Record<string, () => Promise<Uint8Array> | Uint8Array>>,
  use: (folder: string) => Effect.Effect<A, E, R | FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const made = yield* Effect.forEach(Object.entries(files), ([name, content]) =>
      Effect.promise(async () => [name, await content()] as const))
    return yield* Contract.withFolder(Object.fromEntries(made), use)
  })

const load = (folder: string, split: string, options?: Images.FolderOptions) =>
  Contract.load(Images.layerFolder(folder, options), split)

const splitsOf = (folder: string, options?: Images.FolderOptions) =>
  Images.Images.useSync((images) => images.splits).pipe(
    Effect.provide(Images.layerFolder(folder, options), { local: true })
  )

const names = (set: ImageSet.ImageSet) => Array.from({ length: set.length }, (_, i) => set.describe(i))

const hearing = (told: Array<Report>) =>
  Effect.provideService(Progress, { ...silent, report: (report) => Effect.sync(() => void told.push(report)) })

const formats: ReadonlyArray<
  readonly [
    string,
    () => Promise<Uint8Array> | Uint8Array,
    readonly [number, number],
    readonly [number, number, number]
  ]
> = [
  ["rgb.png", png, [20, 10], [200, 100, 40]],
  [
    "grey.png",
    () => sharp({ create: { ...orange.create, background: "#999" } }).greyscale().png().toBuffer(),
    [20, 10],
    [
      153,
      153,
      153
    ]
  ],
  ["deep.png", () => sharp(orange).toColourspace("rgb16").png().toBuffer(), [20, 10], [200, 100, 40]],
  ["palette.png", () => sharp(orange).png({ palette: true }).toBuffer(), [20, 10], [200, 100, 40]],
  [
    "clear.png",
    () =>
      sharp({ create: { ...orange.create, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } } }).png()
        .toBuffer(),
    [20, 10],
    [128, 128, 128]
  ],
  [
    "half.webp",
    () =>
      sharp({ create: { ...orange.create, channels: 4, background: { r: 200, g: 0, b: 100, alpha: 0.5 } } })
        .webp({ lossless: true }).toBuffer(),
    [20, 10],
    [164, 64, 114]
  ],
  [
    "print.JPEG",
    () =>
      sharp({ create: { ...orange.create, background: { r: 170, g: 130, b: 110 } } }).toColourspace("cmyk").jpeg()
        .toBuffer(),
    [20, 10],
    [170, 130, 110]
  ],
  ["turned.jpg", () => sharp(orange).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer(), [10, 20], [
    200,
    100,
    40
  ]],
  ["scan.tiff", () => sharp(orange).tiff().toBuffer(), [20, 10], [200, 100, 40]],
  [
    "drawn.svg",
    () =>
      Buffer.from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"4\"><rect width=\"8\" height=\"4\" fill=\"#00f\"/></svg>"
      ),
    [8, 4],
    [0, 0, 255]
  ]
]

Contract.behaves("a folder", {
  side: 8,
  files: async (all) =>
    Object.fromEntries(
      await Promise.all(all.map(async ({ label, picture }, i) => [
        `${Contract.CLASSES[label]}/${i}.png`,
        await Contract.encoded(picture)
      ]))
    ),
  layer: Images.layerFolder
})

describe("Images.layerFolder", () => {
  it.effect.each(formats)(
    "reads %s as upright opaque RGB",
    ([name, content, [width, height], colour]) =>
      withFolder({ [`any/${name}`]: content }, (folder) =>
        Effect.gen(function*() {
          const set = yield* load(folder, "train")
          const picture = yield* set.image(0)
          assert.deepStrictEqual([picture.width, picture.height, picture.data.length], [
            width,
            height,
            width * height * 3
          ])
          const middle = (Math.floor(height / 2) * width + Math.floor(width / 2)) * 3
          colour.forEach((value, channel) => assert.closeTo(picture.data[middle + channel]!, value, 8))
        }))
  )

  it.effect("takes a class per sub-folder, in order of their names", () =>
    withFolder({
      "zebra/1.png": png,
      "ape/b/2.png": png,
      "ape/a.png": png,
      "ape/notes.txt": () => Buffer.from("x"),
      "ape/._a.png": () => Buffer.from("x"),
      ".git/c.png": png
    }, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(folder, "train")
        assert.deepStrictEqual(yield* splitsOf(folder), ["train"])
        assert.deepStrictEqual(set.classes, ["ape", "zebra"])
        assert.deepStrictEqual([...set.labels], [0, 0, 1])
        assert.deepStrictEqual([0, 1, 2].map(set.describe), ["ape/a.png", "ape/b/2.png", "zebra/1.png"])
      })))

  it.effect("tells which sub-folders hold no image in any split and so are no classes", () =>
    withFolder({
      "train/ape/1.png": png,
      "train/bat/notes.txt": () => Buffer.from("x"),
      "train/cat/2.png": png,
      "val/ape/3.png": png,
      "val/cat/notes.txt": () => Buffer.from("x")
    }, (folder) =>
      Effect.gen(function*() {
        const train = yield* load(folder, "train")
        const val = yield* load(folder, "val")
        const idle = { kind: "folder without images (no class)", count: 1, names: ["bat"] }
        assert.deepStrictEqual(train.classes, ["ape", "cat"])
        assert.deepStrictEqual(train.leftOut, [{ kind: "txt", count: 1 }, idle])
        assert.deepStrictEqual(val.leftOut, [{ kind: "txt", count: 1 }])
      })))

  it.effect("takes the sub-folders for splits if one is train, with the same classes in all", () =>
    withFolder({ "train/a/1.png": png, "train/b/2.png": png, "val/b/3.png": png }, (folder) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* splitsOf(folder), ["train", "val"])
        const val = yield* load(folder, "val")
        assert.deepStrictEqual(val.classes, ["a", "b"])
        assert.deepStrictEqual([...val.labels], [1])
        assert.deepStrictEqual((yield* load(folder, "train", { splits: [] })).classes, ["train", "val"])
        const message = yield* refused(load(folder, "test"), "UnknownSplit", 66)
        assert.include(message, "there is no split \"test\"; choose one of train, val")
      })))

  it.effect("follows links to folders, each folder once within a class", () =>
    withFolder(
      { "real/inner/1.png": png, "data/a/2.png": png, "data/a/z/3.png": png },
      (folder) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          yield* fs.symlink(`${folder}/real`, `${folder}/data/b`)
          yield* fs.symlink(`${folder}/real/inner`, `${folder}/data/a/deep`)
          yield* fs.symlink(`${folder}/data/a/z`, `${folder}/data/a/again`)
          const set = yield* load(`${folder}/data`, "train")
          assert.deepStrictEqual(names(set), ["a/2.png", "a/deep/1.png", "a/z/3.png", "b/inner/1.png"])
          assert.deepStrictEqual(set.leftOut, [{ kind: "link to a folder read already", count: 1 }])
        })
    ))

  it.effect("does not walk in circles along links, nor takes a link to a folder around it for a class", () =>
    withFolder(
      { "data/a/inner/1.png": png, "data/b/2.png": png, "other.png": png },
      (folder) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          for (const [to, at] of [["", "a/inner/up"], ["/..", "b/far"], ["", "self"], ["/b", "a/b"], ["/a", "b/a"]]) {
            yield* fs.symlink(`${folder}/data${to}`, `${folder}/data/${at}`)
          }
          yield* fs.symlink(`${folder}/nowhere`, `${folder}/data/a/lost`)
          yield* fs.symlink(`${folder}/data/b/round`, `${folder}/data/b/round`)
          const set = yield* load(`${folder}/data`, "train")
          assert.deepStrictEqual(set.classes, ["a", "b"])
          assert.deepStrictEqual(names(set), ["a/b/2.png", "a/inner/1.png", "b/2.png", "b/a/inner/1.png"])
          assert.deepStrictEqual(Object.fromEntries(set.leftOut.map(({ count, kind }) => [kind, count])), {
            "link in a circle": 5,
            "link to a folder read already": 2,
            "link to nothing": 4
          })
        })
    ))

  it.effect("tells what it left out by kind, and opens nothing that is no file", () =>
    withFolder({
      "a/1.png": png,
      "a/2.jfif": noise,
      "a/3.bmp": png,
      "b/4.BMP": png,
      "b/5.png": png,
      "b/README": () => Buffer.from("x"),
      "b/.hidden": () => Buffer.from("x")
    }, (folder) =>
      Effect.gen(function*() {
        execFileSync("mkfifo", [`${folder}/a/6.png`, `${folder}/b/pipe`])
        yield* (yield* FileSystem.FileSystem).symlink("/dev/zero", `${folder}/b/7.png`)
        const set = yield* load(folder, "train", { cache: `${folder}/.cache` })
        assert.deepStrictEqual(names(set), ["a/1.png", "a/2.jfif", "b/5.png"])
        assert.deepStrictEqual(set.leftOut, [
          { kind: "bmp", count: 2 },
          { kind: "FIFO", count: 2 },
          { kind: "device", count: 1 },
          { kind: "no ending", count: 1 }
        ])
        assert.deepStrictEqual((yield* load(folder, "train", { cache: `${folder}/.cache` })).leftOut, set.leftOut)
      })))

  it.effect.skipIf(process.platform !== "linux")(
    "leaves out files whose names are not UTF-8, and says so",
    () =>
      withFolder({ "a/1.png": png }, (folder) =>
        Effect.gen(function*() {
          writeFileSync(Buffer.concat([Buffer.from(`${folder}/a/bad`), Buffer.of(255, 254), Buffer.from(".png")]), "x")
          const set = yield* load(folder, "train")
          assert.deepStrictEqual(names(set), ["a/1.png"])
          assert.deepStrictEqual(set.leftOut, [{ kind: "name that is not UTF-8", count: 1 }])
        }))
  )

  it.effect("takes a link to nothing for a broken image", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.gen(function*() {
        yield* (yield* FileSystem.FileSystem).symlink(`${folder}/nowhere`, `${folder}/a/lost.png`)
        for (const check of ["contents", "names"] as const) {
          const message = yield* refused(load(folder, "train", { check }), "FileError", 66)
          assert.include(message, "a/lost.png: there is no such file")
        }
        const set = yield* load(folder, "train", { onBroken: "skip" })
        assert.deepStrictEqual(names(set), ["a/1.png"])
        assert.lengthOf(set.skipped, 1)
      })))

  it.effect("keeps the list of files between runs and lists changed folders again", () =>
    withFolder({ "data/a/b/1.png": png, "data/c/2.png": png }, (folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const data = `${folder}/data`
        const listed = Effect.map(load(data, "train", { cache: `${folder}/cache`, check: "names" }), names)
        yield* fs.utimes(`${data}/a/b`, 1, 1)
        assert.deepStrictEqual(yield* listed, ["a/b/1.png", "c/2.png"])

        const [name] = yield* fs.readDirectory(`${folder}/cache`)
        const index = `${folder}/cache/${name}`
        const text = yield* fs.readFileString(index)
        yield* fs.writeFileString(index, text.replace("1.png", "kept.png"))
        assert.deepStrictEqual(yield* listed, ["a/b/kept.png", "c/2.png"])

        yield* fs.rename(`${data}/a/b/1.png`, `${data}/a/b/3.png`)
        yield* fs.utimes(`${data}/a/b`, 1, 1)
        assert.deepStrictEqual(yield* listed, ["a/b/3.png", "c/2.png"])

        yield* fs.writeFileString(index, "{")
        assert.deepStrictEqual(yield* listed, ["a/b/3.png", "c/2.png"])
      })))

  it.effect("tells how far it is with listing many files", () => {
    const told: Array<Report> = []
    return withFolder({ "data/a/1.png": png, "data/b/2.png": png }, (folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const open = load(`${folder}/data`, "train", { cache: `${folder}/cache`, check: "names" })
        yield* open
        const [name] = yield* fs.readDirectory(`${folder}/cache`)
        const index = yield* fs.readFileString(`${folder}/cache/${name}`)
        const many = Array.from({ length: 10_001 }, (_, i) => `${i}.png`).join("/")
        const sizes = Array.from({ length: 10_001 }, () => 1).join(" ")
        yield* fs.writeFileString(
          `${folder}/cache/${name}`,
          index.replace("1.png", many).replace(/"sizes":"\d+"/, `"sizes":"${sizes}"`)
        )
        assert.strictEqual((yield* open).length, 10_002)
        assert.deepStrictEqual(told, [
          { stage: "scan train", step: 1, total: 2, metrics: { files: 10_001 } },
          { stage: "scan train", step: 2, total: 2, metrics: { files: 10_002 } }
        ])
      })).pipe(hearing(told))
  })

  it.effect("tells how far it is with many images", () => {
    const reports: Array<Report> = []
    const small = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }
    return Effect.gen(function*() {
      const image = yield* Effect.promise(() => Contract.encoded(small))
      const files = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`a/${i}.png`, () => image]))
      yield* withFolder(files, (folder) => load(folder, "train"))
      assert.deepStrictEqual(reports.map(({ stage, step, total }) => [stage, step, total]), [
        ["check train", 1000, 1000]
      ])
    }).pipe(hearing(reports))
  })

  it.effect("takes images in no sub-folder for one class", () =>
    withFolder({ "1.png": png, "2.png": png }, (folder) =>
      Effect.map(load(folder, "train"), ({ classes, length }) => {
        assert.strictEqual(length, 2)
        assert.deepStrictEqual(classes, ["."])
      })))

  it.effect("says which file is broken", () =>
    withFolder(
      { "a/good.png": png, "a/cut.jpg": async () => (await noise()).subarray(0, 1500) },
      (folder) =>
        Effect.gen(function*() {
          const message = yield* refused(load(folder, "train"), "ImageBroken", 65)
          assert.include(message, "a/cut.jpg: the image cannot be decoded (")
        })
    ))

  it.effect("names all images that are broken, up to ten", () =>
    withFolder({
      "a/good.png": png,
      ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`b/${10 + i}.png`, () => Buffer.from("x")]))
    }, (folder) =>
      Effect.gen(function*() {
        const message = yield* refused(load(folder, "train"), "ImagesBroken", 65)
        assert.match(message, /^train: 12 of 13 images cannot be used\n/)
        assert.match(message, /b\/10\.png: the image cannot be decoded \(.*\)\n/)
        assert.include(message, "b/19.png")
        assert.notInclude(message, "b/20.png")
        assert.include(message, "and 2 more")
      })))

  it.effect("refuses to leave broken images out when it opens none before use", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.map(
        refused(load(folder, "train", { check: "names", onBroken: "skip" }), "ConfigError", 64),
        (message) => assert.include(message, "--broken skip: with --check names, images are opened too late")
      )))

  it.effect("leaves broken and small images out when told to, and says so", () =>
    withFolder({
      "a/good.png": png,
      "a/cut.jpg": async () => (await noise()).subarray(0, 1500),
      "a/text.png": () => Buffer.from("hello"),
      "a/empty.png": () => new Uint8Array(0),
      "a/small.svg": () => Buffer.from("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"4\"></svg>")
    }, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(folder, "train", { onBroken: "skip", minimumSide: 8 })
        assert.strictEqual(set.length, 1)
        assert.strictEqual(set.describe(0), "a/good.png")
        assert.strictEqual(set.skipped.length, 4)
        assert.include(
          set.skipped.find((text) => text.includes("small.svg")),
          "8 × 4 pixels, but both sides need at least 8"
        )
      })))

  it.effect("refuses small and huge images", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.gen(function*() {
        yield* refused(load(folder, "train", { minimumSide: 11 }), "ImageTooSmall", 65)
        const message = yield* refused(load(folder, "train", { pixelLimit: 199 }), "ImageTooLarge", 65)
        assert.include(message, "the image is 20 × 10 = 200 pixels, but at most 199 are decoded")
        assert.include(message, "(--pixel-limit 200)")
      })))

  it.effect("refuses another file in the place of a folder", () =>
    withFolder({ "a.txt": png }, (folder) =>
      Effect.gen(function*() {
        const message = yield* refused(load(`${folder}/a.txt`, "train"), "ConfigError", 64)
        assert.include(message, "a.txt: expected a folder of images")
      })))

  it.effect("takes an image in the place of a folder for the only one, without a label", () =>
    withFolder({ "bee/one.png": png, "cut.png": () => Buffer.from("x") }, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(`${folder}/bee/one.png`, "train")
        assert.deepStrictEqual([names(set), set.classes, [...set.labels]], [["one.png"], ["."], [0]])
        assert.strictEqual((yield* set.image(0)).width, 20)
        yield* refused(load(`${folder}/cut.png`, "train"), "ImageBroken", 65)
        yield* refused(load(`${folder}/bee/one.png`, "val"), "UnknownSplit", 66)
        yield* refused(load(`${folder}/bee/one.png`, "train", { splits: [] }), "ConfigError", 64)
      })))

  it.effect("refuses a missing and an empty folder", () =>
    withFolder({ "a/notes.txt": () => Buffer.from("x") }, (folder) =>
      Effect.gen(function*() {
        yield* refused(load(`${folder}/none`, "train"), "FolderMissing", 66)
        yield* refused(load(folder, "val", { splits: ["val"] }), "FolderMissing", 66)
        const message = yield* refused(load(folder, "train"), "FolderEmpty", 66)
        assert.include(message, "the folder holds no usable image")
        assert.include(message, "left out: 1 (1 txt)")
      })))

  it.effect("has a digest of the files' bytes and classes", () =>
    withFolder({ "a/1.png": png, "b/2.png": noise }, (folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const digest = (options?: Images.FolderOptions) =>
          Effect.map(load(folder, "train", options), (set) => set.digest)
        const first = yield* digest()
        assert.strictEqual(yield* digest(), first)
        assert.notStrictEqual(yield* digest({ shrinkTo: 4 }), first)
        yield* fs.rename(`${folder}/a/1.png`, `${folder}/b/1.png`)
        assert.notStrictEqual(yield* digest(), first)
      })))

  it.effect("decodes from the file again when it keeps nothing", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const kept = yield* load(folder, "train")
        const read = yield* load(folder, "train", { memory: 0 })
        assert.deepStrictEqual(yield* read.image(0), yield* kept.image(0))
        yield* fs.remove(`${folder}/a/1.png`)
        assert.strictEqual((yield* kept.image(0)).width, 20)
        yield* refused(read.image(0), "FileError", 66)
      })))

  it.effect("lends pictures that it keeps, and frees the others afterwards", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.gen(function*() {
        const lent = (set: ImageSet.ImageSet) => ImageSet.lend(set, 0, Effect.succeed)
        const copied = (set: ImageSet.ImageSet) =>
          ImageSet.lend(set, 0, (picture) => Effect.sync(() => picture.data.slice()))
        const kept = yield* load(folder, "train")
        const read = yield* load(folder, "train", { memory: 0 })
        const { data } = yield* kept.image(0)
        for (const set of [kept, ImageSet.subset(kept, [0])]) assert.deepStrictEqual((yield* lent(set)).data, data)
        for (const set of [read, ImageSet.subset(read, [0])]) {
          assert.deepStrictEqual(yield* copied(set), data)
          assert.strictEqual((yield* lent(set)).data.length, 0)
        }
        const mine = yield* read.image(0)
        const own = { ...read, image: () => Effect.succeed(mine) }
        assert.deepStrictEqual((yield* lent(own)).data, data)
        assert.deepStrictEqual((yield* kept.image(0)).data, data)
      })))

  it.effect("can leave the files unopened until they are asked for", () =>
    withFolder({ "a/1.png": () => Buffer.from("hello") }, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(folder, "train", { check: "names" })
        assert.strictEqual(set.length, 1)
        yield* refused(set.image(0), "ImageBroken", 65)
      })))

  it.effect("shrinks large pictures on decoding", () =>
    withFolder({ "a/1.png": png }, (folder) =>
      Effect.gen(function*() {
        const small = yield* (yield* load(folder, "train", { shrinkTo: 5 })).image(0)
        assert.deepStrictEqual([small.width, small.height], [10, 5])
        const same = yield* (yield* load(folder, "train", { shrinkTo: 50 })).image(0)
        assert.deepStrictEqual([same.width, same.height], [20, 10])
      })))
})

Contract.keepsRules(
  "memory",
  Effect.sync(() => {
    const six = Contract.samples(8)
    return Images.layerMemory([
      ImageSet.memory("train", Contract.CLASSES, six.map(({ picture }) => picture), six.map(({ label }) => label))
    ])
  })
)

describe("Images.layerMemory", () => {
  it.effect("gives its sets by name", () =>
    Effect.gen(function*() {
      const set = ImageSet.memory("train", ["a"], [], [])
      const images = Images.layerMemory([set])
      assert.strictEqual(yield* Effect.provide(Images.Images.use(({ load }) => load("train")), images), set)
      yield* refused(Effect.provide(Images.Images.use(({ load }) => load("val")), images), "UnknownSplit", 66)
    }))
})
