import { assert } from "@effect/vitest"
import type { Found } from "./webPrograms.ts"

const BOUND = 2e-5

export const agree = (found: Found, expected: Found): void => {
  for (const name of Object.keys(expected) as ReadonlyArray<keyof Found>) {
    assert.deepStrictEqual(Object.keys(found[name]), Object.keys(expected[name]))
    for (const [path, values] of Object.entries(expected[name])) {
      const bound = BOUND * Math.max(1, ...values.map(Math.abs))
      values.forEach((value, i) => {
        const difference = Math.abs(found[name][path]![i]! - value)
        assert.isTrue(difference <= bound, `${name}, ${path}[${i}]: ${found[name][path]![i]} for ${value}`)
      })
    }
  }
  assert.deepStrictEqual(found.codes["codes"], expected.codes["codes"])
}
