import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as DenseScores from "../../src/domain/evaluation/DenseScores.ts"
import * as Plane from "../../src/domain/pixels/Plane.ts"
import * as SlidingWindows from "../../src/domain/pixels/SlidingWindows.ts"

const CLASSES = 3

const image = fc.record({ width: fc.integer({ min: 1, max: 20 }), height: fc.integer({ min: 1, max: 20 }) })

const cover = fc.record({ size: fc.integer({ min: 1, max: 9 }), stride: fc.integer({ min: 1, max: 9 }) })
  .filter(({ size, stride }) => stride <= size)

/** Logits of a whole image, and what windows of the same resolution see of it. */
const seen = fc.tuple(image, cover).chain(([shown, { size, stride }]) => {
  const pixels = shown.width * shown.height
  return fc.array(fc.integer({ min: -20, max: 20 }), {
    minLength: CLASSES * pixels,
    maxLength: CLASSES * pixels
  })
    .map((values) => {
      const data = Float32Array.from(values)
      const windows = SlidingWindows.boxes(shown, size, stride).map((box) => {
        const part = new Float32Array(CLASSES * size * size)
        for (let kind = 0; kind < CLASSES; kind++) {
          for (let row = 0; row < box.height; row++) {
            const from = kind * pixels + (box.top + row) * shown.width + box.left
            part.set(data.subarray(from, from + box.width), (kind * size + row) * size)
          }
        }
        return { box, logits: { classes: CLASSES, width: size, height: size, data: part } }
      })
      const look: DenseScores.Look = { ...shown, size, mirrored: false, windows }
      return { shown, data, look }
    })
})

const argmax = (data: Float32Array, pixels: number) =>
  Array.from({ length: pixels }, (_, at) => {
    const scores = Array.from({ length: CLASSES }, (_, kind) => data[kind * pixels + at]!)
    return scores.indexOf(Math.max(...scores))
  })

const mirrored = (look: DenseScores.Look): DenseScores.Look => ({
  ...look,
  mirrored: true,
  windows: look.windows.map(({ box, logits }) => {
    const data = Float32Array.from(logits.data)
    for (let row = 0; row < CLASSES * logits.height; row++) {
      // The padding stays at the right.
      data.subarray(row * logits.width, row * logits.width + box.width).reverse()
    }
    return { box: { ...box, left: look.width - box.left - box.width }, logits: { ...logits, data } }
  })
})

describe("windows", () => {
  it("cover every pixel and stay inside", () => {
    fc.assert(fc.property(image, cover, (shown, { size, stride }) => {
      const boxes = SlidingWindows.boxes(shown, size, stride)
      assert.isAtLeast(Math.min(...SlidingWindows.counts(shown, boxes)), 1)
      for (const { height, left, top, width } of boxes) {
        assert.isTrue(top >= 0 && left >= 0 && top + height <= shown.height && left + width <= shown.width)
      }
    }))
  })
})

describe("scores of pixels", () => {
  it("are the same from windows as from the whole image", () => {
    fc.assert(fc.property(seen, ({ data, look, shown }) => {
      const { data: found } = DenseScores.labels([look], shown)
      assert.deepStrictEqual([...found], argmax(data, shown.width * shown.height))
    }))
  })

  it("are the same from the mirrored image, alone and together", () => {
    fc.assert(fc.property(seen, ({ look, shown }) => {
      const plain = DenseScores.labels([look], shown)
      assert.deepStrictEqual(DenseScores.labels([mirrored(look)], shown), plain)
      const both = DenseScores.labels([look, mirrored(look)], shown)
      const differing = both.data.filter((label, at) => label !== plain.data[at]).length
      assert.strictEqual(differing, 0)
    }))
  })

  it("are probabilities at any size", () => {
    fc.assert(fc.property(seen, image, ({ look }, size) => {
      const planes = [...DenseScores.probabilities([look, mirrored(look)], size)]
      assert.strictEqual(planes.length, CLASSES)
      planes[0]!.data.forEach((_, at) => {
        assert.closeTo(planes.reduce((sum, { data }) => sum + data[at]!, 0), 1, 1e-9)
      })
    }))
  })

  it("of one value stay that value at any size", () => {
    fc.assert(fc.property(image, image, fc.integer({ min: -5, max: 5 }), (from, to, value) => {
      const plane = { ...from, data: new Float64Array(from.width * from.height).fill(value) }
      const resized = Plane.resize(plane, to)
      assert.isTrue(resized.data.length === to.width * to.height && resized.data.every((one) => one === value))
    }))
  })
})
