import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import * as Images from "../../../src/layers/images/Images.ts"
import { behaves, CLASSES, load, refused, type Sample, samples, withFolder } from "./ImagesContract.ts"

const record = ({ label, picture: { data } }: Sample, coarse: ReadonlyArray<number>) =>
  Uint8Array.from([...coarse, label, ...[0, 1, 2].flatMap((channel) => [...data].filter((_, i) => i % 3 === channel))])

const batch = (all: ReadonlyArray<Sample>, coarse: ReadonlyArray<number> = []) =>
  Buffer.concat(all.map((sample) => record(sample, coarse)))

const ten = (all: ReadonlyArray<Sample>) => ({
  "batches.meta.txt": `${CLASSES.join("\n")}\n\n`,
  ...Object.fromEntries([1, 2, 3, 4].map((part) => [`data_batch_${part}.bin`, batch(all.slice(part - 1, part))])),
  "data_batch_5.bin": batch(all.slice(4)),
  "test_batch.bin": batch(all.slice(2, 3))
})

const hundred = (all: ReadonlyArray<Sample>) => ({
  "fine_label_names.txt": `${CLASSES.join("\n")}\n`,
  "coarse_label_names.txt": "animal\n",
  "train.bin": batch(all, [0]),
  "test.bin": batch(all.slice(2, 3), [0])
})

const sources = [["CIFAR-10", ten], ["CIFAR-100", hundred]] as const

for (const [name, files] of sources) {
  behaves(name, { side: 32, files: async (all) => files(all), layer: Images.layerCifar })
}

describe("Images.layerCifar", () => {
  it.effect.each(sources)(
    "reads the test split of %s",
    ([, files]) =>
      withFolder(files(samples(32)), (folder) =>
        Effect.gen(function*() {
          const set = yield* load(Images.layerCifar(folder), "test")
          assert.deepStrictEqual([...set.labels], [1])
          assert.deepStrictEqual(yield* set.image(0), samples(32)[2]?.picture)
          assert.match(set.describe(0), /^test(_batch)?\.bin record 0$/)
        }))
  )

  it.effect.each(["batches.meta.txt", "test_batch.bin"])(
    "opens no %s that is no file",
    (name) =>
      withFolder(ten(samples(32)), (folder) =>
        Effect.gen(function*() {
          rmSync(`${folder}/${name}`)
          execFileSync("mkfifo", [`${folder}/${name}`])
          const message = yield* refused(load(Images.layerCifar(folder), "test"), "FileDamaged", 65)
          assert.include(message, `${name}: the file cannot be used (it is a FIFO, not a regular file)`)
        }))
  )

  it.effect("refuses a batch that is cut off or empty", () =>
    withFolder({
      ...ten(samples(32)),
      "test_batch.bin": batch(samples(32)).subarray(0, 5000),
      "data_batch_1.bin": new Uint8Array()
    }, (folder) =>
      Effect.gen(function*() {
        const layer = Images.layerCifar(folder)
        const cut = yield* refused(load(layer, "test"), "FileTruncated", 65)
        assert.include(cut, "test_batch.bin: the file is cut off: it has 5000 of 6146 bytes;")
        const empty = yield* refused(load(layer), "FileTruncated", 65)
        assert.include(empty, "data_batch_1.bin: the file is cut off: it has 0 of 3073 bytes;")
      })))

  it.effect("refuses a missing batch", () =>
    withFolder(
      { "batches.meta.txt": "ape\n" },
      (folder) =>
        Effect.map(refused(load(Images.layerCifar(folder)), "FileError", 66), (message) =>
          assert.include(message, "data_batch_1.bin: there is no such file"))
    ))

  it.effect("refuses a label that is no class", () =>
    withFolder(
      { ...ten(samples(32)), "batches.meta.txt": "ape\nbee\n" },
      (folder) =>
        Effect.map(refused(load(Images.layerCifar(folder)), "LabelUnknown", 65), (message) =>
          assert.include(message, "data_batch_5.bin: record 0 has the label \"2\", which is none of the 2 classes"))
    ))

  it.effect("refuses a folder that is missing or holds something else", () =>
    withFolder({ "train.bin": new Uint8Array(3) }, (folder) =>
      Effect.gen(function*() {
        const message = yield* refused(load(Images.layerCifar(folder)), "FilesMissing", 66)
        assert.include(message, "the folder holds no batches.meta.txt or fine_label_names.txt")
        yield* refused(load(Images.layerCifar(`${folder}/none`)), "FolderMissing", 66)
      })))

  it.effect.each([
    ["ape\nbee\nape\n", "the class \"ape\" occurs twice in the list of classes"],
    ["ape\n\nbee\ncat\n", "line 2 of the list of classes is empty"]
  ])(
    "refuses the list of classes %o",
    ([names, said]) =>
      withFolder(
        { ...ten(samples(32)), "batches.meta.txt": names! },
        (folder) =>
          Effect.map(refused(load(Images.layerCifar(folder)), "LabelsUnusable", 65), (message) =>
            assert.include(message, said!))
      )
  )

  it.effect.each(["constructor", "__proto__"])(
    "has no split %s",
    (split) =>
      withFolder(ten(samples(32)), (folder) => refused(load(Images.layerCifar(folder), split), "UnknownSplit", 66))
  )
})
