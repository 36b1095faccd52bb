import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Images from "../../../src/layers/images/Images.ts"
import { behaves, load, refused, samples, withFolder } from "./ImagesContract.ts"

const fixture = (name: string) => readFileSync(fileURLToPath(new URL(`./fixtures/${name}.parquet`, import.meta.url)))

const open = (options?: Images.ParquetOptions) => (folder: string) =>
  Images.layerParquet({ train: `${folder}/train.parquet` }, options)

const plain = { image: "picture", label: "animal" }

behaves("Parquet in the layout of Hugging Face, by row groups in Snappy", {
  side: 8,
  files: async (_, changed) => ({ "train.parquet": fixture(changed ? "snappy-changed" : "snappy") }),
  layer: open()
})

behaves("Parquet with bytes and names, by pages in Zstandard", {
  side: 8,
  files: async (_, changed) => ({ "train.parquet": fixture(changed ? "zstd-changed" : "zstd") }),
  layer: open(plain)
})

behaves("Parquet in LZ4 with empty pages", {
  side: 8,
  files: async (_, changed) => ({ "train.parquet": fixture(changed ? "snappy-changed" : "lz4") }),
  layer: open()
})

describe("Images.layerParquet", () => {
  it.effect("joins the files of a split", () =>
    withFolder(
      { "train-00.parquet": fixture("snappy"), "train-01.parquet": fixture("snappy-changed") },
      (folder) =>
        Effect.gen(function*() {
          const set = yield* load(Images.layerParquet({ train: `${folder}/train-{00..01}.parquet` }))
          assert.strictEqual(set.length, 12)
          assert.deepStrictEqual([...set.labels], [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2])
          assert.strictEqual(set.describe(11), "train-01.parquet row 5")
          assert.deepStrictEqual(yield* set.image(11), samples(8, true)[5]?.picture)
          assert.deepStrictEqual(yield* set.image(5), samples(8)[5]?.picture)
        })
    ))

  it.effect("takes the given classes, numbers, or one class where there are no labels", () =>
    withFolder({ "train.parquet": fixture("zstd") }, (folder) =>
      Effect.gen(function*() {
        const classes = ["cat", "dog", "ape", "bee"]
        const named = yield* load(open({ ...plain, classes })(folder))
        assert.deepStrictEqual([...named.labels], [2, 2, 3, 3, 0, 0])
        const numbered = yield* load(open({ ...plain, label: "id" })(folder))
        assert.deepStrictEqual(numbered.classes, ["0", "1", "2", "3", "4", "5"])
        assert.deepStrictEqual((yield* load(open({ image: "picture" })(folder))).classes, ["."])
        const message = yield* refused(load(open({ ...plain, classes: ["ape", "cat"] })(folder)), "LabelUnknown", 65)
        assert.include(message, "train.parquet row 2 has the label \"bee\", which is none of the 2 classes")
      })))

  it.effect("trusts the file's size when told to", () =>
    withFolder({ "train.parquet": fixture("snappy") }, (folder) =>
      Effect.gen(function*() {
        const set = yield* load(open({ check: "names", memory: 0 })(folder))
        assert.strictEqual(set.length, 6)
        assert.deepStrictEqual(yield* set.image(3), samples(8)[3]?.picture)
      })))

  it.effect("refuses an empty file by its length", () =>
    withFolder(
      { "train.parquet": new Uint8Array() },
      (folder) =>
        Effect.map(refused(load(open()(folder)), "FileTruncated", 65), (message) => {
          assert.include(message, "train.parquet")
          assert.notInclude(message, "DataView")
        })
    ))

  it.effect("refuses files that are missing, cut off, or lack a column", () =>
    withFolder(
      { "train.parquet": fixture("zstd"), "cut/train.parquet": fixture("zstd").subarray(0, 900) },
      (folder) =>
        Effect.gen(function*() {
          const column = yield* refused(load(open()(folder)), "FileDamaged", 65)
          assert.include(
            column,
            "train.parquet: the file cannot be used (it has no column \"image\", only id, picture, animal)"
          )
          yield* refused(load(open({ ...plain, label: "none" })(folder)), "FileDamaged", 65)
          yield* refused(load(open(plain)(`${folder}/cut`)), "FileDamaged", 65)
          yield* refused(load(open(plain)(`${folder}/none`)), "FileError", 66)
          const text = yield* refused(load(open({ image: "id" })(folder)), "ImagesBroken", 65)
          assert.include(
            text,
            "train.parquet row 0: the image cannot be decoded (the column \"id\" holds no bytes here)"
          )
        })
    ))

  const leak = (file: Buffer): Buffer => {
    const broken = Buffer.from(file)
    // The second row group's pages are no pages, and the third has a column of another name.
    broken.fill(0xff, 650, 1149)
    const name = Buffer.from("path")
    const places: Array<number> = []
    for (let at = broken.indexOf(name); at !== -1; at = broken.indexOf(name, at + 1)) places.push(at)
    broken[places[3]!] = 0x7f
    return broken
  }

  it.effect.each(
    [
      ["a column of a row group that the file has not", leak],
      ["a place outside of the file", (file: Buffer) => {
        const broken = Buffer.from(file)
        const at = broken.lastIndexOf(Buffer.from("bytes"))
        broken.fill(0x7f, at + 6, at + 12)
        return broken
      }]
    ] as const
  )(
    "leaves no failure unheard beside the one that it tells: %s",
    ([, broken]) =>
      withFolder({ "train.parquet": broken(fixture("snappy")) }, (folder) =>
        Effect.gen(function*() {
          const unheard: Array<unknown> = []
          const hear = (cause: unknown) => void unheard.push(cause)
          process.on("unhandledRejection", hear)
          yield* refused(load(open()(folder)), "FileDamaged", 65)
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          process.off("unhandledRejection", hear)
          assert.deepStrictEqual(unheard, [])
        }))
  )
})
