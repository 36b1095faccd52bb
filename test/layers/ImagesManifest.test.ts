import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Result } from "effect"
import sharp from "sharp"
import * as Classes from "../../src/domain/Classes.ts"
import * as Figure from "../../src/domain/Figure.ts"
import * as ImageNetSubset from "../../src/domain/ImageNetSubset.ts"
import { Images, type ManifestOptions } from "../../src/layers/Images.ts"
import { subset } from "../../src/layers/ImageSet.ts"
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

const open = (options?: ManifestOptions) => (folder: string) => Images.layerManifest(`${folder}/images.yaml`, options)

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

const annotations = (numbers: ReadonlyArray<number>) =>
  sharp(Uint8Array.from(numbers), { raw: { width: 3, height: 2, channels: 1 } }).toColourspace("b-w").png().toBuffer()

const ALL = Array.from({ length: 1000 }, (_, i) => `n${String(i).padStart(3, "0")} thing ${i}\n`).join("")

describe("Images.layerManifest", () => {
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
    const folder = (label: number) => `n${String(label).padStart(3, "0")}`
    const manifest = [
      "synsets: words.txt",
      "splits:",
      "  right: { list: right.txt, subset: imagenet-a }",
      "  wrong: { list: wrong.txt, subset: imagenet-a }"
    ].join("\n")
    const lists = {
      "right.txt": `some/n02/0.png ${folder(inside)}\n`,
      "wrong.txt": `some/n02/0.png ${folder(inside)}\nsome/n02/1.png n000\n`
    }
    return withManifest(manifest, { ...lists, "words.txt": ALL }, (layer) =>
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
        assert.deepInclude(Figure.measure(met, wrongly), { classes: 200, top1: 0 })
        const outside = new Float32Array(2000)
        two.labels.forEach((label, row) => (outside[row * 1000 + label] = 1))
        outside[999] = outside[1999] = 2
        assert.deepInclude(Figure.measure(met, outside), { classes: 200, top1: 1 })
        const message = yield* refused(load(layer, "wrong"), "LabelUnknown", 65)
        assert.include(message, "some/n02/1.png has the label \"n000\", which is none of the 200 classes")
      }))
  })

  it.effect("gives the classes of pixels", () =>
    Effect.flatMap(
      Effect.promise(() => annotations([3, 150, 0, 7, 255, 1])),
      (first) =>
        withManifest(
          "splits: { train: { folder: some/n02, annotations: maps } }",
          { "maps/0.png": first, "maps/1.png": Buffer.from(SYNSETS) },
          (layer, folder) =>
            Effect.gen(function*() {
              const set = yield* load(layer)
              assert.deepStrictEqual(yield* set.annotation!(0), {
                width: 3,
                height: 2,
                data: Uint8Array.of(3, 150, 0, 7, 255, 1)
              })
              yield* refused(set.annotation!(1), "ImageBroken", 65)
              assert.isTrue(Exit.hasDies(yield* Effect.exit(set.annotation!(2))))

              const last = subset(set, [1, 0])
              assert.deepStrictEqual(yield* last.annotation!(1), yield* set.annotation!(0))

              yield* write(folder, { "maps/1.png": yield* Effect.promise(() => encoded(samples(8)[0]!.picture)) })
              const changed = yield* load(layer)
              assert.notStrictEqual(changed.digest, set.digest)
              const message = yield* refused(changed.annotation!(1), "ImageBroken", 65)
              assert.include(
                message,
                "maps/1.png: the image cannot be decoded (an annotation has one channel of 8 bits, "
              )

              yield* (yield* FileSystem.FileSystem).remove(`${folder}/maps/1.png`)
              yield* refused(load(layer), "FileError", 66)
            })
        )
    ))

  it.effect("refuses a subset of other classes than ImageNet's", () =>
    withManifest(
      "synsets: words.txt\nsplits: { train: { folder: some, subset: imagenet-r } }",
      { "words.txt": SYNSETS },
      (layer) =>
        Effect.map(refused(load(layer), "ConfigError", 64), (message) =>
          assert.include(message, "splits.train.subset: expected the 1000 classes of ImageNet, got 3"))
    ))

  const broken: ReadonlyArray<readonly [manifest: string, said: string]> = [
    ["splits: [", "images.yaml is not a usable configuration: "],
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
      ["0 -1", "LabelUnknown", "some/n02/0.png has the label \"-1\", which is none of the 3 classes"],
      ["0 dog", "LabelsUnusable", "some are numbers, as 2, and others names, as \"dog\"; write all in one way"],
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
    ["classes: [a, b, a]", "", "the class \"a\" stands twice in the list of classes"],
    ["classes: names.txt", "a\nb\na\n", "the class \"a\" stands twice in the list of classes"],
    ["classes: names.txt", "a\n\nb\n", "line 2 of the list of classes is empty"],
    ["synsets: names.txt", "n00 crane\nn01 bird\nn00 crane\n", "the class \"n00\" stands twice"],
    ["classes: [\"1\", \"2\"]", "", "they are numbers, as 0, and so are names of classes, as \"1\" of class 0"]
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
