import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import sharp from "sharp"
import * as Images from "../../../src/layers/images/Images.ts"
import { type Content, load, refused, withFolder } from "./ImagesContract.ts"

const [WIDTH, HEIGHT] = [8, 6]

const jpeg = (value: number) =>
  sharp(new Uint8Array(3 * WIDTH * HEIGHT).fill(value), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).jpeg()
    .toBuffer()

const annotation = (labels: ReadonlyArray<number>) =>
  sharp(Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => labels[i % labels.length]!), {
    raw: { width: WIDTH, height: HEIGHT, channels: 1 }
  }).toColourspace("b-w").png().toBuffer()

const MANIFEST = `
root: ADEChallengeData2016
pixelClasses: objectInfo150.txt
reduceZeroLabel: true
splits:
  train: { folder: images/training, annotations: annotations/training }
  val: { folder: images/validation, annotations: annotations/validation }
`

const TABLE = "Idx\tRatio\tTrain\tVal\tStuff\tName\n" +
  "1\t0.1576\t11664\t1172\t1\twall\n2\t0.1072\t6046\t612\t1\tbuilding, edifice\n3\t0.0878\t8265\t796\t1\tsky\n"

const labels = {
  "training/ADE_train_00000001": [0, 1, 2],
  "training/ADE_train_00000002": [3, 1],
  "validation/ADE_val_00000001": [2]
}

const ade = async (changes: Readonly<Record<string, Content>> = {}) => {
  const root = "ADEChallengeData2016"
  const pairs = await Promise.all(
    Object.entries(labels).map(async ([name, numbers], i) => ({
      [`${root}/images/${name}.jpg`]: await jpeg(40 * i),
      [`${root}/annotations/${name}.png`]: await annotation(numbers)
    }))
  )
  return Object.assign(
    { "images.yaml": MANIFEST, [`${root}/objectInfo150.txt`]: TABLE },
    ...pairs,
    changes
  ) as Readonly<
    Record<string, Content>
  >
}

const layerOf = (folder: string, options?: Images.ManifestOptions) =>
  Images.layerManifest(`${folder}/images.yaml`, options)

const withCopy = <A, E, R>(
  changes: () => Promise<Readonly<Record<string, Content>>>,
  use: (folder: string) => Effect.Effect<A, E, R>
) => Effect.flatMap(Effect.promise(async () => ade(await changes())), (files) => withFolder(files, use))

const nothing = () => Promise.resolve({})

describe("classes of pixels", () => {
  it.effect("are those of ADE20K in its own folders, reduced once", () =>
    withCopy(nothing, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(layerOf(folder))
        assert.deepStrictEqual(set.pixelClasses, ["wall", "building, edifice", "sky"])
        assert.strictEqual(set.length, 2)
        const first = yield* set.annotation!(0)
        assert.deepStrictEqual([first.width, first.height], [WIDTH, HEIGHT])
        assert.deepStrictEqual([...first.data.subarray(0, 4)], [255, 0, 1, 255])
        assert.deepStrictEqual([...(yield* set.annotation!(1)).data.subarray(0, 2)], [2, 0])
        const val = yield* load(layerOf(folder), "val")
        assert.deepStrictEqual([...new Set((yield* val.annotation!(0)).data)], [1])
      })))

  it.effect("are plain numbers, or start at 0, without the keys", () =>
    withCopy(
      () =>
        Promise.resolve({
          "images.yaml": MANIFEST.replace("reduceZeroLabel: true", "").replace("objectInfo150.txt", "[a, b, c, d]"),
          "plain/images.yaml": MANIFEST.replace(/(?:pixelClasses|reduceZeroLabel).*\n/g, "").replace(
            "root: ",
            "root: ../"
          )
        }),
      (folder) =>
        Effect.gen(function*() {
          const set = yield* load(layerOf(folder))
          assert.deepStrictEqual(set.pixelClasses, ["a", "b", "c", "d"])
          assert.deepStrictEqual([...(yield* set.annotation!(0)).data.subarray(0, 3)], [0, 1, 2])
          const plain = yield* load(layerOf(`${folder}/plain`))
          assert.isUndefined(plain.pixelClasses)
          assert.notStrictEqual(plain.digest, set.digest)
        })
    ))

  it.effect("refuse a label that is no class, and name its pixel", () =>
    withCopy(
      async () => ({
        "ADEChallengeData2016/annotations/training/ADE_train_00000002.png": await annotation([1, 2, 1, 9])
      }),
      (folder) =>
        Effect.gen(function*() {
          const message = yield* refused(load(layerOf(folder)), "LabelUnknown", 65)
          assert.include(message, "ADE_train_00000002.png: the pixel in column 4 of row 1 has the label \"9\"")
          assert.include(message, "which is none of the 3 classes")
          const unseen = yield* load(layerOf(folder, { check: "names" }))
          yield* refused(unseen.annotation!(1), "LabelUnknown", 65)
          assert.strictEqual((yield* load(layerOf(folder), "val")).length, 1)
        })
    ))

  it.effect("refuse coloured annotations, and those of another size or without an image", () =>
    withCopy(
      async () => ({
        "ADEChallengeData2016/annotations/training/ADE_train_00000002.png": await sharp(await jpeg(9)).png().toBuffer(),
        "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png": await sharp(await annotation([1])).resize(
          4,
          3
        )
          .toColourspace("b-w").png().toBuffer()
      }),
      (folder) =>
        Effect.gen(function*() {
          const message = yield* refused(load(layerOf(folder)), "AnnotationUnusable", 65)
          assert.include(
            message,
            "an annotation has one channel of 8 bits, or a palette, but this file has 3 of 8 bits"
          )
          assert.include(yield* refused(load(layerOf(folder), "val"), "AnnotationUnusable", 65), "this file is 4 × 3")
        })
    ))

  it.effect.each(
    [
      ["names that occur twice", "LabelsUnusable", 65, MANIFEST.replace("objectInfo150.txt", "[a, b, a]")],
      [
        "more classes than 8 bits hold",
        "LabelsUnusable",
        65,
        MANIFEST.replace("objectInfo150.txt", `[${Array.from({ length: 256 }, (_, i) => `c${i}`).join()}]`)
      ],
      ["a missing file of names", "FileError", 66, MANIFEST.replace("objectInfo150", "none")],
      ["a reduction without names", "ConfigError", 64, MANIFEST.replace(/pixelClasses.*\n/, "")]
    ] as const
  )(
    "refuse %s",
    ([, tag, code, manifest]) =>
      withCopy(
        () => Promise.resolve({ "images.yaml": manifest }),
        (folder) => refused(load(layerOf(folder)), tag, code)
      )
  )
})
