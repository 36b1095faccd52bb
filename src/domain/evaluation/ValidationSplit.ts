/**
 * Holds out a part of the training images, so that settings can be chosen on it.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ValidationSplit } from "patchword/domain"
 *
 * const labels = Int32Array.of(0, 0, 0, 0, 0, 1, 1, 1, 1, 1)
 * const { held, rest } = ValidationSplit.split({ classes: ["ape", "bee"], labels }, { seed: 0, purpose: "probe/held out" })
 * assert.deepStrictEqual([held.length, rest.length], [2, 8])
 * assert.deepStrictEqual([...held].map((place) => labels[place]), [0, 1])
 * ```
 */
import * as KeyedRandom from "../values/KeyedRandom.ts"
import type { Labelled } from "./Classes.ts"

/** The share of each class that is held out. */
export const SHARE = 0.2

/**
 * Splits images into a fifth of each class and the rest. Both are ascending indices. The key and the name of the class
 * determine the draw. A class of two images or more has at least one held out, a class of one image none.
 */
export const split = (
  labelled: Pick<Labelled, "classes" | "labels">,
  key: Pick<KeyedRandom.Key, "purpose" | "seed">
): { readonly held: Int32Array; readonly rest: Int32Array } => {
  const { classes, labels } = labelled
  const places = Int32Array.from(labels.keys())
  const out = new Set(
    [...Map.groupBy(places, (place) => labels[place]!)].flatMap(([label, members]) => {
      const count = members.length < 2 ? 0 : Math.max(1, Math.round(SHARE * members.length))
      const own = { seed: key.seed, purpose: `${key.purpose}/${classes[label]}`, epoch: 0, index: 0 }
      const order = KeyedRandom.permutation(own, members.length)
      return Array.from(order.subarray(0, count), (which) => members[which]!)
    })
  )
  return { held: places.filter((place) => out.has(place)), rest: places.filter((place) => !out.has(place)) }
}
