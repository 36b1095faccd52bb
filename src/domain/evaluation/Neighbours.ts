/**
 * The nearest neighbours of an image, and their votes (`dinov2/eval/knn.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Neighbours } from "patchword/domain"
 *
 * const found = Neighbours.nearest(Float32Array.of(0.1, 0.9, 0.2, 0.9), 3)
 * assert.deepStrictEqual(found, [1, 3, 2])
 * const [one, three] = Neighbours.votes([0.9, 0.9, 0.2], [0, 1, 1], { classes: 2, neighbours: [1, 3], temperature: 0.07 })
 * assert.ok(one![0]! > one![1]! && three![0]! < three![1]!)
 * ```
 */

/**
 * Returns the places of the `count` largest similarities, the largest first. Of equal similarities the one at the lower place
 * comes first. PyTorch leaves their order open. `among` selects places, ascending; all by default.
 */
export const nearest = (
  similarity: Float32Array,
  count: number,
  among?: Int32Array
): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let at = 0; at < (among ?? similarity).length; at++) {
    const place = among === undefined ? at : among[at]!
    const own = similarity[place]!
    if (found.length === count && own <= similarity[found[count - 1]!]!) continue
    let [low, high] = [0, found.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (own > similarity[found[middle]!]!) high = middle
      else low = middle + 1
    }
    if (found.length === count) found.pop()
    found.splice(low, 0, place)
  }
  return found
}

/** The rule of the votes. */
export interface Rule {
  /** Number of classes. */
  readonly classes: number
  /** The numbers of nearest neighbours that vote (k). */
  readonly neighbours: ReadonlyArray<number>
  readonly temperature: number
}

/**
 * Adds up the votes for each class, `[classes]`, once for each number of neighbours. A vote weighs the softmax of
 * `similarity / temperature` over all given neighbours. So the votes of fewer neighbours do not add up to 1.
 *
 * `similarities` and `labels` are those of the neighbours, the nearest first.
 */
export const votes = (
  similarities: ReadonlyArray<number>,
  labels: ReadonlyArray<number>,
  rule: Rule
): ReadonlyArray<Float64Array> => {
  const { classes, neighbours, temperature } = rule
  const powers = similarities.map((similarity) => Math.exp((similarity - similarities[0]!) / temperature))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return neighbours.map((count) => {
    const sums = new Float64Array(classes)
    labels.slice(0, count).forEach((label, i) => (sums[label]! += powers[i]! / total))
    return sums
  })
}
