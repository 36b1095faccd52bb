import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Canvas from "../../src/domain/pixels/Canvas.ts"
import * as ClassColours from "../../src/domain/pixels/ClassColours.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"

const at = (on: Canvas.Canvas, x: number, y: number) => Array.from(on.data.subarray(4 * (y * on.width + x)).slice(0, 4))

const NOTHING = [0, 0, 0, 0]
const RED: Canvas.Colour = [200, 1, 2]

const places = ({ height, width }: Pick<Canvas.Canvas, "height" | "width">) =>
  Array.from({ length: width * height }, (_, i) => [i % width, Math.floor(i / width)] as const)

const picture = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })).chain(([width, height]) =>
  fc.uint8Array({ minLength: 3 * width * height, maxLength: 3 * width * height }).map((data): Picture => (
    { width, height, data }
  ))
)

describe("a canvas", () => {
  it("is filled inside of a rectangle, and nowhere else", () => {
    const on = Canvas.canvas(6, 5)
    Canvas.fill(on, RED, 1, 2, 3, 2)
    for (const [x, y] of places(on)) {
      assert.deepStrictEqual(at(on, x, y), x >= 1 && x < 4 && y >= 2 && y < 4 ? [200, 1, 2, 255] : NOTHING)
    }
  })

  it("is outlined within a square", () => {
    const on = Canvas.canvas(9, 8)
    Canvas.outline(on, RED, [1, 0, 7], 2)
    for (const [x, y] of places(on)) {
      const inside = x >= 1 && x < 8 && y < 7
      const hole = x >= 3 && x < 6 && y >= 2 && y < 5
      assert.deepStrictEqual(at(on, x, y), inside && !hole ? [200, 1, 2, 255] : NOTHING)
    }
  })

  it("shows each pixel of a picture as a square", () => {
    fc.assert(fc.property(picture, fc.integer({ min: 1, max: 3 }), (shown, scale) => {
      const on = Canvas.canvas(scale * shown.width + 2, scale * shown.height + 1)
      Canvas.paste(on, shown, 2, 1, scale)
      for (const [x, y] of places(on)) {
        const pixel = [Math.floor((x - 2) / scale), Math.floor((y - 1) / scale)] as const
        const expected = x < 2 || y < 1 ? NOTHING : [...Canvas.pixel(shown, ...pixel), 255]
        assert.deepStrictEqual(at(on, x, y), expected)
      }
    }))
  })

  it("shows pictures in a row, with a pixel between them", () => {
    fc.assert(fc.property(fc.array(picture, { minLength: 1, maxLength: 4 }), (pictures) => {
      const on = Canvas.strip(pictures)
      assert.strictEqual(on.height, Math.max(...pictures.map(({ height }) => height)))
      let left = 0
      for (const shown of pictures) {
        for (const [x, y] of places(shown)) {
          const from = 3 * (y * shown.width + x)
          assert.deepStrictEqual(at(on, left + x, y), [...shown.data.subarray(from, from + 3), 255])
        }
        left += shown.width + 1
        if (left < on.width) assert.deepStrictEqual(at(on, left - 1, 0), NOTHING)
      }
      assert.strictEqual(on.width, left - 1)
    }))
  })

  it("has its cells row by row", () => {
    const on = Canvas.cells({ width: 3, height: 2 }, 4, (canvas, cell, left, top) => {
      Canvas.fill(canvas, [cell, left, top], left, top, 4, 4)
    })
    assert.deepStrictEqual([on.width, on.height], [12, 8])
    for (const [x, y] of places(on)) {
      const [column, row] = [Math.floor(x / 4), Math.floor(y / 4)]
      assert.deepStrictEqual(at(on, x, y), [3 * row + column, 4 * column, 4 * row, 255])
    }
  })
})

describe("colours", () => {
  it("have means and mixtures", () => {
    const two: Picture = { width: 2, height: 1, data: Uint8Array.of(10, 20, 30, 20, 60, 90) }
    assert.deepStrictEqual(Canvas.mean(two), [15, 40, 60])
    assert.deepStrictEqual(Canvas.mean({ width: 0, height: 0, data: new Uint8Array() }), [0, 0, 0])
    assert.deepStrictEqual(Canvas.mix([0, 100, 8], [100, 0, 8], 0.25), [25, 75, 8])
    assert.deepStrictEqual(Canvas.pixel(two, 1, 0), [20, 60, 90])
    assert.deepStrictEqual(Canvas.pixel(two, 0, 1), [0, 0, 0])
  })

  it("of classes are far apart, dark for the ground, and grey for what is unknown", () => {
    assert.deepStrictEqual(ClassColours.of(255), ClassColours.UNKNOWN)
    assert.deepStrictEqual(ClassColours.UNKNOWN, [128, 128, 128])
    const shown = Array.from({ length: 12 }, (_, label) => ClassColours.of(label))
    assert.isTrue(shown[0]!.every((channel) => channel < 50))
    assert.isTrue(shown.flat().every((channel) => Number.isInteger(channel) && channel >= 0 && channel <= 255))
    const distances = shown.flatMap((one, i) =>
      shown.slice(0, i).map((other) => Math.hypot(...one.map((channel, c) => channel - other[c]!)))
    )
    assert.isAbove(Math.min(...distances), 40)
  })
})
