import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Images from "../../../src/layers/images/Images.ts"
import { load, refused } from "./ImagesContract.ts"

interface Expected {
  readonly width: number
  readonly height: number
  readonly pixels: string
}

const at = (name: string) => fileURLToPath(new URL(`./fixtures/colour/${name}`, import.meta.url))

const expected = JSON.parse(readFileSync(at("exact.json"), "utf8")) as Readonly<Record<string, Expected>>

const official = { colour: "official" } as const

const opened = (folder: string, options: Parameters<typeof Images.layerFolder>[1]) =>
  load(Images.layerFolder(at(folder), options))

describe("the colours of the official code", () => {
  it.effect.each(Object.entries(expected))(
    "are Pillow's of %s",
    ([name, { height, pixels, width }]) =>
      Effect.gen(function*() {
        const set = yield* opened("exact", { ...official, check: "names" })
        const index = Array.from({ length: set.length }, (_, i) => set.describe(i)).indexOf(name)
        const picture = yield* set.image(index)
        assert.deepStrictEqual([picture.width, picture.height], [width, height])
        assert.strictEqual(Buffer.from(picture.data).toString("base64"), pixels)
      })
  )

  it.effect("are refused where Pillow decodes otherwise", () =>
    Effect.gen(function*() {
      const names = readdirSync(at("refused"))
      const message = yield* refused(opened("refused", official), "ImagesBroken", 65)
      assert.include(message, `${names.length} of ${names.length} images cannot be used`)
      assert.include(
        message,
        "image.avif: the image cannot be decoded (the official colours, those of Pillow, are not available for a"
      )
      const { reason } = yield* Effect.flip(opened("refused", official))
      const findings = reason._tag === "ImagesBroken" ? reason.findings.join("\n") : ""
      for (const name of names) assert.include(findings, `${name}: the image cannot be decoded (`)
      assert.include(
        findings,
        "palette-8.tif: the image cannot be decoded (the official colours, those of Pillow, are not available for a TIFF with a palette"
      )
    }))

  it.effect("are not had of shrunk pictures", () =>
    Effect.map(
      refused(opened("exact", { ...official, shrinkTo: 8 }), "ConfigError", 64),
      (message) => assert.include(message, "shrinkTo: expected the colour managed with shrinkTo")
    ))

  it.effect("are told from managed ones by set and digest", () =>
    Effect.gen(function*() {
      const [managed, same, other] = yield* Effect.all([
        opened("exact", {}),
        opened("exact", { colour: "managed" }),
        opened("exact", official)
      ])
      assert.deepStrictEqual([managed.colour, same.colour, other.colour], ["managed", "managed", "official"])
      assert.strictEqual(same.digest, managed.digest)
      assert.notStrictEqual(other.digest, managed.digest)
    }))
})

describe("managed colours", () => {
  it.effect("are refused of a TIFF whose pixels would be taken for others", () =>
    Effect.gen(function*() {
      const message = yield* refused(opened("refused", {}), "ImagesBroken", 65)
      assert.include(message, "6 of 12 images cannot be used")
      for (const name of ["float.tif", "signed.tif"]) {
        assert.include(message, `${name}: the image cannot be decoded (the TIFF file holds signed, floating`)
      }
      assert.include(message, "ycbcr.tif: the image cannot be decoded (the TIFF file holds YCbCr without JPEG")
      for (const [name, samples, colours] of [["five.tif", 5, 3], ["cmyk-alpha.tif", 5, 4]] as const) {
        const problem = `the TIFF file holds ${samples} samples a pixel, ${colours} of them colours`
        assert.include(message, `${name}: the image cannot be decoded (${problem}`)
      }
      assert.include(message, "icclab.tif: the image cannot be decoded (the TIFF file holds pixels of the kind 9")
    }))
  it.effect.each([{}, { shrinkTo: 6 }])(
    "are those of the file where a sample beside them is not said to be transparency (%o)",
    (options) =>
      Effect.gen(function*() {
        const set = yield* opened("exact", { ...options, check: "names" })
        const names = Array.from({ length: set.length }, (_, i) => set.describe(i))
        assert.deepStrictEqual(
          yield* set.image(names.indexOf("rgbx.tif")),
          yield* set.image(names.indexOf("rgb.tif"))
        )
      })
  )
})
