/**
 * JSON values: parsing of untrusted texts, a canonical text for equal values, and the differences between two values.
 * Configurations are compared and digested with this module.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Json } from "patchword/domain"
 *
 * assert.deepStrictEqual(Json.parse("[1]"), Result.succeed([1]))
 * assert.strictEqual(Json.canonical({ b: 1, a: [true, null] }), `{"a":[true,null],"b":1}`)
 * assert.deepStrictEqual(Json.merge({ lr: 0.003, betas: [0.9, 0.98] }, { betas: [0.9, 0.999] }), { lr: 0.003, betas: [0.9, 0.999] })
 * assert.deepStrictEqual(Json.differences({ optimizer: { lr: 0.003 } }, { optimizer: { lr: 0.001 } }), [
 *   { key: "optimizer.lr", stored: "0.003", asked: "0.001" }
 * ])
 * ```
 */
import { Effect, Result, Runtime, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { TaggedError } from "./TaggedError.ts"

/** A value that JSON can hold. */
export type Json = Schema.Json

/** A text is not usable JSON. */
export class JsonError extends TaggedError<JsonError>()("JsonError", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.problem
  }
  get remedy() {
    return "correct the text, or write the file again"
  }
}

/** The largest nesting depth of objects and arrays. It is far more than any file has, and the stack can hold it. */
export const DEEPEST = 64

/** Tests whether objects and arrays are nested more than `depth` levels deep; {@link DEEPEST} by default. */
export const isDeeper = (value: unknown, depth = DEEPEST): boolean =>
  typeof value === "object" && value !== null &&
  (depth === 0 || Object.values(value).some((member) => isDeeper(member, depth - 1)))

/** A function that JSON calls for each member, with the member's text. */
type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown

// The context, which ECMAScript has by now, is not yet in the types of all libraries.
const exact: Reviver = (_, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
    ? BigInt(context?.source ?? "")
    : value

// The message may quote the text, which may be secret or long.
const told = ({ message }: Error): string => message.replace(/^(?:Unexpected token|").*$/s, "Unexpected token")

/**
 * Parses an untrusted JSON text. `integers: "exact"` returns integers that a number cannot hold as bigints. Fails if the text
 * is not JSON, or is nested deeper than {@link DEEPEST}.
 */
export const parse = (
  text: string,
  options: { readonly integers?: "rounded" | "exact" } = {}
): Result.Result<unknown, JsonError> =>
  Result.try({
    try: () => (options.integers === "exact" ? JSON.parse(text, exact) : JSON.parse(text)) as unknown,
    catch: (cause) =>
      new JsonError({ problem: `expected JSON (${cause instanceof Error ? told(cause) : String(cause)})` })
  }).pipe(
    Result.filterOrFail(
      (value) => !isDeeper(value),
      () =>
        new JsonError({ problem: `expected JSON of at most ${DEEPEST} levels, got more brackets within each other` })
    )
  )

/**
 * Makes a schema of JSON texts from a schema of values. All JSON from outside is read this way, since it uses {@link parse}.
 */
export const text = <S extends Schema.Constraint>(schema: S, options: { readonly space?: number } = {}) =>
  Schema.String.pipe(
    Schema.decodeTo(
      schema,
      SchemaTransformation.transformEffect<S["Encoded"], string>({
        decode: (input) =>
          Effect.fromResult(parse(input)).pipe(
            Effect.mapError(({ problem }) => new SchemaIssue.InvalidValue({ message: problem }))
          ),
        encode: (value) => Effect.succeed(JSON.stringify(value, null, options.space))
      })
    )
  )

/** One key at which two values differ. A side without the key reads `absent`. */
export const Difference = Schema.Struct({ key: Schema.String, stored: Schema.String, asked: Schema.String })
export type Difference = typeof Difference.Type

/** Tests whether a value is a JSON object. */
export const isObject = (value: Json | undefined): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A value to merge over another. A member that is undefined changes nothing. */
export type Changes = Json | ChangedMembers

/** The members to merge over those of an object. */
export interface ChangedMembers {
  readonly [key: string]: Changes | undefined
}

const isRecord = (value: Changes): value is ChangedMembers => {
  const prototype: unknown = typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined
  return prototype === Object.prototype || prototype === null
}

/**
 * Merges a value over another. Objects are merged key by key, at every depth. Anything else replaces the former value: also
 * `null`, arrays, instances of classes, and an object whose member `kind` is another one.
 */
export const merge = (value: Json | undefined, over: Changes): Json => {
  if (!isRecord(over)) return over
  const former = isObject(value) && (over.kind === undefined || over.kind === value.kind) ? value : {}
  return Object.entries(over).reduce<Schema.JsonObject>(
    // A key from outside may have the name of what every object inherits.
    (all, [key, member]) =>
      member === undefined ? all : { ...all, [key]: merge(Object.hasOwn(all, key) ? all[key] : undefined, member) },
    former
  )
}

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.keys(value).toSorted().map((key) => [key, sorted(value[key]!)]))
}

/** Formats compact JSON with the keys of every object sorted. Equal values have equal texts. */
export const canonical = (value: Json): string => JSON.stringify(sorted(value))

const LONGEST = 60

/** The text for a member that is not there. */
const ABSENT = "absent"

const show = (value: Json | undefined): string => {
  if (value === undefined) return ABSENT
  const text = JSON.stringify(value)
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

/**
 * Lists the dot-joined keys at which two values differ: first in the order of `stored`, then the keys that only `asked` has.
 */
export const differences = (stored: Json, asked: Json): ReadonlyArray<Difference> => {
  const found: Array<Difference> = []
  const walk = (a: Json | undefined, b: Json | undefined, key: string): void => {
    if ((isObject(a) && isObject(b)) || (Array.isArray(a) && Array.isArray(b))) {
      const left = new Map<string, Json>(Object.entries(a))
      const right = new Map<string, Json>(Object.entries(b))
      for (const name of new Set([...left.keys(), ...right.keys()])) {
        walk(left.get(name), right.get(name), key === "" ? name : `${key}.${name}`)
      }
    } else if (a === undefined || b === undefined || canonical(a) !== canonical(b)) {
      found.push({ key, stored: show(a), asked: show(b) })
    }
  }
  walk(stored, asked, "")
  return found
}

/** Formats differences as text. `say` tells the two values of one. */
export const tellDifferences = (
  found: ReadonlyArray<Difference>,
  say: (stored: string, asked: string) => string
): string =>
  found.map(({ asked, key, stored }) => {
    const [there = "", here = ""] = [stored, asked].map((value) => value === ABSENT ? "none" : value)
    return `${key === "" ? "all" : key}: ${say(there, here)}`
  }).join("; ")

/** Formats differences as text: `optimizer.lr: the folder has 0.003, you ask for 0.001`. */
export const showDifferences = (found: ReadonlyArray<Difference>): string =>
  tellDifferences(found, (there, here) => `the folder has ${there}, you ask for ${here}`)

/** Formats changes as text: `optimizer.lr: 0.003 before, 0.001 now`. */
export const showChanges = (found: ReadonlyArray<Difference>): string =>
  tellDifferences(found, (before, now) => `${before} before, ${now} now`)
