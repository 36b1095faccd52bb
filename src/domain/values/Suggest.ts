/**
 * The suggestion in "did you mean": the known name closest to a mistyped one.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Suggest } from "patchword/domain"
 *
 * assert.strictEqual(Suggest.nearest("wieghtDecay", ["lr", "weightDecay"]), "weightDecay")
 * assert.strictEqual(Suggest.nearest("colour", ["lr", "weightDecay"]), undefined)
 * ```
 */

// Levenshtein's distance: the fewest insertions, deletions and replacements of characters.
const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1]
    for (let j = 0; j < b.length; j++) {
      row.push(Math.min(previous[j + 1]! + 1, row[j]! + 1, previous[j]! + (a[i] === b[j] ? 0 : 1)))
    }
    previous = row
  }
  return previous[b.length]!
}

/** Returns the known name closest to `name`, ignoring case; `undefined` if none shares at least half of its letters. */
export const nearest = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const best = known
    .map((candidate) => ({ candidate, far: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.far - b.far)
    .at(0)
  return best !== undefined && best.far <= Math.max(name.length, best.candidate.length) / 2 ? best.candidate : undefined
}

/** Joins names as text: `a, b or c`. */
export const either = (names: ReadonlyArray<string>): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)!}`
