/** Laws of masks. */
import { Result } from "effect"
import fc from "fast-check"
import type * as BlockMask from "../domain/method/BlockMask.ts"
import type * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import { type Law, make } from "./Law.ts"

/**
 * Draws the mask that a key names, `[height * width]`, row by row, 1 where a patch is masked. What is made of rectangles
 * tells `trace` of each in turn.
 */
export type Draw = (
  options: Required<BlockMask.Options>,
  key: KeyedRandom.Key,
  trace?: (block: BlockMask.Block) => void
) => Uint8Array

const options: fc.Arbitrary<Required<BlockMask.Options>> = Arbitraries.grid.chain(({ height, width }) =>
  fc.record({
    height: fc.constant(height),
    width: fc.constant(width),
    count: fc.integer({ min: 0, max: height * width }),
    minBlock: fc.integer({ min: 1, max: 20 }),
    maxBlock: fc.integer({ min: 1, max: 80 }),
    minAspect: fc.double({ min: 0.1, max: 1, noNaN: true })
  })
)

const asked = fc.record({ options, key: Arbitraries.key("mask") })

const many = { numRuns: 500 }

/** The laws of a function that draws masks. */
export const mask = (draw: Draw): ReadonlyArray<Law> => [
  make("masks exactly as many patches as asked", asked, ({ key, options }) => {
    const { count, height, width } = options
    const found = draw(options, key)
    Claim.same(found.length, height * width, "the number of patches")
    Claim.holds(
      found.every((masked) => masked === 0 || masked === 1),
      () => `a mask holds 0 and 1 alone, not ${found.find((masked) => masked > 1)}`
    )
    Claim.same(found.reduce((a, b) => a + b, 0), count, "the number of masked patches")
  }, many),

  make(
    "gives equal keys equal masks, in any order",
    fc.record({ options, keys: fc.array(Arbitraries.key("mask"), { minLength: 1, maxLength: 4 }) }),
    ({ keys, options }) => {
      const forwards = keys.map((key) => draw(options, key))
      const backwards = keys.toReversed().map((key) => draw(options, { ...key })).toReversed()
      Claim.same(backwards, forwards, "what is drawn in the reverse order")
    }
  ),

  make("gives other keys other masks", Arbitraries.key("mask"), (key) => {
    const grid = { height: 14, width: 14, count: 75, minBlock: 16, maxBlock: 75, minAspect: 0.3 }
    const masks = Array.from({ length: 100 }, (_, index) => draw(grid, { ...key, index }).join(""))
    Claim.same(new Set(masks).size, masks.length, "the number of different masks of 100 indices")
  }, { numRuns: 5 }),

  make("draws rectangles of allowed area and aspect inside the grid, and masks them", asked, ({ key, options }) => {
    const { count, height, maxBlock, minAspect, minBlock, width } = options
    const blocks: Array<BlockMask.Block> = []
    const found = draw(options, key, (block) => blocks.push(block))
    const covered = new Set<number>()
    for (const { added, height: h, left, top, width: w } of blocks) {
      const cap = Math.min(count - covered.size, maxBlock)
      const before = covered.size
      const said = (what: string) => () => `the rectangle of ${h}x${w} patches at ${top}, ${left} ${what}`
      Claim.holds(
        h < height && w < width && top >= 0 && left >= 0 && top + h <= height && left + w <= width,
        said("is not inside the grid")
      )
      for (let row = top; row < top + h; row++) {
        for (let column = left; column < left + w; column++) covered.add(row * width + column)
      }
      Claim.same(covered.size - before, added, "how many patches the rectangle says that it adds")
      Claim.holds(added >= 1 && added <= cap, said(`adds ${added} patches, not 1 to ${cap}`))
      // Sides are rounded: an area and an aspect are those of sides that differ by a half at most.
      Claim.holds(
        (h - 0.5) * (w - 0.5) <= Math.max(minBlock, cap) + 1e-9 &&
          (h + 0.5) * (w + 0.5) >= Math.min(minBlock, cap) - 1e-9,
        said(`has an area that is not between ${minBlock} and ${cap}`)
      )
      Claim.holds(
        (h - 0.5) / (w + 0.5) <= 1 / minAspect + 1e-9 && (h + 0.5) / (w - 0.5) >= minAspect - 1e-9,
        said(`has an aspect that is not between ${minAspect} and its inverse`)
      )
    }
    const bare = [...covered].find((cell) => found[cell] !== 1)
    Claim.holds(bare === undefined, () => `patch ${bare} is in a rectangle but not masked`)
  }, many),

  make("refuses to mask more patches than there are", asked, ({ key, options }) => {
    const count = options.height * options.width + 1
    Claim.holds(
      Result.isFailure(Result.try(() => draw({ ...options, count }, key))),
      () => `${count} patches of ${count - 1} were masked`
    )
  })
]
