/**
 * The 200 classes of ImageNet-A and of ImageNet-R among the 1000 of ImageNet. Classes are ordered by their WordNet numbers
 * (`imagenet_a_r_indices.py`). A classifier of 1000 classes is tested on the logits of these classes alone.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ImageNetSubset } from "patchword/domain"
 *
 * const classes = ImageNetSubset.classes("imagenet-a")
 * assert.deepStrictEqual([classes.length, classes[0]], [200, 6])
 * const logits = Float32Array.from({ length: 1000 }, (_, i) => i)
 * assert.deepStrictEqual(ImageNetSubset.select(logits, "imagenet-a"), Float32Array.from(classes))
 * ```
 */
import type { Labelled } from "./Classes.ts"
import * as Metrics from "./Metrics.ts"

/** One of the two test sets. */
export type Subset = "imagenet-a" | "imagenet-r"

const CLASSES = 1000

/** The class masks as hexadecimal digits, class 0 first. */
const MASKS: Readonly<Record<Subset, string>> = {
  "imagenet-a": "021543120521204003090062d05a400c280183000000000000010000003000020000041111243f751b238010005008202004" +
    "e910c84a060400c60280128880002800a0130484604d1004000342003000f000200804290004800100008024821486982084" +
    "3805090151052012020180a0481040080e41512d00180cb800",
  "imagenet-r": "6ad403250101000101090822d85040242800db10f01820101111801001b0253219540c40dc940f3111236c90506788000a44" +
    "4106004a14418043078811000000100000002012002011106800444404040000600000000004000408000000001082981000" +
    "040908804001080020101041001000009ec15d6415000d0800"
}

/** Returns the mask of a subset over the 1000 classes: 1 for its classes, 0 for the others. */
export const mask = (subset: Subset): Uint8Array =>
  Uint8Array.from(
    { length: CLASSES },
    (_, i) => (Number.parseInt(MASKS[subset][i >> 2]!, 16) >> (3 - (i & 3))) & 1
  )

/** Returns the numbers of a subset's classes, ascending. */
export const classes = (subset: Subset): Int32Array => {
  const chosen = mask(subset)
  return Int32Array.from(chosen.keys()).filter((i) => chosen[i] === 1)
}

/** Selects the logits of a subset's classes, `[B, 200]`, from those of all classes, `[B, 1000]`. Both are row-major. */
export const select = (logits: Float32Array, subset: Subset): Float32Array =>
  Metrics.columns(logits, CLASSES, classes(subset))

const WORDNET = /^n\d{8}$/

/**
 * Numbers the classes of a set by the order of their WordNet numbers, for a classifier of the 1000 classes under other names. A
 * subset has 200 folders. It is `undefined` unless the classes are as many WordNet numbers.
 */
export const inOrder = <S extends Labelled>(
  set: S,
  learned: ReadonlyArray<string>,
  subset: Subset | undefined
): S | undefined => {
  const numbers = subset === undefined ? Int32Array.from({ length: CLASSES }, (_, i) => i) : classes(subset)
  const fits = learned.length === CLASSES && set.classes.length === numbers.length &&
    set.classes.every((name, i) => WORDNET.test(name) && (i === 0 || set.classes[i - 1]! < name))
  if (!fits) return undefined
  const labels = set.labels.map((label) => numbers[label]!)
  return { ...set, classes: learned, labels, ...(subset === undefined ? {} : { among: numbers }) }
}
