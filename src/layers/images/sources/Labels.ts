/** Converts the labels of a split from the form in its collection to class indices. */
import { Effect, Result } from "effect"
import type { Label, LabelError } from "../../../domain/evaluation/Label.ts"
import { LabelMissing, LabelsUnusable, LabelUnknown } from "../reading/ImagesError.ts"

/**
 * From this number on, integers are names of classes, such as identifiers of a database. A class for every smaller integer
 * would be too many.
 */
const MOST_CLASSES = 100_000n

/** Class of images in a split without labels. */
export const NONE = "."

/** Names of the classes in labels (`keys`) and for readers (`classes`), in order of their numbers. */
export interface Known {
  readonly keys: ReadonlyArray<string>
  readonly classes: ReadonlyArray<string>
}

/** Labels of a split, and the information that gives them a meaning. */
export interface Given {
  readonly labels: ReadonlyArray<Label>
  readonly describe: (index: number) => string
  /** The classes, if they are known. */
  readonly known: Known | undefined
  /** Labels of all splits. They determine the classes if these are not known. */
  readonly every: Iterable<Label>
  /** Source of the labels, and the text for a split in which no image has a label. */
  readonly source: { readonly read: string; readonly missing: string }
}

/** Reads the labels of values. Fails with `LabelsUnusable` at the first value that is not a label, and names its place. */
export const readAll = Effect.fnUntraced(function*<A>(
  values: ReadonlyArray<A>,
  read: (value: A) => Result.Result<Label, LabelError>,
  place: (index: number) => string
) {
  const labels: Array<Label> = []
  for (const [index, value] of values.entries()) {
    const label = read(value)
    if (Result.isFailure(label)) {
      return yield* new LabelsUnusable({
        problem: `${place(index)}: ${label.failure.finding}`,
        remedy: label.failure.remedy
      })
    }
    labels.push(label.success)
  }
  return labels
})

/** Fails with `LabelsUnusable` if a name of a class occurs twice, because a label of this name would be ambiguous. */
export const distinct = (names: ReadonlyArray<string>): Effect.Effect<void, LabelsUnusable> => {
  const seen = new Set<string>()
  const twice = names.find((name) => seen.size === seen.add(name).size)
  return twice === undefined
    ? Effect.void
    : new LabelsUnusable({
      problem: `the class "${twice}" occurs twice in the list of classes`,
      remedy: "give each class its own name"
    })
}

/**
 * Reads the names of classes from a text, one per line. Fails with `LabelsUnusable` for an empty line, because it would
 * shift the numbers of all later classes.
 */
export const namesOf = (text: string): Effect.Effect<ReadonlyArray<string>, LabelsUnusable> => {
  const names = text.trimEnd().split("\n").map((line) => line.trim())
  const empty = names.indexOf("")
  return empty === -1
    ? Effect.succeed(names)
    : new LabelsUnusable({
      problem: `line ${empty + 1} of the list of classes is empty`,
      remedy: "remove it, or give it a name"
    })
}

/**
 * Reads the names of classes from a table with tabs and a heading: those of its column `Name`, as in ADE20K's `objectInfo150.txt`. A
 * text of another form has one name per line.
 */
export const namesOfTable = (text: string): ReturnType<typeof namesOf> => {
  const rows = text.trimEnd().split(/\r?\n/).map((line) => line.split("\t").map((cell) => cell.trim()))
  const column = rows[0]!.indexOf("Name")
  return rows[0]!.length < 2 || column === -1
    ? namesOf(text)
    : namesOf(rows.slice(1).map((row) => row[column] ?? "").join("\n"))
}

const isInteger = (label: Label): label is bigint => typeof label === "bigint"

// A number could be the index of a class or the name of a class.
const clear = Effect.fnUntraced(function*(labels: ReadonlyArray<Label>, { keys }: Known) {
  yield* distinct(keys)
  const at = keys.findIndex((key, number) => /^\d+$/.test(key) && BigInt(key) !== BigInt(number))
  const label = at === -1 ? undefined : labels.find(isInteger)
  if (label === undefined) return
  const problem = `they are numbers, for example ${label}, but class ${at} has the number "${keys[at]}" as its name`
  return yield* new LabelsUnusable({ problem, remedy: "give the classes names that are not numbers" })
})

/** Collects the classes from labels: all numbers up to the largest, or the names in the order of their texts. */
const gather = Effect.fnUntraced(function*(all: Iterable<Label>) {
  const values = [...new Set(all)].filter((label) => label !== undefined)
  const numbers = values.filter((label) => isInteger(label)).filter((number) => number >= 0n)
  const name = values.find((label) => !isInteger(label))
  if (name === undefined && numbers.every((number) => number < MOST_CLASSES)) {
    const length = numbers.reduce((most, number) => Math.max(most, Number(number) + 1), 0)
    return { counted: true, classes: Array.from({ length }, (_, number) => String(number)) }
  }
  if (name !== undefined && numbers.length > 0) {
    const problem = `some are numbers (${numbers[0]}), others are names ("${name}")`
    return yield* new LabelsUnusable({ problem, remedy: "use only numbers or only names" })
  }
  return { counted: false, classes: (name === undefined ? numbers.map(String) : values.map(String)).toSorted() }
})

/**
 * Determines the classes of a split and the class index of each image. An integer label is an index; a text label is a
 * name. A split without any label has one class, `.`. Fails with `LabelUnknown` if a label is not a class, and with
 * `LabelMissing` if only some images have a label.
 */
export const number = Effect.fnUntraced(function*(given: Given) {
  const { describe, every, known, labels, source } = given
  if (labels.every((label) => label === undefined)) {
    return { classes: [NONE], labels: new Int32Array(labels.length), labelSource: source.missing }
  }
  if (known !== undefined) yield* clear(labels, known)
  const { classes, counted } = known === undefined ? yield* gather(every) : { classes: known.keys, counted: true }
  const named = new Map(classes.map((name, index) => [name, index]))
  const numbers = Int32Array.from(labels, (label) => {
    if (!counted || !isInteger(label)) return named.get(String(label)) ?? -1
    return label >= 0n && label < BigInt(classes.length) ? Number(label) : -1
  })
  const wrong = labels.findIndex((label, index) => label === undefined || numbers[index] === -1)
  if (wrong === -1) return { classes: known?.classes ?? classes, labels: numbers, labelSource: source.read }
  const image = describe(wrong)
  const label = labels[wrong]
  return yield* label === undefined
    ? new LabelMissing({ image, source: source.read })
    : new LabelUnknown({ image, label: String(label), classes: classes.length })
})
