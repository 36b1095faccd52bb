/** The labels of a split, as its collection writes them, turned into indices of a list of classes. */
import { Effect, Result } from "effect"
import type { Label, LabelError } from "../../../domain/evaluation/Label.ts"
import { LabelMissing, LabelsUnusable, LabelUnknown } from "../reading/ImagesError.ts"

/** Integers from here on are names, such as those of a database: a class for each integer below would be too many. */
const MOST_CLASSES = 100_000n

/** What stands for the class where no image has one. */
export const NONE = "."

/** What labels call the classes, and what readers do, in order of their numbers. */
export interface Known {
  readonly keys: ReadonlyArray<string>
  readonly classes: ReadonlyArray<string>
}

/** Labels as they were read, and what they are to be understood by. */
export interface Given {
  readonly labels: ReadonlyArray<Label>
  readonly describe: (index: number) => string
  /** The classes, where they are known. */
  readonly known: Known | undefined
  /** The labels of all splits, which give the classes where these are not known. */
  readonly every: Iterable<Label>
  /** What was read as the label, and what there was not, where no image has one. */
  readonly source: { readonly read: string; readonly missing: string }
}

/** The labels of values. Fails at the first that is none, and says at which place it stands. */
export const readAll = Effect.fnUntraced(function*<A>(
  values: ReadonlyArray<A>,
  read: (value: A) => Result.Result<Label, LabelError>,
  place: (index: number) => string
) {
  const labels: Array<Label> = []
  for (const [index, value] of values.entries()) {
    const label = read(value)
    if (Result.isFailure(label)) {
      return yield* new LabelsUnusable({ problem: `${place(index)}: ${label.failure.message}` })
    }
    labels.push(label.success)
  }
  return labels
})

/** Refuses names of classes of which one stands twice: a label of it could mean both. */
export const distinct = (names: ReadonlyArray<string>): Effect.Effect<void, LabelsUnusable> => {
  const seen = new Set<string>()
  const twice = names.find((name) => seen.size === seen.add(name).size)
  return twice === undefined
    ? Effect.void
    : new LabelsUnusable({
      problem: `the class "${twice}" stands twice in the list of classes; give each a name of its own`
    })
}

/** The names of classes in a file, one on each line. An empty line is refused: it would move the numbers of all after it. */
export const namesOf = (text: string): Effect.Effect<ReadonlyArray<string>, LabelsUnusable> => {
  const names = text.trimEnd().split("\n").map((line) => line.trim())
  const empty = names.indexOf("")
  return empty === -1
    ? Effect.succeed(names)
    : new LabelsUnusable({ problem: `line ${empty + 1} of the list of classes is empty; remove it, or give it a name` })
}

const isInteger = (label: Label): label is bigint => typeof label === "bigint"

// A number could be read as the class of that number, or as the class that is called so.
const clear = Effect.fnUntraced(function*(labels: ReadonlyArray<Label>, { keys }: Known) {
  yield* distinct(keys)
  const at = keys.findIndex((key, number) => /^\d+$/.test(key) && BigInt(key) !== BigInt(number))
  const label = at === -1 ? undefined : labels.find(isInteger)
  if (label === undefined) return
  const problem = `they are numbers, as ${label}, and so are names of classes, as "${keys[at]}" of class ${at}; ` +
    "give the classes names that are no numbers"
  return yield* new LabelsUnusable({ problem })
})

/** The classes that labels give: up to the largest number, or the names in order of their texts. */
const gather = Effect.fnUntraced(function*(all: Iterable<Label>) {
  const values = [...new Set(all)].filter((label) => label !== undefined)
  const numbers = values.filter((label) => isInteger(label)).filter((number) => number >= 0n)
  const name = values.find((label) => !isInteger(label))
  if (name === undefined && numbers.every((number) => number < MOST_CLASSES)) {
    const length = numbers.reduce((most, number) => Math.max(most, Number(number) + 1), 0)
    return { counted: true, classes: Array.from({ length }, (_, number) => String(number)) }
  }
  if (name !== undefined && numbers.length > 0) {
    const problem = `some are numbers, as ${numbers[0]}, and others names, as "${name}"; write all in one way`
    return yield* new LabelsUnusable({ problem })
  }
  return { counted: false, classes: (name === undefined ? numbers.map(String) : values.map(String)).toSorted() }
})

/**
 * The classes of a split, and the class of each image by its number: an integer counts the classes, a text names one. A
 * split without any label has one class, `.`. Fails where a label is none of the classes, or missing beside others.
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
