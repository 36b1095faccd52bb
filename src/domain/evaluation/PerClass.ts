/**
 * Draws some images of each class.
 *
 * ```ts
 * import assert from "node:assert"
 * import { PerClass } from "patchword/domain"
 *
 * const birds = { classes: ["jay", "owl"], labels: Int32Array.of(0, 1, 0, 1, 0) }
 * const drawn = PerClass.draw(birds, { seed: 0, purpose: "few shots" }, () => 1)
 * assert.deepStrictEqual(Array.from(drawn, (place) => birds.labels[place]).toSorted(), [0, 1])
 * ```
 */
import * as KeyedRandom from "../values/KeyedRandom.ts"
import type { Labelled } from "./Classes.ts"

/**
 * Draws `count(size)` images of each class that has `size` images. Returns their indices, ascending. The key and the name of
 * the class determine the draw. More images of a class include the fewer ones.
 */
export const draw = (
  labelled: Pick<Labelled, "classes" | "labels">,
  key: Pick<KeyedRandom.Key, "purpose" | "seed">,
  count: (size: number) => number
): Int32Array => {
  const { classes, labels } = labelled
  const drawn = [...Map.groupBy(labels.keys(), (place) => labels[place]!)].flatMap(([label, members]) => {
    const own = { seed: key.seed, purpose: `${key.purpose}/${classes[label]}`, epoch: 0, index: 0 }
    const order = KeyedRandom.permutation(own, members.length)
    return Array.from(order.subarray(0, count(members.length)), (which) => members[which]!)
  })
  return Int32Array.from(drawn).toSorted()
}
