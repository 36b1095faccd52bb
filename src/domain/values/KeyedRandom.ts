/**
 * Random numbers without state. A key names a stream of numbers. The same key gives the same numbers in any process, on
 * any machine, in any order of requests. A run can therefore stop and resume in the middle of an epoch, and stores
 * nothing but the step number.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KeyedRandom } from "patchword/domain"
 *
 * const key = { seed: 0, purpose: "crop", epoch: 3, index: 41 }
 * assert.strictEqual(KeyedRandom.generator(key).uniform(), KeyedRandom.generator(key).uniform())
 * assert.notStrictEqual(KeyedRandom.generator(key).uniform(), KeyedRandom.generator({ ...key, index: 42 }).uniform())
 * assert.deepStrictEqual([...KeyedRandom.permutation(key, 4)].sort(), [0, 1, 2, 3])
 * ```
 */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64"
import { uniformInt } from "pure-rand/distribution/uniformInt"
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus"
import * as RandomArrays from "./RandomArrays.ts"

/**
 * The key of one stream: the run's seed, the purpose of the numbers (`"mask"`, `"crop"`), the epoch, and the index of the image
 * or step. The three numbers are integers. An epoch that does not apply is 0.
 */
export interface Key {
  readonly seed: number
  readonly purpose: string
  readonly epoch: number
  readonly index: number
}

/** The numbers of one stream, in order. A generator belongs to one consumer. */
export interface Generator {
  /** Draws a number in [0, 1), a multiple of 2^-53. */
  readonly uniform: () => number
  /** Draws an integer from `min` to `max`, both inclusive. */
  readonly integer: (min: number, max: number) => number
  /** Draws a normal number of mean 0 and standard deviation 1. */
  readonly normal: () => number
}

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by))

// MurmurHash3 (32 bit) of a list of words. Keys differ in a few low bits of a counter; a linear seeding would hand such
// neighbours correlated streams.
const murmur = (words: ReadonlyArray<number>, seed: number): number => {
  let hash = seed
  for (const word of words) {
    hash ^= Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593)
    hash = (Math.imul(rotate(hash, 13), 5) + 0xe6546b64) | 0
  }
  hash ^= words.length * 4
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const words = (key: Key): ReadonlyArray<number> => [
  ...[key.seed, key.epoch, key.index].flatMap((n) => [n | 0, Math.floor(n / 2 ** 32) | 0]),
  ...Array.from(key.purpose, (character) => character.codePointAt(0) ?? 0)
]

// 128 bits of state from four hashes of the key: a 32-bit seed would repeat among the 10^8 keys of a long run.
const state = (key: Key): RandomArrays.State => {
  const name = words(key)
  return [murmur(name, 0x9e3779b9), murmur(name, 0x243f6a88), murmur(name, 0xb7e15162), murmur(name, 0x6a09e667)]
}

/** Returns the stream of a key, from its first number. */
export const generator = (key: Key): Generator => {
  const random = xoroshiro128plusFromState(state(key))
  const uniform = () => uniformFloat64(random)
  return {
    uniform,
    integer: (min, max) => uniformInt(random, min, max),
    normal: () => RandomArrays.boxMuller(uniform(), uniform())
  }
}

/**
 * Fills an array with uniform numbers from `-bound` to `bound`, each multiplied by `factor`. The numbers are those that
 * `generator(key).uniform` makes, in a fraction of the time.
 */
export const fillUniform = (values: Float32Array, key: Key, bound: number, factor = 1): void =>
  RandomArrays.uniform(values, state(key), bound, factor)

/** A normal distribution of mean 0. Numbers further than `cut` from zero are drawn again. */
export type Truncated = RandomArrays.Truncated

/**
 * Fills an array with numbers of a truncated normal distribution, each multiplied by `factor`. The numbers are those that
 * `generator(key).normal` makes, in a fraction of the time.
 */
export const fillNormal = (values: Float32Array, key: Key, truncated: Truncated, factor = 1): void =>
  RandomArrays.normal(values, state(key), truncated, factor)

/** Returns a random permutation of the integers from 0 to `n - 1` (Fisher and Yates). It depends on the key alone. */
export const permutation = (key: Key, n: number): Int32Array => {
  const order = Int32Array.from({ length: n }, (_, i) => i)
  const { integer } = generator(key)
  for (let i = n - 1; i > 0; i--) {
    const j = integer(0, i)
    const held = order[i]!
    order[i] = order[j]!
    order[j] = held
  }
  return order
}
