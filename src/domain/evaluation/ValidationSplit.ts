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
import type * as KeyedRandom from "../values/KeyedRandom.ts"
import type { Labelled } from "./Classes.ts"
import * as PerClass from "./PerClass.ts"

/** The share of each class that is held out by default. */
export const SHARE = 0.2

/**
 * Splits images into a share of each class, by default a fifth, and the rest. Both are ascending indices. The key and the name
 * of the class determine the draw. A class of two images or more has at least one in both parts, a class of one image none that
 * is held out.
 */
export const split = (
  labelled: Pick<Labelled, "classes" | "labels">,
  key: Pick<KeyedRandom.Key, "purpose" | "seed">,
  share = SHARE
): { readonly held: Int32Array; readonly rest: Int32Array } => {
  const held = PerClass.draw(
    labelled,
    key,
    (size) => size < 2 ? 0 : Math.min(size - 1, Math.max(1, Math.round(share * size)))
  )
  const out = new Set(held)
  return { held, rest: Int32Array.from(labelled.labels.keys()).filter((place) => !out.has(place)) }
}
