/**
 * Checks of labels, and the matching of classes between splits. Each split has its own list of class names. A label is an index
 * into that list, and its number alone means nothing in another split. Classes are therefore matched by name.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Classes } from "patchword/domain"
 *
 * const train = { name: "train", classes: ["cat", "dog", "eel"], labels: Int32Array.of(0, 1, 2) }
 * const val = { name: "val", classes: ["eel", "dog", "cat"], labels: Int32Array.of(0, 2) }
 * const { labels } = Result.getOrThrow(Classes.meet(train, val))
 * assert.deepStrictEqual([...labels], [2, 0])
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError } from "../values/TaggedError.ts"

/** The facts about a split that are known without decoding its images. */
export interface Labelled {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  /** The class of each image, as an index into `classes`. */
  readonly labels: Int32Array
  /** The source of the labels, in words: "the sub-folders of photos". */
  readonly labelSource?: string
  /** The numbers of the only classes that can occur, if these are fewer than `classes`. Accuracy is measured among them. */
  readonly among?: Int32Array
}

/**
 * The allowed differences between the classes of a test split and the learned classes. `same` allows none. With `fewer`, the
 * test split may lack classes, which stay possible answers. With `subset`, it may lack classes, and only those that occur in it
 * are possible answers, as on ImageNet-A and ImageNet-R.
 */
export const Rule = Schema.Literals(["same", "fewer", "subset"])
export type Rule = typeof Rule.Type

const FIRST = 3

const some = (names: ReadonlyArray<string>): string =>
  `${names.slice(0, FIRST).map((name) => `"${name}"`).join(", ")}${names.length > FIRST ? ", …" : ""}`

/** A label is not the number of a class. */
export class LabelOutside extends TaggedError<LabelOutside>()("LabelOutside", {
  /** The index of the image in the split. */
  image: Schema.Int,
  label: Schema.Int,
  classes: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `image ${this.image} has the label ${this.label}, but labels from 0 to ${this.classes - 1} were expected`
  }
  get remedy() {
    return "correct the label, or the list of classes"
  }
}

/** All images belong to one class, so a classifier has nothing to learn. */
export class OneClass extends TaggedError<OneClass>()("OneClass", {
  images: Schema.Int,
  class: Schema.String,
  labelSource: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const read = this.labelSource === undefined ? "" : `. The label was read from ${this.labelSource}`
    const all = this.images === 1 ? "only image is" : `${this.images} images are all`
    return `its ${all} of one class, "${this.class}"${read}. At least two classes are needed`
  }
  get remedy() {
    return "check the source of the labels"
  }
}

