/**
 * Explains in words why a value does not fit a schema. It is for files, of which a person has to mend one place at a time.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Schema } from "effect"
 * import { Explain } from "patchword/domain"
 *
 * const read = Schema.decodeUnknownEffect(Schema.Struct({ stages: Schema.Array(Schema.Struct({ step: Schema.Number })) }))
 * const wrong = Effect.runSync(Effect.flip(read({ stages: [{ step: 1 }, { step: "two" }] })))
 * assert.strictEqual(Explain.of(wrong), "stages.1.step: expected a number")
 * ```
 */
import { type Schema, SchemaIssue } from "effect"
import * as Suggest from "./Suggest.ts"

/** Formats an issue as a list of paths and messages. */
export const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The types of a schema in words. */
const TYPES: Readonly<Record<string, string>> = {
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "an object with keys"
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** Says the choices of a value, and its types, in words: `expected a, b or c, got "d"`, `expected a number or null`. */
export const inWords = (text: string): string =>
  lowerFirst(text).replace(/(?<=, got .{80}).+$/s, "…").replace(
    /^expected ((?:"[^"]*"|[a-z]+)(?: \| (?:"[^"]*"|[a-z]+))*)(?=, got |$)/,
    (_, all: string) => {
      const choices = all.split(" | ").map((one) => one.startsWith("\"") ? one.slice(1, -1) : TYPES[one] ?? one)
      return `expected ${Suggest.either(choices)}`
    }
  )

/** Joins a path by dots. */
export const path = (keys: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string =>
  keys.map((key) => String(typeof key === "object" ? key.key : key)).join(".")

/** Says the first problem of a value: its path, and what was expected there. */
export const of = (error: Schema.SchemaError): string => {
  const [first] = issues(error.issue).issues
  if (first === undefined) return "it does not fit"
  const place = path(first.path ?? [])
  return `${place === "" ? "" : `${place}: `}${inWords(first.message)}`
}
