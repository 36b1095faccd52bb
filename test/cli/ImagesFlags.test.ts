import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Runtime } from "effect"
import { fileURLToPath } from "node:url"
import * as ImagesFlags from "../../src/cli/flags/ImagesFlags.ts"
import { Images } from "../../src/layers/images/Images.ts"
import { encoded, withFolder } from "../layers/images/ImagesContract.ts"

const labels = (name: string) =>
  fileURLToPath(new URL(`../layers/images/fixtures/labels/${name}.parquet`, import.meta.url))

interface Flags {
  readonly labelColumn?: string
  readonly splits?: string
}

const load = (images: string, { labelColumn, splits }: Flags = {}, split = "train") =>
  Images.use((source) => source.load(split)).pipe(
    Effect.provide(
      ImagesFlags.layer({
        images,
        check: "contents",
        broken: "fail",
        pixelLimit: Option.none(),
        labelColumn: Option.fromUndefinedOr(labelColumn),
        splits: Option.fromUndefinedOr(splits)
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
})
