/** Laws of masks. */
import type { Arbitrary } from "fast-check"
import type * as BlockMask from "../domain/method/BlockMask.ts"
import type * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"

/**
 * Draws the mask of a key, `[height * width]`, row by row, with 1 for masked patches. If the mask consists of rectangles, it
 * passes each one to `trace`, in order.
 */
export type Draw = (
  options: Required<BlockMask.Options>,
  key: KeyedRandom.Key,
  trace?: (block: BlockMask.Block) => void
) => Uint8Array

const options: Arbitrary<Required<BlockMask.Options>> = Arbitraries.grid.chain(({ height, width }) =>
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

const usual = { height: 14, width: 14, count: 75, minBlock: 16, maxBlock: 75, minAspect: 0.3 }

// Neighbours, and numbers that differ in high bits alone.
const strides = fc.constantFrom(1, 2 ** 16)

const KEYS = 100

// The number of different values among 100 draws has a standard deviation below 3.4 for any distribution. Two such numbers
// differ by 25 once in 10^7 times.
const CHANCE = 25

type Change = (key: KeyedRandom.Key, at: number, stride: number) => Partial<KeyedRandom.Key>

const members: Readonly<Record<keyof KeyedRandom.Key, Change>> = {
  seed: ({ seed }, at, stride) => ({ seed: seed + stride * at }),
  epoch: ({ epoch }, at, stride) => ({ epoch: epoch + stride * at }),
  index: ({ index }, at, stride) => ({ index: index + stride * at }),
  purpose: ({ purpose }, at) => ({ purpose: `${purpose} ${at}` })
}

const grouped: Change = ({ epoch, index, seed }, at, stride) => ({
  seed: seed + stride * (at % 5),
  epoch: epoch + stride * (Math.floor(at / 5) % 5),
  index: index + stride * Math.floor(at / 25)
})

/** Gives every draw its own objects, so that one that changes them spoils no other, and claims that it does not. */
const unchanging = (draw: Draw): Draw => (options, key, trace) => {
  const given = { options: { ...options }, key: { ...key } }
  const found = draw(given.options, given.key, trace)
  Claim.same(given.options, { ...options }, "the object of options after a draw")
  Claim.same(given.key, { ...key }, "the key after a draw")
  return found
}

const differing = (draw: Draw, name: string, grids: typeof options): Law =>
  make(
    name,
    fc.record({ options: grids, key: Arbitraries.key("mask"), stride: strides }),
    ({ key, options, stride }) => {
      const masks = (keyAt: (at: number) => Partial<KeyedRandom.Key>) =>
        Array.from({ length: KEYS }, (_, at) => draw(options, { ...key, ...keyAt(at) }).join(""))
      const all = masks((at) => Object.assign({}, ...Object.values(members).map((member) => member(key, at, stride))))
      const different = new Set(all).size
      const most = Math.max(...Array.from(Map.groupBy(all, (mask) => mask).values(), ({ length }) => length))
      const on = `on ${options.height}x${options.width} patches, ${options.count} of them masked, ${KEYS} keys`
      // A small grid may have one mask alone, but not this one.
      Claim.holds(options !== usual || different > 1, () => `${on} that differ in all their members have the same mask`)
      for (const [name, member] of Object.entries({ ...members, "seed, epoch and index": grouped })) {
        const found = new Set(masks((at) => member(key, at, stride))).size
        Claim.holds(
          found >= different - CHANCE && (found > 1 || most > KEYS / 2),
          () =>
            `${on} that differ in ${name} have ${found} ${found === 1 ? "mask" : "masks"}, but those that differ in ` +
            `all their members have ${different}`
        )
      }
    },
    { numRuns: 5 }
  )

const lawsOf = (draw: Draw): ReadonlyArray<Law> => [
  make("masks exactly the requested number of patches", asked, ({ key, options }) => {
    const { count, height, width } = options
    const found = draw(options, key)
    Claim.same(found.length, height * width, "the number of patches")
    Claim.holds(
      found.every((masked) => masked === 0 || masked === 1),
      () => `a mask may contain only 0 and 1, not ${found.find((masked) => masked !== 0 && masked !== 1)}`
    )
    Claim.same(found.reduce((a, b) => a + b, 0), count, "the number of masked patches")
  }, many),

  make(
    "gives equal keys equal masks, in any order",
    fc.record({ options, keys: fc.array(Arbitraries.key("mask"), { minLength: 1, maxLength: 4 }) }),
    ({ keys, options }) => {
      const kept = draw(options, keys[0]!)
      const first = kept.slice()
      const drawn = (all: typeof keys) => all.map((key) => draw(options, { ...key }).slice())
      Claim.same(drawn(keys.toReversed()).toReversed(), drawn(keys), "the list of masks in reverse order")
      Claim.same(kept, first, "the first mask, after other masks were drawn,")
    }
  ),

  differing(draw, "gives different keys different masks", fc.constant(usual)),

  differing(draw, "gives different keys different masks on a grid of any size", options),

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
      Claim.same(covered.size - before, added, "the number of patches that the rectangle reports")
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
  }, many)
]

/** Returns the laws of a function that draws masks. */
export const mask = (draw: Draw): ReadonlyArray<Law> => lawsOf(unchanging(draw))
