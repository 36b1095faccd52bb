import { assert, describe, it } from "@effect/vitest"
import sharp from "sharp"
import { differing } from "../../src/pipelines/tokenize/PictureFile.ts"

const drawn = () => sharp({ create: { width: 20, height: 10, channels: 3, background: "#c83" } })

describe("files that browsers decode in another way", () => {
  it("are named, and no others are", async () => {
    const png = await drawn().png().toBuffer()
    const gamma = Buffer.from("0000000467414d41000186a031e8965f", "hex")
    const files: ReadonlyArray<readonly [Buffer, RegExp | undefined]> = [
      [png, undefined],
      [await drawn().jpeg().toBuffer(), undefined],
      [await drawn().webp({ lossless: true }).toBuffer(), undefined],
      [await drawn().gif().toBuffer(), undefined],
      [Buffer.from("text"), undefined],
      [Buffer.alloc(0), undefined],
      [png.subarray(0, 20), undefined],
      [await drawn().toColourspace("cmyk").jpeg().toBuffer(), /CMYK/],
      [
        await drawn().jpeg().toBuffer().then((jpeg) => sharp(jpeg).withMetadata({ orientation: 6 }).webp().toBuffer()),
        /EXIF/
      ],
      [await drawn().withIccProfile("p3").png().toBuffer(), /profile/],
      [Buffer.concat([png.subarray(0, 33), gamma, png.subarray(33)]), /gamma/],
      [await drawn().avif().toBuffer(), /AVIF/]
    ]
    for (const [file, expected] of files) {
      const found = differing(file)
      if (expected === undefined) assert.isUndefined(found)
      else assert.match(found ?? "", expected)
    }
  })
})
