/**
 * Searches for the best penalty of a regularised model. It tries the values of a grid. If the best value is at an end of the
 * grid, the search continues beyond that end in steps of the same ratio, until both neighbours of the best are no better. The
 * search is a generator like `Lbfgs`: the caller computes the scores.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PenaltySearch } from "patchword/domain"
 *
 * const search = PenaltySearch.search([0.01, 0.1])
 * let next = search.next()
 * while (!next.done) next = search.next(-Math.abs(Math.log10(next.value)))
 * assert.deepStrictEqual([next.value.best, next.value.tried.map(({ value }) => value)], [1, [0.01, 0.1, 1, 10]])
 * ```
 */

/** The largest number of values that are tried beyond the grid. */
export const BEYOND = 12

const STEP = 10

/** A value and its score. Higher is better. */
export interface Tried {
  readonly value: number
  readonly score: number
}

/** The result of a search. */
export interface Found {
  readonly best: number
  /** All values that were tried, ascending. */
  readonly tried: ReadonlyArray<Tried>
  /** True if the best value is still at an end after the most values beyond the grid. */
  readonly atEdge: boolean
}

// Without the digits that a division adds: 0.001 / 10 is 0.0001.
const round = (value: number): number => Number(value.toPrecision(12))

const step = (low: number | undefined, high: number | undefined): number =>
  low === undefined || high === undefined || low === 0 ? STEP : high / low

/** Returns the next value to try beyond the grid, if the best value is at an end. No value is below 0. */
const beyond = (values: ReadonlyArray<number>, best: number): number | undefined => {
  if (best === values.at(-1)) return round(best * step(values.at(-2), best))
  return best === values[0] && best > 0 ? round(best / step(best, values[1])) : undefined
}

/**
 * Yields the values of a grid, then values beyond it, at most `most`. The caller sends back their scores. Of equal scores the
 * first is best. The value of a one-value grid is returned at once.
 */
export function* search(grid: ReadonlyArray<number>, most = BEYOND): Generator<number, Found, number> {
  const given = [...new Set(grid)]
  const [only, ...more] = given
  if (only === undefined) throw new RangeError("penalty search: expected at least one value, got none")
  if (more.length === 0) return { best: only, tried: [], atEdge: false }
  const tried: Array<Tried> = []
  for (const value of given) tried.push({ value, score: yield value })
  const best = () => tried.reduce((one, other) => (other.score > one.score ? other : one)).value
  const sorted = () => tried.toSorted((one, other) => one.value - other.value)
  const next = () => beyond(sorted().map(({ value }) => value), best())
  let value = next()
  for (let count = 0; count < most && value !== undefined; count++) {
    tried.push({ value, score: yield value })
    value = next()
  }
  return { best: best(), tried: sorted(), atEdge: value !== undefined }
}
