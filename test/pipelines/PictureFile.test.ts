import { assert, describe, it } from "@effect/vitest"
import sharp from "sharp"
import { differing, refused } from "../../src/pipelines/tokenize/PictureFile.ts"

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

  it("are refused if a WebP is to be turned, and no others are", async () => {
    const turned = async (orientation: number) =>
      sharp(await drawn().jpeg().toBuffer()).withMetadata({ orientation }).webp().toBuffer()
    for (const orientation of [2, 3, 4, 5, 6, 7, 8]) assert.match(refused(await turned(orientation)) ?? "", /EXIF/)
    const upright = await turned(1)
    const others = [
      upright,
      await drawn().webp().toBuffer(),
      await drawn().jpeg().withMetadata({ orientation: 6 }).toBuffer(),
      Buffer.from("RIFF"),
      Buffer.alloc(0)
    ]
    for (const file of others) assert.isUndefined(refused(file))
    const whole = await turned(6)
    for (let length = 0; length < whole.length; length++) refused(whole.subarray(0, length))
    assert.isUndefined(differing(whole))
  })
})
