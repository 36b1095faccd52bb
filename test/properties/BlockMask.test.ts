import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as BlockMask from "../../src/domain/method/BlockMask.ts"

interface Case extends BlockMask.Options {
  readonly maxBlock: number
  readonly minAspect: number
}

const side = fc.integer({ min: 1, max: 16 })

const options: fc.Arbitrary<Case> = fc.tuple(side, side).chain(([height, width]) =>
  fc.record({
    height: fc.constant(height),
    width: fc.constant(width),
    count: fc.integer({ min: 0, max: height * width }),
    minBlock: fc.integer({ min: 1, max: 20 }),
    maxBlock: fc.integer({ min: 1, max: 80 }),
    minAspect: fc.double({ min: 0.1, max: 1, noNaN: true })
  })
)

const key = fc.record({
  seed: fc.integer(),
  purpose: fc.constant("mask"),
  epoch: fc.nat(),
  index: fc.nat()
})

describe("BlockMask", () => {
  it("masks exactly as many patches as asked", () => {
    fc.assert(
      fc.property(options, key, (asked, of) => {
        const mask = BlockMask.fromKey(asked, of)
        assert.strictEqual(mask.length, asked.height * asked.width)
        assert.isTrue(mask.every((masked) => masked === 0 || masked === 1))
        assert.strictEqual(mask.reduce((a, b) => a + b, 0), asked.count)
      }),
      { numRuns: 500 }
    )
  })

  it("gives equal keys equal masks and leaves other keys alone", () => {
    fc.assert(fc.property(options, key, (asked, of) => {
      assert.deepStrictEqual(BlockMask.fromKey(asked, { ...of }), BlockMask.fromKey(asked, of))
    }))
    const grid = { height: 14, width: 14, count: 75, minBlock: 16 }
    const masks = Array.from(
      { length: 100 },
      (_, index) => BlockMask.fromKey(grid, { seed: 0, purpose: "mask", epoch: 0, index }).join("")
    )
    assert.strictEqual(new Set(masks).size, 100)
  })

  it("draws rectangles of allowed area and aspect inside the grid, and masks them", () => {
    fc.assert(
      fc.property(options, key, (asked, of) => {
        const { count, height, maxBlock, minAspect, minBlock, width } = asked
        let remaining = count
        const blocks: Array<BlockMask.Block> = []
        const mask = BlockMask.make(asked, BlockMask.draws(of), (block) => {
          const cap = Math.min(remaining, maxBlock)
          const { added, height: h, width: w } = block
          assert.isAtMost(added, cap)
          assert.isAtLeast(added, 1)
          assert.isAtMost((h - 0.5) * (w - 0.5), Math.max(minBlock, cap) + 1e-9)
          assert.isAtLeast((h + 0.5) * (w + 0.5), Math.min(minBlock, cap) - 1e-9)
          assert.isAtMost((h - 0.5) / (w + 0.5), 1 / minAspect + 1e-9)
          assert.isAtLeast((h + 0.5) / (w - 0.5), minAspect - 1e-9)
          remaining -= added
          blocks.push(block)
        })
        const covered = new Set<number>()
        for (const block of blocks) {
          assert.isTrue(block.height < height && block.width < width)
          assert.isTrue(block.top >= 0 && block.top + block.height <= height)
          assert.isTrue(block.left >= 0 && block.left + block.width <= width)
          for (let row = 0; row < block.height; row++) {
            for (let column = 0; column < block.width; column++) {
              covered.add((block.top + row) * width + block.left + column)
            }
          }
        }
        assert.strictEqual(covered.size, count - remaining)
        assert.isTrue([...covered].every((cell) => mask[cell] === 1))
      }),
      { numRuns: 500 }
    )
  })

  it("refuses to mask more patches than there are", () => {
    fc.assert(fc.property(options, key, (asked, of) => {
      const count = asked.height * asked.width + 1
      assert.throws(() => BlockMask.fromKey({ ...asked, count }, of), RangeError, `${count} patches cannot be masked`)
    }))
  })
})
