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

/** The number of classes of ImageNet-1k. */
export const CLASSES = 1000

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
 * Returns the WordNet numbers of classes: the `synsets` that are known beside their names, or the names if they are such numbers.
 * It is `undefined` unless each class has its own.
 */
export const numbersOf = (
  set: { readonly classes: ReadonlyArray<string>; readonly synsets?: ReadonlyArray<string> }
): ReadonlyArray<string> | undefined => {
  const { classes, synsets = classes } = set
  return synsets.length === classes.length && new Set(synsets).size === synsets.length &&
      synsets.every((number) => WORDNET.test(number))
    ? synsets
    : undefined
}

/** Returns the first name that is no WordNet number. */
export const unnumbered = (names: ReadonlyArray<string>): string | undefined =>
  names.find((name) => !WORDNET.test(name))

/**
 * Returns the places of a subset's classes, ascending, in a list of the WordNet numbers of all 1000 classes. The list may have any
 * order. It is `undefined` unless there are 1000.
 */
export const places = (numbers: ReadonlyArray<string>, subset: Subset): Int32Array | undefined => {
  if (numbers.length !== CLASSES) return undefined
  const ordered = numbers.toSorted()
  const chosen = new Set(Array.from(classes(subset), (number) => ordered[number]!))
  return Int32Array.from(numbers.keys()).filter((place) => chosen.has(numbers[place]!))
}

/**
 * Numbers the classes of a set by the order of their WordNet numbers, for a classifier of the 1000 classes whose own WordNet numbers
 * are not known. Its classes are taken to be in this order. A subset has 200 folders. It is `undefined` unless the classes are as
 * many WordNet numbers.
 */
export const inOrder = <S extends Labelled & { readonly synsets?: ReadonlyArray<string> }>(
  set: S,
  learned: ReadonlyArray<string>,
  subset: Subset | undefined
): S | undefined => {
  const wanted = subset === undefined ? Int32Array.from({ length: CLASSES }, (_, i) => i) : classes(subset)
  const numbers = numbersOf(set)
  if (numbers === undefined || learned.length !== CLASSES || numbers.length !== wanted.length) return undefined
  const ranks = new Map(numbers.toSorted().map((number, rank) => [number, wanted[rank]!]))
  const numberOf = (label: number) => ranks.get(numbers[label]!)!
  const among = subset === undefined ? set.among?.map(numberOf) : wanted
  return { ...set, classes: learned, labels: set.labels.map(numberOf), ...(among === undefined ? {} : { among }) }
}
