/**
 * Decoding of configurations. One error lists every wrong value with its path, what was expected and what was given.
 * Unknown keys are refused.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Config, KnnConfig } from "patchword/domain"
 *
 * const read = Config.decode(KnnConfig.KnnConfig, "knn.json")
 * const error = Effect.runSync(Effect.flip(read({ pooling: "mean", finalNorm: true, neighbors: 10, temperature: 0 })))
 * assert.deepStrictEqual(error.problems.map((problem) => problem.path), ["neighbors", "neighbours", "temperature"])
 * ```
 */
import { Effect, Runtime, Schema, SchemaIssue } from "effect"
import * as Json from "../values/Json.ts"
import * as Suggest from "../values/Suggest.ts"

/** One thing that is wrong with a configuration. */
export const Problem = Schema.Struct({
  /** Where: `pretrain.optimizer.lr`; empty for the whole. */
  path: Schema.String,
  /** What: `expected a number greater than 0, got -1`. */
  message: Schema.String
})
export type Problem = typeof Problem.Type

/** A configuration that cannot be used. Exits with 64. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  /** Which configuration: a file's name, a flag. */
  source: Schema.String,
  problems: Schema.NonEmptyArray(Problem)
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    const problems = this.problems.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
    const text = `${this.source} is not a usable configuration: ${problems.join("; ")}`
    return `${text}${text.endsWith("?") ? "" : "."} Correct this and run again.`
  }
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const show = (path: ReadonlyArray<PropertyKey>): string => path.map(String).join(".")

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

const unknownKey = (issue: SchemaIssue.UnexpectedKey, key: string): string => {
  if (issue.ast._tag !== "Objects") return "expected no further element"
  const known = issue.ast.propertySignatures.map((property) => String(property.name))
  const meant = Suggest.nearest(key, known)
  return `unknown key; ${meant === undefined ? `known ones are ${known.join(", ")}` : `did you mean ${meant}?`}`
}

const problems = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Pointer":
      return problems(issue.issue, [...path, ...issue.path])
    case "Encoding":
      return problems(issue.issue, path)
    case "UnexpectedKey":
      return [{ path: show(path), message: unknownKey(issue, String(path.at(-1))) }]
    case "Composite":
    case "AnyOf":
      if (issue.issues.length > 0) return issue.issues.flatMap((inner) => problems(inner, path))
  }
  return format(issue).issues.map((found) => ({
    path: show([...path, ...(found.path ?? []).map((key) => (typeof key === "object" ? key.key : key))]),
    message: lowerFirst(found.message)
  }))
}

/**
 * Decodes a plain value, say parsed JSON, into a configuration. `source` names it in errors.
 *
 * @returns an effect that fails with a {@link ConfigError} listing every problem.
 */
export const decode = <A, I>(schema: Schema.Codec<A, I>, source: string) => {
  const run = Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty: "error", reportInput: true })
  return (input: unknown): Effect.Effect<A, ConfigError> =>
    Effect.mapError(run(input), ({ issue }) => {
      const [first, ...rest] = problems(issue, [])
      return new ConfigError({ source, problems: [first ?? { path: "", message: "invalid" }, ...rest] })
    })
}

/**
 * What may change in a configuration: any member at any depth. A tuple, an array or an instance is given whole; a member that is
 * undefined stays as it is.
 */
export type Changes<I> = I extends ReadonlyArray<unknown> ? I
  : I extends object ? { readonly [K in keyof I]?: Changes<I[K]> | undefined }
  : I

/**
 * A configuration with plain values over its own, laid one after the other as `Json.merge` does: all of it is checked again.
 * `source` names where they come from in errors.
 *
 * @returns an effect that fails with a {@link ConfigError} listing every problem.
 */
export const merge = <A extends I, I extends Json.Json>(schema: Schema.Codec<A, I>, source: string) => {
  const run = decode(schema, source)
  return (config: A, ...overs: ReadonlyArray<Json.Changes>): Effect.Effect<A, ConfigError> =>
    run(overs.reduce<Json.Json>((all, over) => Json.merge(all, over), config))
}

/** What is wrong with a source as a whole, which has no keys or is not even read. */
export const refusal = (source: string, message: string): ConfigError =>
  new ConfigError({ source, problems: [{ path: "", message }] })

/** Decodes the text of a JSON file; see {@link decode}. */
export const decodeJson = <A, I>(schema: Schema.Codec<A, I>, source: string) => decode(Json.text(schema), source)
