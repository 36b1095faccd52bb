import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Resample from "../../src/domain/pixels/Resample.ts"

const [width, height] = [44, 61]

const picture = {
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [channel, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    return (7 * x + 13 * y + 29 * channel + x * y) % 256
  })
}

const digest = ({ data }: { readonly data: Uint8Array }) => createHash("sha256").update(data).digest("hex")

const pillow = [
  ["bicubic", 22, 17, "d31882ba0c6f18d2151ca13d7c987e8c29f6daea3d23be16e9044e739663de57"],
  ["bicubic", 33, 17, "7a32b58badf900a7e8bc19cb5cca6d06f596c821af1d9cb1a000cba26227c190"],
  ["bicubic", 60, 60, "14f11afe361d4c9ec48a1abc5a711108c4b677099b4b453f014da222635bc3a9"],
  ["lanczos", 33, 17, "a53291da90e72c8946eeafdcc8400f447bd2ddad6a230e761dd68790bc303c23"],
  ["bilinear", 33, 17, "5084e8897c826e2aaf7e1a838b123149f0691c815b7527f15eac345da7e85e14"]
] as const

describe("resizing", () => {
  it.each(pillow)("%s to %i by %i gives the bytes of Pillow 13", (filter, across, down, expected) => {
    assert.strictEqual(digest(Resample.resize(picture, across, down, filter)), expected)
  })

  it("begins with columns only where the height shrinks by more than twice as much as the width", () => {
    const { resize } = Resample
    for (const [across, down] of [[22, 17], [23, 17], [60, 60], [60, 62], [40, 53], [40, 52]] as const) {
      const rows = digest(resize(resize(picture, across, height, "bicubic"), across, down, "bicubic"))
      const columns = digest(resize(resize(picture, width, down, "bicubic"), across, down, "bicubic"))
      const first = height - down > Math.max(0, 2 * (width - across)) ? columns : rows
      assert.notStrictEqual(rows, columns)
      assert.strictEqual(digest(resize(picture, across, down, "bicubic")), first, `${across}x${down}`)
    }
  })

  it("of a part equals resizing the part alone", () => {
    const box = { left: 5, top: 3, width: 30, height: 50 }
    for (const [across, down] of [[20, 40], [28, 12], [30, 12], [12, 50]] as const) {
      assert.deepStrictEqual(
        Resample.resize(picture, across, down, "lanczos", box),
        Resample.resize(Resample.cut(picture, box), across, down, "lanczos")
      )
    }
  })
})
