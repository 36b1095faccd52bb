/**
 * Blockwise masks: random rectangles of patches are masked until the exact number of masked patches is reached.
 *
 * The procedure follows the official `beit2/masking_generator.py` draw for draw. A recorded sequence of official draws gives
 * the official mask.
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

/** The options of a mask, in patches. */
export interface Options {
  /** Rows of the grid of patches. */
  readonly height: number
  /** Columns of the grid of patches. */
  readonly width: number
  /** Exact number of masked patches. */
  readonly count: number
  /** Smallest area of a rectangle, as drawn. Smaller rectangles occur when fewer patches than this remain. */
  readonly minBlock: number
  /** Largest number of patches that one rectangle adds; `count` when absent. */
  readonly maxBlock?: number
  /** Smallest ratio of height to width; 0.3 when absent. The largest ratio is its inverse. */
  readonly minAspect?: number
}

/** The source of randomness of one mask. */
export interface Draws {
  /** Draws a real number between `low` and `high`. `low` may be the greater one. */
  readonly uniform: (low: number, high: number) => number
  /** Draws an integer from `low` to `high`, both inclusive. */
  readonly integer: (low: number, high: number) => number
  /** Draws `count` distinct integers from 0 to `population - 1`. */
  readonly sample: (population: number, count: number) => Iterable<number>
}

/** A masked rectangle. */
export interface Block {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
  /** Number of its patches that were not masked before. */
  readonly added: number
}

const attempts = 10

const whole = (value: number, least: number, most = Infinity): boolean =>
  Number.isInteger(value) && value >= least && value <= most

/** Tests each option, and describes its expected values. */
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
 * Checks the options of a mask. `members` are the options that the mask reads.
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
 * Draws one mask: `[height * width]`, row-major, 1 for masked patches.
 *
 * Each rectangle has up to ten attempts. A rectangle never spans the whole height or width of the grid. After ten failures,
 * single patches fill up to `count` (added in v2). `trace` receives each rectangle.
 *
 * @throws RangeError for invalid options; see {@link check}. Configurations exclude them.
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

/** Returns the draws of a key's stream of random numbers. */
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

/** Draws the mask of a key; see {@link make}. */
export const fromKey = (options: Options, key: KeyedRandom.Key, trace?: (block: Block) => void): Uint8Array =>
  make(options, draws(key), trace)
