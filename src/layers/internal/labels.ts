/** Labels as collections write them, numbers or names, turned into indices of a list of classes. */
import { Effect } from "effect"
import { LabelUnknown } from "../ImageSet.ts"

/** A number counts the classes from 0; nothing where an image has no label. */
export type Label = number | string | undefined

/** Numbers from here on are names, such as those of a database: a class for each number below would be too many. */
const MOST_CLASSES = 100_000

/** What stands for the class where no image has one. */
const NONE = "."

const indices = (names: ReadonlyArray<string>): ReadonlyMap<string, number> =>
  new Map(names.map((name, index) => [name, index]))

/**
 * The classes of labels, unless they are known, and their indices. Numbers are indices; where there are names among them,
 * the classes are the sorted names.
 */
export const make = (all: Iterable<Label>, known: ReadonlyArray<string> | undefined) => {
  const seen = new Set(all)
  seen.delete(undefined)
  const values = [...seen]
  const numbers = values.filter((label) => typeof label === "number")
  const counted = numbers.length === values.length && numbers.every((number) => number < MOST_CLASSES)
  const unlabelled = known === undefined && values.length === 0
  const found = counted
    ? Array.from(
      { length: numbers.reduce((most, number) => Math.max(most, number + 1), 0) },
      (_, number) => String(number)
    )
    : values.map(String).toSorted()
  const classes = unlabelled ? [NONE] : known ?? found
  const named = indices(classes)
  const indexOf = (label: Label): number => {
    if (unlabelled) return 0
    if (typeof label === "number" && (known !== undefined || counted)) return label
    return named.get(String(label)) ?? -1
  }

  /** The index of each label, each in `classes`. */
  const toIndices = Effect.fnUntraced(function*(labels: ReadonlyArray<Label>, describe: (index: number) => string) {
    const result = Int32Array.from(labels, indexOf)
    const wrong = result.findIndex((index) => index < 0 || index >= classes.length)
    if (wrong === -1) return result
    return yield* new LabelUnknown({
      image: describe(wrong),
      label: String(labels[wrong] ?? ""),
      classes: classes.length
    })
  })

  return { classes, toIndices }
}