/** A class name occurs twice in a list, and the two lists differ. Classes cannot be matched by name. */
export class ClassTwice extends TaggedError<ClassTwice>()("ClassTwice", {
  list: Schema.String,
  class: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the class "${this.class}" occurs twice in the list of ${this.list}. The two lists differ, so classes are matched ` +
      "by name"
  }
  get remedy() {
    return "give each class its own name"
  }
}

/** The classes of a split are not the learned classes. */
export class ClassesDiffer extends TaggedError<ClassesDiffer>()("ClassesDiffer", {
  /** The name of the source of the learned classes. */
  learned: Schema.String,
  /** The learned classes. */
  wanted: Schema.Array(Schema.String),
  given: Schema.Array(Schema.String),
  /** The classes of `given` that are not in `wanted`. */
  unknown: Schema.Array(Schema.String),
  /** The classes of `wanted` that are not in `given`. */
  missing: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { given, learned, missing, unknown, wanted } = this
    const parts = [
      ...(unknown.length === 0 ? [] : [`Not in ${learned}: ${unknown.length} (${some(unknown)})`]),
      ...(missing.length === 0 ? [] : [`Missing: ${missing.length} (${some(missing)})`])
    ]
    const all = `its ${given.length} classes (${some(given)}) are not the ${wanted.length} of ${learned} (${
      some(wanted)
    })`
    return [all, ...parts].join(". ")
  }
  get remedy() {
    return this.unknown.length > 0
      ? "use the same class names in both"
      : "add them, or allow fewer classes: --classes fewer, or --classes subset to answer only with classes that occur"
  }
}

/** Test images have classes without any training image. */
export class NeverLearned extends TaggedError<NeverLearned>()("NeverLearned", {
  learned: Schema.String,
  classes: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const classes = `${this.classes.length} (${some(this.classes)})`
    return `it has images of classes without any image in ${this.learned}: ${classes}`
  }
  get remedy() {
    return `add images to ${this.learned}, or remove them here`
  }
}

/** The labels of a split cannot be used. `reason` has the cause, and its exit code. */
export class ClassesError extends TaggedError<ClassesError>()("ClassesError", {
  split: Schema.String,
  reason: Schema.Union([LabelOutside, OneClass, ClassTwice, ClassesDiffer, NeverLearned])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return `split ${this.split}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Counts the images of each class. */
export const count = (labelled: Pick<Labelled, "classes" | "labels">): Int32Array => {
  const counts = new Int32Array(labelled.classes.length)
  for (const label of labelled.labels) counts[label]!++
  return counts
}

const occurring = (set: Labelled): Int32Array => {
  const counts = count(set)
  return Int32Array.from(counts.keys()).filter((label) => counts[label]! > 0)
}

const failing = (split: string) => (reason: ClassesError["reason"]) => Result.fail(new ClassesError({ split, reason }))

const inside = (set: Labelled): Result.Result<void, ClassesError> => {
  const { among, classes, labels } = set
  const allowed = new Set(among ?? classes.keys())
  const image = labels.findIndex((label) => !allowed.has(label))
  return image === -1
    ? Result.void
    : failing(set.name)(new LabelOutside({ image, label: labels[image]!, classes: allowed.size }))
}

const several = (set: Labelled): Result.Result<void, ClassesError> => {
  const { classes, labelSource, labels, name } = set
  const [only, ...more] = occurring(set)
  if (only === undefined || more.length > 0) return Result.void
  const source = labelSource === undefined ? {} : { labelSource }
  return failing(name)(new OneClass({ images: labels.length, class: classes[only]!, ...source }))
}

/** Checks that a split can be learned from: every label is a class, and there are at least two classes. */
export const check = (set: Labelled): Result.Result<void, ClassesError> =>
  Result.flatMap(inside(set), () => several(set))

/** A split whose classes were matched with the learned classes. */
export interface Met<S extends Labelled = Labelled> {
  readonly set: S
  /** The learned classes. */
  readonly classes: ReadonlyArray<string>
  /** The class of each image, as an index into the learned classes. */
  readonly labels: Int32Array
  /** The numbers of the possible answers, ascending; all classes when absent. */
  readonly among?: Int32Array
}

const twice = (names: ReadonlyArray<string>): string | undefined => {
  const seen = new Set<string>()
  return names.find((name) => seen.size === seen.add(name).size)
}

/** Returns the index of each of `given` in `wanted`, -1 for names that are not there. */
const numbered = (wanted: ReadonlyArray<string>, given: ReadonlyArray<string>): Int32Array => {
  const places = new Map(wanted.map((name, number) => [name, number]))
  return Int32Array.from(given, (name) => places.get(name) ?? -1)
}

const equal = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  one.length === other.length && one.every((name, index) => name === other[index])

/** The source of the learned classes: a split, or a classifier, which has classes and no images. */
export type Learned = Labelled | Omit<Labelled, "labels">

/**
 * Converts the labels of a test split to indices into the learned classes. Lists with the same names in the same order always
 * match. Otherwise each name must be unique.
 *
 * Fails with
 *
 * * `LabelOutside` if a label is not the number of a class,
 * * `ClassTwice` if a name occurs twice,
 * * `ClassesDiffer` if the rule does not allow the names,
 * * `NeverLearned` if an image's class has no image in the split that was learned from,
 * * `OneClass` if all images belong to one class, unless the rule is `fewer`.
 */
export const meet = <S extends Labelled>(
  learned: Learned,
  set: S,
  rule: Rule = "same"
): Result.Result<Met<S>, ClassesError> =>
  Result.flatMap(rule === "fewer" ? inside(set) : check(set), () => {
    const fail = failing(set.name)
    const { classes: wanted } = learned
    const { classes: given } = set
    const same = equal(wanted, given)
    if (!same) {
      for (const [list, names] of [[learned.name, wanted], [set.name, given]] as const) {
        const name = twice(names)
        if (name !== undefined) return fail(new ClassTwice({ list, class: name }))
      }
    }
    const numbers = same ? Int32Array.from(given.keys()) : numbered(wanted, given)
    const shown = occurring(set)
    const there = new Set(numbers)
    const unknown = Array.from(rule === "same" ? given.keys() : shown)
      .filter((label) => numbers[label] === -1)
      .map((label) => given[label]!)
    const missing = wanted.filter((_, number) => !there.has(number))
    if (unknown.length > 0 || (rule === "same" && missing.length > 0)) {
      return fail(new ClassesDiffer({ learned: learned.name, wanted, given, unknown, missing }))
    }
    if ("labels" in learned) {
      const known = count(learned)
      const never = Array.from(shown).filter((label) => known[numbers[label]!] === 0)
      if (never.length > 0) {
        const classes = never.map((label) => given[label]!)
        return fail(new NeverLearned({ learned: learned.name, classes }))
      }
    }
    const among = rule === "subset" ? set.among ?? shown : set.among
    return Result.succeed({
      set,
      classes: wanted,
      labels: set.labels.map((label) => numbers[label]!),
      ...(among === undefined || among.length === wanted.length
        ? {}
        : { among: among.map((label) => numbers[label]!).filter((number) => number >= 0).toSorted() })
    })
  })

/** Applies {@link check} to the split that was learned from, and {@link meet} to every test split. */
export const meetAll = <S extends Labelled>(
  learned: Labelled,
  tests: ReadonlyArray<S>,
  rule: Rule = "same"
): Result.Result<ReadonlyArray<Met<S>>, ClassesError> =>
  Result.flatMap(check(learned), () => Result.all(tests.map((test) => meet(learned, test, rule))))
