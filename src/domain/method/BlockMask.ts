/**
 * Blockwise masks: random rectangles of patches are masked until an exact number of patches is.
 *
 * The procedure follows the official `beit2/masking_generator.py` draw for draw. A recorded sequence of official draws
 * gives the official mask.
 *
 * ```ts
 * import assert from "node:assert"
 * import { BlockMask } from "patchword/domain"
 *
 * const options = { height: 14, width: 14, count: 75, minBlock: 16 }
 * const mask = BlockMask.fromKey(options, { seed: 0, purpose: "mask", epoch: 0, index: 0 })
 * assert.strictEqual(mask.length, 196)
 * assert.strictEqual(mask.reduce((sum, masked) => sum + masked, 0), 75)
 * ```
 */
import * as KeyedRandom from "../values/KeyedRandom.ts"
import * as Rounding from "../values/Rounding.ts"

/** What a mask should look like, in patches. */
export interface Options {
  /** Rows of the grid of patches. */
  readonly height: number
  /** Columns of the grid of patches. */
  readonly width: number
  /** How many patches are masked, exactly. */
  readonly count: number
  /** The least area that a rectangle is drawn with. Smaller ones occur once fewer patches than this remain. */
  readonly minBlock: number
  /** The most patches that one rectangle may add; `count` when absent. */
  readonly maxBlock?: number
  /** The least ratio of height to width, whose inverse is the greatest; 0.3 when absent. */
  readonly minAspect?: number
}

/** The source of randomness of one mask. */
export interface Draws {
  /** A real number between `low` and `high`, which may be the greater of the two. */
  readonly uniform: (low: number, high: number) => number
  /** An integer from `low` to `high`, both inclusive. */
  readonly integer: (low: number, high: number) => number
  /** `count` distinct integers from 0 to `population - 1`. */
  readonly sample: (population: number, count: number) => Iterable<number>
}

/** A rectangle that was masked. */
export interface Block {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
  /** How many of its patches were not masked before. */
  readonly added: number
}

const attempts = 10

const whole = (value: number, least: number, most = Infinity): boolean =>
  Number.isInteger(value) && value >= least && value <= most

/** What a mask can be asked for, member by member: whether it fits, and what is expected. */
const wanted = (options: Options) => {
  const { count, height, maxBlock, minAspect, minBlock, width } = options
  const patches = height * width
  return {
    height: [whole(height, 1), "a whole number of at least 1"],
    width: [whole(width, 1), "a whole number of at least 1"],
    count: [whole(count, 0, patches), `a whole number from 0 to the ${patches} patches of the ${height}x${width} grid`],
    minBlock: [whole(minBlock, 1), "a whole number of at least 1"],
    maxBlock: [maxBlock === undefined || whole(maxBlock, 1), "a whole number of at least 1"],
    minAspect: [
      minAspect === undefined || (minAspect > 0 && minAspect <= 1),
      "a number above 0 and at most 1"
    ]
  } as const
}

/**
 * Refuses what a mask cannot be asked for. `members` are those that it reads.
 *
 * @throws RangeError that names the mask and the member.
 */
export const check = (mask: string, options: Options, members: ReadonlyArray<keyof Options>): void => {
  const rules = wanted(options)
  const wrong = members.find((member) => !rules[member][0])
  if (wrong === undefined) return
  throw new RangeError(`${mask} mask: ${wrong}: expected ${rules[wrong][1]}, got ${options[wrong]}`)
}

/**
 * Draws one mask: `[height * width]`, row-major, 1 where the patch is masked.
 *
 * Up to ten attempts are made at each rectangle; a rectangle never spans the whole height or width of the grid. When all
 * ten fail, single patches fill up to `count` (the addition of v2 over v1). `trace` is told each rectangle in turn.
 *
 * @throws RangeError for options that no mask can have, which configurations rule out; see {@link check}.
 */
export const make = (options: Options, draws: Draws, trace?: (block: Block) => void): Uint8Array => {
  const { height, width, count, minBlock, maxBlock = count, minAspect = 0.3 } = options
  check("blockwise", options, ["height", "width", "count", "minBlock", "maxBlock", "minAspect"])
  const mask = new Uint8Array(height * width)

  const place = (remaining: number): number => {
    const cap = Math.min(remaining, maxBlock)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const area = draws.uniform(minBlock, cap)
      const aspect = Math.exp(draws.uniform(Math.log(minAspect), Math.log(1 / minAspect)))
      const h = Rounding.halfToEven(Math.sqrt(area * aspect))
      const w = Rounding.halfToEven(Math.sqrt(area / aspect))
      if (w >= width || h >= height) continue
      const top = draws.integer(0, height - h)
      const left = draws.integer(0, width - w)
      const cells = Array.from({ length: h * w }, (_, i) => (top + Math.floor(i / w)) * width + left + (i % w))
      const added = cells.filter((cell) => mask[cell] === 0).length
      if (added === 0 || added > cap) continue
      for (const cell of cells) mask[cell] = 1
      trace?.({ top, left, height: h, width: w, added })
      return added
    }
    return 0
  }

  let masked = 0
  while (masked < count) {
    const added = place(count - masked)
    if (added === 0) break
    masked += added
  }
  if (masked < count) {
    const free = Array.from(mask.keys()).filter((cell) => mask[cell] === 0)
    for (const i of draws.sample(free.length, count - masked)) mask[free[i]!] = 1
  }
  return mask
}

/** The draws of a key's stream. */
export const draws = (key: KeyedRandom.Key): Draws => {
  const { integer, uniform } = KeyedRandom.generator(key)
  return {
    uniform: (low, high) => low + (high - low) * uniform(),
    integer,
    sample: (population, count) => {
      const chosen = new Set<number>()
      while (chosen.size < count) chosen.add(integer(0, population - 1))
      return chosen
    }
  }
}

/** The mask that a key names; see {@link make}. */
export const fromKey = (options: Options, key: KeyedRandom.Key, trace?: (block: Block) => void): Uint8Array =>
  make(options, draws(key), trace)
