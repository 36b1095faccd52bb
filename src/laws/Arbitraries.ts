/**
 * Arbitraries for laws: keys, grids and vectors. They shrink to small examples when a law fails.
 *
 * ```ts
 * import assert from "node:assert"
 * import fc from "fast-check"
 * import { Arbitraries } from "patchword/laws"
 *
 * fc.assert(fc.property(Arbitraries.grid, ({ height, width }) => assert.ok(height * width <= 256)))
 * ```
 */
import type { Arbitrary } from "fast-check"
import type * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { fc } from "./FastCheck.ts"
import type { Rows } from "./Rows.ts"

/** A number above 0 and below 1. */
export const share: Arbitrary<number> = fc.double({
  min: 0,
  max: 1,
  noNaN: true,
  minExcluded: true,
  maxExcluded: true
})

/** Returns an arbitrary of keys for one purpose. */
export const key = (purpose: string): Arbitrary<KeyedRandom.Key> =>
  fc.record({ seed: fc.integer(), purpose: fc.constant(purpose), epoch: fc.nat(), index: fc.nat() })

/** Grids of at most 16 by 16 patches. */
export const grid: Arbitrary<{ readonly height: number; readonly width: number }> = fc.record({
  height: fc.integer({ min: 1, max: 16 }),
  width: fc.integer({ min: 1, max: 16 })
})

/** Returns an arbitrary of integer vectors that are not zero. */
export const vector = (width: number): Arbitrary<ReadonlyArray<number>> =>
  fc.array(fc.integer({ min: -99, max: 99 }), { minLength: width, maxLength: width }).filter((row) =>
    row.some((x) => x !== 0)
  )

/** Returns an arbitrary of lists of at most `most` integer vectors. No vector is zero. */
export const vectors = (width: number, most: number): Arbitrary<Rows> =>
  fc.array(vector(width), { minLength: 1, maxLength: most, size: "max" })

/** Codes as directions, and vectors to look up. */
export interface Search {
  readonly codes: Rows
  readonly vectors: Rows
}

/** At most 12 codes and 20 vectors with 2 to 6 channels. */
export const search: Arbitrary<Search> = fc.integer({ min: 2, max: 6 }).chain((width) =>
  fc.record({ codes: vectors(width, 12), vectors: vectors(width, 20) })
)

/** Codes as directions, and vectors with an arbitrary code each. */
export interface Assigned extends Search {
  readonly assigned: ReadonlyArray<number>
}

/** A {@link Search} with a code for each vector. */
export const assigned: Arbitrary<Assigned> = search.chain(({ codes, vectors }) =>
  fc.record({
    codes: fc.constant(codes),
    vectors: fc.constant(vectors),
    assigned: fc.array(fc.nat(codes.length - 1), { minLength: vectors.length, maxLength: vectors.length })
  })
)
