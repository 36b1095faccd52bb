/**
 * Claims about an example. A claim that is false throws an error whose message explains it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Claim } from "patchword/laws"
 *
 * Claim.close([1, 2], [1, 2.001], 0.01, "the means")
 * assert.throws(() => Claim.same([0, 1], [1, 1], "the mask"), /the mask is \[0,1\] but must be \[1,1\]/)
 * ```
 */
import { isDeepStrictEqual } from "node:util"
import { fc } from "./FastCheck.ts"

/** Claims that a condition is true. */
export const holds = (condition: boolean, complaint: () => string): void => {
  if (!condition) throw new Error(complaint())
}

const LONG = 200

const members = (value: unknown): ReadonlyMap<string, unknown> =>
  new Map(typeof value === "object" && value !== null ? Object.entries(value) : [])

/** Describes the difference of two values. For long values it describes the first member that differs. */
const difference = (found: unknown, expected: unknown, what: string): string => {
  const whole = `${what} is ${fc.stringify(found)} but must be ${fc.stringify(expected)}`
  const [ours, theirs] = [members(found), members(expected)]
  const first = [...theirs.keys(), ...ours.keys()].find((key) => !isDeepStrictEqual(ours.get(key), theirs.get(key)))
  return whole.length <= LONG || first === undefined || ours.size === 0 || theirs.size === 0
    ? whole
    : difference(ours.get(first), theirs.get(first), `${first} of ${what}`)
}

/** Claims that two values are deeply equal. */
export const same = (found: unknown, expected: unknown, what: string): void =>
  holds(isDeepStrictEqual(found, expected), () => difference(found, expected, what))

/** Claims that numbers differ by at most `within`. NaN differs from every number. */
export const close = (
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  within: number | ((expected: number) => number),
  what: string
): void => {
  same(found.length, expected.length, `the length of ${what}`)
  const bound = typeof within === "number" ? () => within : within
  const lost = Array.from(expected).findIndex(Number.isNaN)
  holds(lost < 0, () => `number ${lost} of ${what} is ${found[lost]}, and the number to compare it with is NaN`)
  const at = Array.from(found).findIndex((x, at) => !(Math.abs(x - expected[at]!) <= bound(expected[at]!)))
  holds(at < 0, () => `number ${at} of ${what} is ${found[at]} but must be about ${expected[at]}`)
}
