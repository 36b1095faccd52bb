/**
 * Checks of labels, and the matching of classes between splits. Each split has its own list of class names, and a label
 * is an index into that list. A number alone means nothing in another split, so classes are matched by name.
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

/** What is known of the images of a split without looking at them. */
export interface Labelled {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  /** The class of each image, as an index into `classes`. */
  readonly labels: Int32Array
  /** What was read as the label, as it stands in a sentence: "the sub-folders of photos". */
  readonly labelSource?: string
  /** The only classes that can occur, by number, where these are fewer than `classes`. Figures are measured among them. */
  readonly among?: Int32Array
}

/**
 * How the classes of a test may differ from those that were learned. `same`: not at all. `fewer`: the test may lack some,
 * which stay possible answers. `subset`: it may lack some, and only those that occur in it are possible answers, as on
 * ImageNet-A and ImageNet-R.
 */
export const Rule = Schema.Literals(["same", "fewer", "subset"])
export type Rule = typeof Rule.Type

const FIRST = 3

const some = (names: ReadonlyArray<string>): string =>
  `${names.slice(0, FIRST).map((name) => `"${name}"`).join(", ")}${names.length > FIRST ? ", …" : ""}`

/** A label is the number of no class. Exits with 65. */
export class LabelOutside extends Schema.TaggedError<LabelOutside>()("LabelOutside", {
  /** Which image, by its place in the split. */
  image: Schema.Int,
  label: Schema.Int,
  classes: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `image ${this.image} has the label ${this.label}, which is none of its ${this.classes} classes, counted from 0; ` +
      "correct the label or the list of classes"
  }
}

/** All images are of one class, so there is nothing to tell apart. Exits with 65. */
export class OneClass extends Schema.TaggedError<OneClass>()("OneClass", {
  images: Schema.Int,
  class: Schema.String,
  labelSource: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const read = this.labelSource === undefined ? "" : `; read as the label: ${this.labelSource}`
    return `its ${this.images} images are all of one class, "${this.class}"${read}. Labels of at least two classes are ` +
      "needed; check where the labels are, and that the source is read as it is meant"
  }
}

/** A name stands twice in lists that differ, so nobody can tell which is which. Exits with 65. */
export class ClassTwice extends Schema.TaggedError<ClassTwice>()("ClassTwice", {
  list: Schema.String,
  class: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the class "${this.class}" stands twice in the list of ${this.list}, and the lists are not the same, so classes ` +
      "cannot meet by name; give each class a name of its own"
  }
}

/** The classes are not those that were learned. Exits with 65. */
export class ClassesDiffer extends Schema.TaggedError<ClassesDiffer>()("ClassesDiffer", {
  /** What was learned from. */
  learned: Schema.String,
  /** Both lists of names. */
  wanted: Schema.Array(Schema.String),
  given: Schema.Array(Schema.String),
  /** Those that are in `given` only. */
  unknown: Schema.Array(Schema.String),
  /** Those that are in `wanted` only. */
  missing: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const { given, learned, missing, unknown, wanted } = this
    const parts = [
      ...(unknown.length === 0 ? [] : [`not in ${learned}: ${unknown.length} (${some(unknown)})`]),
      ...(missing.length === 0 ? [] : [`not in it: ${missing.length} (${some(missing)})`])
    ]
    const advice = unknown.length > 0
      ? "name the classes alike in both"
      : "add them, or allow that there are fewer: --classes fewer, or --classes subset to seek answers among those that occur"
    return `its ${given.length} classes (${some(given)}) are not the ${wanted.length} of ${learned} (${
      some(wanted)
    }): ` +
      `${parts.join("; ")}; ${advice}`
  }
}

/** Images have classes that nothing was learned of. Exits with 65. */
export class NeverLearned extends Schema.TaggedError<NeverLearned>()("NeverLearned", {
  learned: Schema.String,
  classes: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    const classes = `${this.classes.length} (${some(this.classes)})`
    return `it has images of classes that ${this.learned} has none of: ${classes}; add such images to ${this.learned}, or ` +
      "leave them out here"
  }
}

/** Why the labels of a split cannot be used. The exit code is that of the reason. */
export class ClassesError extends Schema.TaggedError<ClassesError>()("ClassesError", {
  split: Schema.String,
  reason: Schema.Union([LabelOutside, OneClass, ClassTwice, ClassesDiffer, NeverLearned])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return `split ${this.split}: ${this.reason.message}`
  }
}

/** How many images each class has. */
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

/** Whether a split can be learned from: every label is a class, and there are at least two. */
export const check = (set: Labelled): Result.Result<void, ClassesError> =>
  Result.flatMap(inside(set), () => several(set))

/** A split whose classes have met those that were learned. */
export interface Met<S extends Labelled = Labelled> {
  readonly set: S
  /** The classes that were learned. */
  readonly classes: ReadonlyArray<string>
  /** The class of each image, as an index into these. */
  readonly labels: Int32Array
  /** The possible answers, ascending; all where there are none. */
  readonly among?: Int32Array
}

const twice = (names: ReadonlyArray<string>): string | undefined => {
  const seen = new Set<string>()
  return names.find((name) => seen.size === seen.add(name).size)
}

/** The number of each of `given` in `wanted`, -1 for those that are not there. */
const numbered = (wanted: ReadonlyArray<string>, given: ReadonlyArray<string>): Int32Array => {
  const places = new Map(wanted.map((name, number) => [name, number]))
  return Int32Array.from(given, (name) => places.get(name) ?? -1)
}

const equal = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  one.length === other.length && one.every((name, index) => name === other[index])

/** What was learned from: a split, or a classifier, of which the classes are known and no images. */
export type Learned = Labelled | Omit<Labelled, "labels">

/**
 * The labels of a test in the numbers of what was learned. Names that are the same in the same order meet whatever they
 * are; else every name must be there once.
 *
 * Fails with `LabelOutside`, with `ClassTwice`, with `ClassesDiffer` where the names are not those that the rule allows,
 * with `NeverLearned` where an image's class has no image in the split that was learned from, and with `OneClass` where all
 * images are of one class, unless the rule is `fewer`.
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

/** {@link check} of what was learned from, and {@link meet} of every test with it. */
export const meetAll = <S extends Labelled>(
  learned: Labelled,
  tests: ReadonlyArray<S>,
  rule: Rule = "same"
): Result.Result<ReadonlyArray<Met<S>>, ClassesError> =>
  Result.flatMap(check(learned), () => Result.all(tests.map((test) => meet(learned, test, rule))))
