import { assert, describe, it } from "@effect/vitest"
import * as Crop from "../../src/domain/pixels/Crop.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const draws = () => KeyedRandom.generator({ seed: 0, purpose: "crop", epoch: 0, index: 0 })
const blank = (width: number, height: number): Picture => ({ width, height, data: new Uint8Array(width * height * 3) })

describe("Crop", () => {
  it("falls back to the largest central box of an allowed ratio", () => {
    const bounds = { cropScale: [0.9, 1], cropRatio: [3 / 4, 4 / 3] } as const
    assert.deepStrictEqual(Crop.random(100, 9, bounds, draws()), { left: 44, top: 0, width: 12, height: 9 })
    assert.deepStrictEqual(Crop.random(9, 101, bounds, draws()), { left: 0, top: 44, width: 9, height: 12 })
  })

  it("falls back to a box of at least one pixel", () => {
    const narrow = { cropScale: [0.9, 1], cropRatio: [0.2, 0.4] } as const
    assert.deepStrictEqual(Crop.random(9, 1, narrow, draws()), { left: 4, top: 0, width: 1, height: 1 })
  })

  it("draws areas and ratios over their whole range", () => {
    const { integer, uniform } = draws()
    const boxes = Array.from(
      { length: 2000 },
      () =>
        Crop.random(400, 400, { cropScale: [0.2, 0.5], cropRatio: [3 / 4, 4 / 3] }, {
          integer,
          uniform,
          normal: () => 0
        })
    )
    const areas = boxes.map(({ height, width }) => width * height / 160_000)
    const ratios = boxes.map(({ height, width }) => Math.log(width / height))
    const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length
    assert.closeTo(mean(areas), 0.35, 0.01)
    assert.closeTo(Math.min(...areas), 0.2, 0.005)
    assert.closeTo(Math.max(...areas), 0.5, 0.005)
    assert.closeTo(mean(ratios), 0, 0.02)
    assert.isAbove(Math.max(...ratios), 0.27)
    assert.closeTo(mean(boxes.map(({ left, width }) => left / (400 - width))), 0.5, 0.02)
  })

  it.each([
    [300, 200, 224, 0.875],
    [200, 301, 224, 0.875],
    [48, 48, 48, 1],
    [17, 500, 48, 0.9]
  ])("brings %i × %i to the central square of %i at %f", (width, height, size, evaluationCrop) => {
    const cropped = Crop.central(blank(width, height), size, { interpolation: "bilinear", evaluationCrop })
    assert.strictEqual(cropped.width, size)
    assert.strictEqual(cropped.height, size)
    assert.strictEqual(cropped.data.length, size * size * 3)
  })

  it("cuts off what is less than a pixel of the longer side", () => {
    const sides: Array<number> = []
    Crop.central(blank(17, 500), 48, { interpolation: "bicubic", evaluationCrop: 1 }, (picture, width, height) => {
      sides.push(width, height)
      return picture
    })
    assert.deepStrictEqual(sides, [48, 1411])
  })

  it("takes both sides where asked to, and rounds half a pixel as asked to", () => {
    const picture = { width: 11, height: 4, data: Uint8Array.from({ length: 132 }, (_, i) => Math.floor(i / 3) % 11) }
    const red = (options: Partial<Crop.Evaluation>) => {
      const { data, height, width } = Crop.central(picture, 4, {
        interpolation: "bilinear",
        evaluationCrop: 1,
        ...options
      })
      return [width, height, ...Array.from({ length: 4 }, (_, i) => data[3 * i]!)]
    }
    assert.deepStrictEqual(red({}), [4, 4, 4, 5, 6, 7])
    assert.deepStrictEqual(red({ evaluationOffset: "down" }), [4, 4, 3, 4, 5, 6])
    assert.deepStrictEqual(red({ evaluationSides: "both" }), [4, 4, 1, 4, 6, 9])
  })

  it("keeps a picture of the right size as it is", () => {
    const picture = blank(48, 48)
    assert.strictEqual(Crop.central(picture, 48, { interpolation: "bicubic", evaluationCrop: 1 }), picture)
  })
})
