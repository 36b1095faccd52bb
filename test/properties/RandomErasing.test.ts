import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as RandomErasing from "../../src/domain/pixels/RandomErasing.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const sizes = fc.record({
  height: fc.integer({ min: 8, max: 40 }),
  width: fc.integer({ min: 8, max: 40 }),
  index: fc.nat()
})

const draws = (index: number) => KeyedRandom.generator({ seed: 1, purpose: "erasing", epoch: 0, index })

describe("random erasing", () => {
  it("erases a rectangle of an allowed area inside the image, the same for the same key", () => {
    fc.assert(fc.property(sizes, ({ height, index, width }) => {
      const image = new Float32Array(3 * height * width).fill(100)
      const erased = RandomErasing.erase(image, { height, width }, 1, draws(index))
      const box = RandomErasing.box({ height, width }, 1, draws(index))
      assert.deepStrictEqual(RandomErasing.erase(image, { height, width }, 1, draws(index)), erased)
      if (box === undefined) return assert.strictEqual(erased, image)
      const slack = box.height + box.width
      assert.isAtMost(box.height * box.width, height * width / 3 + slack)
      assert.isAtLeast(box.height * box.width, 0.02 * height * width - slack)
      erased.forEach((value, at) => {
        const [row, column] = [Math.floor(at / width) % height, at % width]
        const inside = row >= box.top && row < box.top + box.height && column >= box.left &&
          column < box.left + box.width
        assert.strictEqual(value !== 100, inside)
      })
    }))
  })

  it("erases nothing after ten rectangles that do not fit", () => {
    const boxAfter = (tries: number) => {
      const numbers = [0, ...Array.from({ length: 2 * tries }, () => 1), 0.5, 0.5]
      const uniform = () => numbers.shift()!
      return RandomErasing.box({ height: 20, width: 20 }, 1, { ...draws(0), uniform })
    }
    assert.isUndefined(boxAfter(10))
    assert.isDefined(boxAfter(9))
  })

  it("erases as often as asked, with standard normal noise", () => {
    const noise: Array<number> = []
    const erased = Array.from({ length: 2000 }, (_, index) => {
      const image = new Float32Array(3 * 16 * 16).fill(100)
      const values = RandomErasing.erase(image, { height: 16, width: 16 }, 0.25, draws(index))
      noise.push(...values.filter((value) => value !== 100))
      return values !== image
    }).filter(Boolean)
    assert.closeTo(erased.length / 2000, 0.25, 0.03)
    const mean = noise.reduce((sum, x) => sum + x, 0) / noise.length
    assert.closeTo(mean, 0, 0.02)
    assert.closeTo(noise.reduce((sum, x) => sum + x * x, 0) / noise.length, 1, 0.02)
  })
})
