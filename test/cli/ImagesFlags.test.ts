import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Runtime } from "effect"
import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import * as Tar from "tar-stream"
import * as ImagesFlags from "../../src/cli/flags/ImagesFlags.ts"
import { Images } from "../../src/layers/images/Images.ts"
import { encoded, withFolder } from "../layers/images/ImagesContract.ts"

const labels = (name: string) =>
  fileURLToPath(new URL(`../layers/images/fixtures/labels/${name}.parquet`, import.meta.url))

interface Flags {
  readonly holdout?: number
  readonly holdoutSeed?: number
  readonly labelColumn?: string
  readonly splits?: string
}

const load = (images: string, { holdout, holdoutSeed, labelColumn, splits }: Flags = {}, split = "train") =>
  Images.use((source) => source.load(split)).pipe(
    Effect.provide(
      ImagesFlags.layer({
        images: Option.some(images),
        check: "contents",
        broken: "fail",
        pixelLimit: Option.none(),
        labelColumn: Option.fromUndefinedOr(labelColumn),
        splits: Option.fromUndefinedOr(splits),
        holdout: Option.fromUndefinedOr(holdout),
        holdoutSeed: Option.fromUndefinedOr(holdoutSeed)
      }, {}),
      { local: true }
    ),
    Effect.provide(NodeServices.layer)
  )

const refused = (images: string, flags: Flags, code: number, said: string) =>
  Effect.map(Effect.flip(load(images, flags)), (error) => {
    assert.strictEqual(error[Runtime.errorExitCode], code)
    assert.include(error.message, said)
  })

const tar = (names: ReadonlyArray<string>, image: Buffer) => {
  const pack = Tar.pack()
  for (const name of names) {
    pack.entry({ name }, image)
    pack.entry({ name: name.replace("png", "cls") }, name[0]!)
  }
  pack.finalize()
  return buffer(Readable.from(pack))
}

const pixel = () => encoded({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) })

describe("--images", () => {
  it.effect("reads the label from the column that is named, or none", () =>
    Effect.gen(function*() {
      const classes = (labelColumn: string) => Effect.map(load(labels("meant"), { labelColumn }), (set) => set.classes)
      assert.deepStrictEqual(yield* classes("species"), ["ape", "bee", "cat"])
      assert.deepStrictEqual(yield* classes("fine_label"), ["0", "1", "2"])
      assert.deepStrictEqual(yield* classes("none"), ["."])
      yield* refused(labels("meant"), {}, 65, "name one by --label-column species, or none by --label-column none")
    }))

  it.effect.each(["constructor", "toString", "__proto__", "in-new"])(
    "takes shards for a split called %s",
    (name) =>
      Effect.gen(function*() {
        const set = yield* load(`${name}=${labels("named")},${name}=${labels("turned")}`, {}, name)
        assert.strictEqual(set.length, 8)
      })
  )

  it.effect("refuses flags that mean nothing for its source", () =>
    Effect.gen(function*() {
      yield* refused("emoji", { labelColumn: "x" }, 64, "--label-column")
      yield* refused("emoji", { splits: "train" }, 64, "expected a folder of images by --images, got emoji")
      yield* refused(labels("named"), { splits: "train" }, 64, "--splits")
      yield* refused("photos", { splits: "train,,val" }, 64, "expected names of sub-folders, each once")
    }))

  it.effect("takes the sub-folders that --splits names for splits, or all for classes", () =>
    Effect.flatMap(
      Effect.promise(pixel),
      (image) =>
        withFolder({ "train/a/1.png": image, "train/b/2.png": image, "extra/b/3.png": image }, (folder) =>
          Effect.gen(function*() {
            const extra = yield* load(folder, { splits: "train, extra" }, "extra")
            assert.deepStrictEqual([extra.classes, [...extra.labels]], [["a", "b"], [1]])
            const all = yield* load(folder, { splits: "none" })
            assert.deepStrictEqual(all.classes, ["extra", "train"])
          }))
    ))

  it.effect("holds the same images out of every source", () =>
    Effect.gen(function*() {
      const image = yield* Effect.promise(pixel)
      const names = ["a", "b"].flatMap((label) => ["1", "2", "3", "4"].map((name) => `${label}/${name}.png`))
      const list = names.map((name) => `${name} ${name[0]}`).join("\n")
      const files = {
        ...Object.fromEntries(names.map((name) => [`images/${name}`, image])),
        "all.txt": list,
        "manifest.yaml": "splits: { train: { folder: images, list: all.txt } }",
        "train.tar": yield* Effect.promise(() => tar(names, image))
      }
      yield* withFolder(files, (folder) =>
        Effect.gen(function*() {
          for (const source of ["images", "manifest.yaml", "train.tar"]) {
            const parts = yield* Effect.forEach(
              ["train", "val"],
              (split) => load(`${folder}/${source}`, { holdout: 0.25 }, split)
            )
            const [rest, held] = parts.map((set) => Array.from(set.labels.keys(), set.describe))
            assert.deepStrictEqual([rest!.length, held!.length], [6, 2], source)
            assert.deepStrictEqual(parts[1]!.labels, Int32Array.of(0, 1))
            if (source !== "train.tar") assert.deepStrictEqual(held, ["a/3.png", "b/4.png"])
          }
        }))
      const parts = yield* Effect.forEach(["train", "val"], (split) =>
        load(`${labels("named")},${labels("turned")}`, { holdout: 0.3 }, split))
      assert.deepStrictEqual(parts.map(({ length, name }) => [name, length]), [["train", 5], ["val", 3]])
    }))

  it.effect("says how to hold a part out, and refuses a second split of its name", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(load(labels("named"), {}, "val"))
      assert.match(missing.message, /choose one of train, or hold out a part of train.*--holdout 0\.2/)
      yield* refused("emoji", { holdout: 0.2 }, 64, "the split \"val\" already exists")
      yield* refused(labels("named"), { holdoutSeed: 1 }, 64, "expected --holdout beside it")
    }))
})
