import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Ground from "../../src/domain/pixels/Ground.ts"
import * as Scene from "../../src/domain/pixels/Scene.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const drawsOf = (index: number) => KeyedRandom.generator({ seed: 0, purpose: "scene", epoch: 0, index })

/** A square of one colour, whole or with an empty upper half. */
const square = (red: number, half: boolean): Scene.Drawing => ({
  side: 4,
  data: Uint8Array.from({ length: 64 }, (_, i) => half && i < 32 ? 0 : i % 4 === 0 ? red : i % 4 === 3 ? 255 : 0)
})

const recipe: Scene.Recipe = { size: 24, count: [1, 3], side: [4, 9], overlap: 0 }

describe("scenes", () => {
  it("label exactly the pixels of their drawings", () => {
    fc.assert(fc.property(fc.nat(), (index) => {
      const { labels, picture } = Scene.random([[[square(1, false)]], [], [[square(3, true)]]], recipe, drawsOf(index))
      labels.data.forEach((label, at) => {
        const [red, green, blue] = picture.data.subarray(3 * at, 3 * at + 3)
        // The edge of a drawing blends with what is below it, such as another drawing, whose label stays.
        if (label === 1) assert.include([1, 2], red)
        if (label === 1) assert.deepStrictEqual([green, blue], [0, 0])
        if (label === 3) assert.isAtMost(blue!, 128)
        if (label === 0) assert.notDeepEqual([red, green, blue], [1, 0, 0])
      })
      const objects = labels.data.filter((label) => label !== 0).length
      assert.isAtLeast(objects, 8)
      assert.isAtMost(objects, 3 * 81)
    }))
  })

  it("cover nothing more than the overlap allows", () => {
    const many: Scene.Recipe = { ...recipe, count: [3, 3], side: [8, 8] }
    fc.assert(fc.property(fc.nat(), (index) => {
      const { labels } = Scene.random([[[square(9, false)]]], many, drawsOf(index))
      assert.strictEqual(labels.data.filter((label) => label === 1).length % 64, 0)
    }))
  })
})

describe("grounds", () => {
  it("keep to the colours of 8 bits", () => {
    fc.assert(fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), (index, size) => {
      const ground = Ground.random(size, drawsOf(index))
      assert.strictEqual(ground.length, 3 * size * size)
      assert.isTrue(ground.every((value) => value >= 0 && value <= 255))
      assert.deepStrictEqual(Ground.random(size, drawsOf(index)), ground)
    }))
  })

  it("mix two colours, in each of their patterns", () => {
    for (let kind = 0; kind < 6; kind++) {
      fc.assert(
        fc.property(fc.nat(), (index) => {
          const own = drawsOf(index)
          const numbers: Array<number> = []
          const uniform = () => {
            numbers.push(own.uniform())
            return numbers.at(-1)!
          }
          const ground = Ground.random(8, { ...own, integer: () => kind, uniform })
          ground.forEach((value, i) => {
            const first = 40 + 175 * numbers[i % 3]!
            const second = Math.min(255, Math.max(0, first - 60 + 120 * numbers[3 + i % 3]!))
            assert.isTrue(value > Math.min(first, second) - 1e-9 && value < Math.max(first, second) + 1e-9)
          })
        }),
        { numRuns: 20 }
      )
    }
  })
})
