import { assert, describe, it } from "@effect/vitest"
import * as Patches from "../../src/pipelines/atlas/Patches.ts"
import * as CodeRows from "../../src/pipelines/report/CodeRows.ts"

const picture = {
  width: 4,
  height: 2,
  data: Uint8Array.from(
    [[9, 9, 9, 9, 9, 9], [0, 0, 0, 255, 0, 0], [9, 9, 9, 9, 9, 9], [0, 0, 255, 0, 255, 0]].flat()
  )
}
const encoded = [
  { picture, codes: Int32Array.of(3, 1) },
  { picture, codes: Int32Array.of(3, 2) },
  { picture, codes: Int32Array.of(3, 2) }
]
const options = { patch: 2, size: 5, rows: 1, patches: 4 }

describe("CodeRows", () => {
  it("names plain codes beside the rows of the others", () => {
    const { plain, rows } = CodeRows.make(encoded, options)
    assert.deepStrictEqual(rows.map(({ code, count, share }) => [code, count, share]), [[2, 2, 1 / 3]])
    assert.deepStrictEqual(plain.map(({ code, count }) => [code, count]), [[3, 3]])
    assert.deepStrictEqual([...rows[0]!.patches[0]!.data.subarray(0, 6)], [0, 0, 0, 255, 0, 0])
  })

  it("takes a patch for plain that shows a pixel of something else", () => {
    const patch = (...dots: ReadonlyArray<number>) => ({
      width: 5,
      height: 5,
      data: Uint8Array.from({ length: 75 }, (_, i) => dots.includes(Math.floor(i / 3)) ? 250 : 128 + i % 3)
    })
    const plainOf = (...pictures: ReadonlyArray<ReturnType<typeof patch>>) =>
      CodeRows.make(pictures.map((one) => ({ picture: one, codes: Int32Array.of(1) })), { ...options, patch: 5 }).plain
    assert.strictEqual(plainOf(patch(), patch(24), patch(0), patch(3, 4, 8, 9)).length, 1)
    assert.strictEqual(plainOf(patch(), patch(3, 4, 8, 9), patch(0, 1), patch(24)).length, 0)
  })

  it("takes all codes that occur when there are fewer than rows", () => {
    const { means, plain, rows } = CodeRows.make(encoded, { ...options, rows: 9 })
    assert.deepStrictEqual(rows.map(({ code }) => code), [2, 1])
    assert.deepStrictEqual(plain.map(({ code }) => code), [3])
    assert.deepStrictEqual([...means.keys()].toSorted(), [1, 2, 3])
  })

  it("frames a patch in its picture, and keeps all of the patch", () => {
    const side = 6
    const whole = { width: side, height: side, data: new Uint8Array(3 * side * side).fill(9) }
    const red = (window: ReturnType<typeof Patches.framed>) =>
      Array.from({ length: window.height }, (_, y) =>
        Array.from(
          { length: window.width },
          (_, x) => window.data[3 * (y * window.width + x)] === 9 ? "." : "#"
        ).join(""))
    assert.deepStrictEqual(red(Patches.framed(whole, 2, 4)), [
      "......",
      ".####.",
      ".#..#.",
      ".#..#.",
      ".####.",
      "......"
    ])
    assert.deepStrictEqual(red(Patches.framed(whole, 2, 0)), [
      "..#...",
      "..#...",
      "###...",
      "......",
      "......",
      "......"
    ])
    assert.deepStrictEqual(red(Patches.framed(whole, 1, 35, 1)), ["...", ".##", ".#."])
  })

  it("tells the patches that match their code from those that do not, each in another picture", () => {
    const picturesOf = (shade: number) => ({ width: 4, height: 2, data: new Uint8Array(24).fill(shade) })
    const given = [[0.9, 0.8], [0.1, 0.7], [0.5, 0.2], [0.6, 0.3]].map((cosines, i) => ({
      picture: picturesOf(i),
      codes: Int32Array.of(1, 1),
      cosines: Float32Array.from(cosines)
    }))
    const { plain } = CodeRows.make(given, { ...options, framed: 2 })
    const shades = (pictures: typeof plain[number]["matching"]) => pictures?.map(({ data }) => Math.min(...data))
    assert.deepStrictEqual(shades(plain[0]!.matching), [0, 1])
    assert.deepStrictEqual(shades(plain[0]!.mismatching), [2, 3])
    assert.notProperty(CodeRows.make(encoded, options).rows[0]!, "matching")
  })
})
