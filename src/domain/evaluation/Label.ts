/**
 * The label of an image in a collection: a text, an integer of any size, or nothing. All sources read their labels with this
 * module. `docs/labels.md` has the table.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Label } from "patchword/domain"
 *
 * assert.deepStrictEqual(Label.parse(" +07\n"), Result.succeed(7n))
 * assert.deepStrictEqual(Label.of(9007199254740993n), Result.succeed(9007199254740993n))
 * assert.strictEqual(Label.of(0.4).pipe(Result.flip, Result.getOrThrow).finding, "a label is a text or an integer, not 0.4")
 * assert.deepStrictEqual(Label.candidates(["id", "fine_label"]), ["fine_label"])
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError } from "../values/TaggedError.ts"

/**
 * A label. An integer is the number of a class, counted from 0. A text is the name of a class. An image without a label has
 * undefined.
 */
export type Label = bigint | string | undefined

/** A value cannot be a label. */
export class LabelError extends TaggedError<LabelError>()("LabelError", {
  /** The value that was found: `0.4`, `a list`. */
  found: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `a label is a text or an integer, not ${this.found}`
  }
  get remedy() {
    return "correct the label"
  }
}

const refuse = (found: string): Result.Result<Label, LabelError> => Result.fail(new LabelError({ found }))

/** The character that decoders write for bytes that are not UTF-8. It would make different texts equal. */
const REPLACED = "\ufffd"

/** Converts a value of some type, such as a cell of a table or a field of JSON, to a label. An empty text is no label. */
export const of = (value: unknown): Result.Result<Label, LabelError> => {
  switch (typeof value) {
    case "undefined":
    case "bigint":
      return Result.succeed(value)
    case "string":
      if (value.includes(REPLACED)) return refuse("bytes that are no UTF-8")
      return Result.succeed(value.trim() === "" ? undefined : value)
    case "number":
      if (Number.isSafeInteger(value)) return Result.succeed(BigInt(value))
      return refuse(Number.isInteger(value) ? `${value}, which has lost its last digits` : String(value))
    case "boolean":
      return refuse(String(value))
    default:
      if (value === null) return Result.succeed(undefined)
      return refuse(Array.isArray(value) ? "a list" : value instanceof Date ? "a time" : "an object")
  }
}

/** Reads a label from text, such as a line of a file. Digits, with or without a sign, are an integer. */
export const parse = (text: string): Result.Result<Label, LabelError> => {
  const label = text.trim()
  if (/[\r\n]/.test(label)) return refuse("several lines")
  return /^[+-]?\d+$/.test(label) ? Result.succeed(BigInt(label)) : of(label)
}

const LABELS = /^(?:labels?|class(?:es)?|categor(?:y|ies)|targets?|cls|y)$/i

/** Selects the names of columns or fields that often hold labels: `labels`, `fine_label`, `className`. */
export const candidates = (names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.filter((name) => name.split(/(?<=\p{Ll})(?=\p{Lu})|[^\p{L}]+/u).some((word) => LABELS.test(word)))
