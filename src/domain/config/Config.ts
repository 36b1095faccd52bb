/**
 * Decodes configurations. One error lists every wrong value with its path, the expected value and the given value. Unknown keys
 * are refused.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Config, KnnConfig } from "patchword/domain"
 *
 * const read = Config.decode(KnnConfig.KnnConfig, "knn.json")
 * const error = Effect.runSync(Effect.flip(read({ pooling: "mean", finalNorm: true, neighbors: 10, temperature: 0 })))
 * assert.deepStrictEqual(error.problems.map((problem) => problem.path), ["neighbors", "temperature", "neighbours"])
 * ```
 */
import { Effect, Runtime, Schema, type SchemaIssue } from "effect"
import * as Explain from "../values/Explain.ts"
import * as Json from "../values/Json.ts"
import * as Suggest from "../values/Suggest.ts"
import { TaggedError } from "../values/TaggedError.ts"
import * as ConfigKeys from "./ConfigKeys.ts"
import * as FieldTerms from "./FieldTerms.ts"
import * as TrainingLength from "./TrainingLength.ts"

/** One problem of a configuration. */
export const Problem = Schema.Struct({
  /** The path of the value: `pretrain.optimizer.lr`. It is empty for the whole configuration. */
  path: Schema.String,
  /** The expected and the given value: `expected a number greater than 0, got -1`. */
  message: Schema.String
})
export type Problem = typeof Problem.Type

/** Number of problems that a message names. */
const NAMED = 20

const UNKNOWN = "unknown key"
const MISSING = "missing key"

/** A configuration cannot be used. */
export class ConfigError extends TaggedError<ConfigError>()("ConfigError", {
  /** The name of the configuration's source: a file, a flag. */
  source: Schema.String,
  problems: Schema.NonEmptyArray(Problem),
  /** The action that helps, where it is known. */
  advice: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    const problems = this.problems.slice(0, NAMED)
      .map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
    const more = this.problems.length - problems.length
    return `${this.source}: ${problems.join("; ")}${more === 0 ? "" : `; and ${more} more`}`
  }
  get remedy() {
    const { advice, problems } = this
    const [it, this_] = problems.length === 1 ? ["it", "this"] : ["them", "these"]
    if (advice !== undefined) return advice
    if (problems.every(({ message }) => message.startsWith(UNKNOWN))) return `rename or remove ${it}`
    if (problems.every(({ message }) => message.startsWith(MISSING))) return `add ${it}`
    return `correct ${this_} and run again`
  }
}

/** The paths of a configuration's keys. `said` adds the other words for the length of a training. */
const paths = (schema: Schema.Constraint, said: boolean): ReadonlyArray<ReadonlyArray<string>> => {
  const known = ConfigKeys.of(schema).map(({ path }) => path)
  const lengths = said ? trainings(schema) : []
  return [...lengths.flatMap((place) => TrainingLength.names.map((name) => [...place, name])), ...known]
}

/** The paths of the members that hold the length of a training. */
const trainings = (schema: Schema.Constraint): ReadonlyArray<ReadonlyArray<string>> => {
  const known = ConfigKeys.of(schema).map(({ path }) => path)
  const all = new Set(known.map(Explain.path))
  return known.filter((path) => path.at(-1) === "duration").map((path) => path.slice(0, -1))
    .filter((place) => ["unit", "warmup"].every((name) => all.has(Explain.path([...place, name]))))
}

/** A key that is a path joined by dots, as `--set` takes it. */
const dotted = (
  parent: ReadonlyArray<string>,
  parts: ReadonlyArray<string>,
  all: ReadonlyArray<ReadonlyArray<string>>
): string => {
  const whole = [...parent, ...parts]
  const [found, ...others] = all.some((path) => Explain.path(path) === Explain.path(whole))
    ? [whole]
    : FieldTerms.meant(whole, all)
  const names = found === undefined || others.length > 0 ? parts : found.slice(parent.length)
  return `${UNKNOWN}; give each name of a path a level of its own: ${
    names.reduceRight((inner, name) => `{${name}: ${inner}}`, "...")
  }`
}

const unknownKey = (
  issue: SchemaIssue.UnexpectedKey,
  path: ReadonlyArray<string>,
  all: ReadonlyArray<ReadonlyArray<string>>
): string => {
  if (issue.ast._tag !== "Objects") return "expected no further element"
  const parent = path.slice(0, -1)
  const parts = path.at(-1)!.split(".")
  if (parts.length > 1) return dotted(parent, parts, all)
  const own = issue.ast.propertySignatures.map((property) => String(property.name))
  const meant = FieldTerms.meant(path, all).map((other) =>
    Explain.path(other.slice(0, -1)) === Explain.path(parent) ? other.at(-1)! : Explain.path(other)
  )
  const nearest = Suggest.nearest(path.at(-1)!, own)
  const named = meant.length > 0 ? meant : nearest === undefined ? [] : [nearest]
  return `${UNKNOWN}; ${
    named.length === 0 ? `known ones are ${own.join(", ")}` : `did you mean ${Suggest.either(named)}?`
  }`
}

/** Says how many values a list needs, if it is too short. */
const tooShort = ({ ast, input, issues }: SchemaIssue.Composite): string | undefined => {
  const lacks = issues.some((inner) => inner._tag === "Pointer" && inner.issue._tag === "MissingKey")
  if (ast._tag !== "Arrays" || !lacks) return undefined
  const count = ast.elements.length
  const values = `${ast.rest.length > 0 ? "at least " : ""}${count} ${count === 1 ? "value" : "values"}`
  return Explain.inWords(`expected a list of ${values}, got ${JSON.stringify(input)}`)
}

const problems = (
  issue: SchemaIssue.Issue,
  path: ReadonlyArray<PropertyKey>,
  all: () => ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Pointer":
      return problems(issue.issue, [...path, ...issue.path], all)
    case "Encoding":
      return problems(issue.issue, path, all)
    case "UnexpectedKey":
      return [{ path: Explain.path(path), message: unknownKey(issue, path.map(String), all()) }]
    case "Composite": {
      const short = tooShort(issue)
      return short === undefined
        ? issue.issues.flatMap((inner) => problems(inner, path, all))
        : [{ path: Explain.path(path), message: short }]
    }
    case "AnyOf":
      if (issue.issues.length > 0) return issue.issues.flatMap((inner) => problems(inner, path, all))
  }
  return Explain.issues(issue).issues.map((found) => ({
    path: Explain.path([...path, ...(found.path ?? [])]),
    message: Explain.inWords(found.message)
  }))
}

/**
 * One problem for one cause: the most exact one of a value, and one for all keys that an object lacks. Wrong values come first, since a key
 * may be missing only because the object was begun with them.
 */
const condensed = (all: ReadonlyArray<Problem>): ReadonlyArray<Problem> => {
  const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf(".")))
  const exact = [...new Map(all.map((problem) => [problem.path, problem])).values()]
  const missing = Map.groupBy(
    exact.filter(({ message }) => message === MISSING),
    ({ path }) => parentOf(path)
  )
  const found = exact.flatMap((problem) => {
    const parent = parentOf(problem.path)
    const lacked = problem.message === MISSING ? missing.get(parent)! : []
    if (lacked.length < 2) return [problem]
    const names = lacked.map(({ path }) => path.slice(parent === "" ? 0 : parent.length + 1))
    return problem === lacked[0] ? [{ path: parent, message: `missing keys: ${names.join(", ")}` }] : []
  })
  const isMissing = ({ message }: Problem) => Number(/^missing keys?\b/.test(message))
  return found.toSorted((a, b) => isMissing(a) - isMissing(b))
}

const reading = <A, I>(schema: Schema.Codec<A, I>, source: string, said: boolean) => {
  const run = Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty: "error", reportInput: true })
  return (input: unknown): Effect.Effect<A, ConfigError> =>
    Effect.mapError(run(input), ({ issue }) => {
      const [first, ...rest] = condensed(problems(issue, [], () => paths(schema, said)))
      return new ConfigError({ source, problems: [first ?? { path: "", message: "invalid" }, ...rest] })
    })
}

/**
 * Decodes a plain value, such as parsed JSON, into a configuration. `source` names it in errors.
 *
 * @returns an effect that fails with a {@link ConfigError} listing every problem.
 */
export const decode = <A, I>(schema: Schema.Codec<A, I>, source: string) => reading(schema, source, false)

/**
 * Checks that a value is a configuration of the schema. An instance stays as it is. A plain copy, such as `{ ...config }`, is
 * decoded. `source` names it in errors.
 *
 * @returns an effect that fails with a {@link ConfigError} listing every problem.
 */
export const check = <A, I>(schema: Schema.Codec<A, I>, source: string) => {
  const is = Schema.is(schema)
  const run = decode(schema, source)
  return (config: A | I): Effect.Effect<A, ConfigError> => is(config) ? Effect.succeed(config) : run(config)
}

/**
 * The changes of a configuration: members at any depth. A tuple, an array or an instance is replaced as a whole. A member that
 * is undefined stays as it is. The length of a training may be given in the words of `TrainingLength`.
 */
export type Changes<I> = I extends ReadonlyArray<unknown> ? I
  : I extends { readonly duration: number } ? I | (Members<I> & TrainingLength.Said)
  : I extends object ? Members<I>
  : I

type Members<I> = { readonly [K in keyof I]?: Changes<I[K]> | undefined }

/**
 * Applies plain values to a configuration, one after the other, as `Json.merge` does. The result is checked as a whole.
 * `source` names the values in errors. The length of a training may be given in the words of `TrainingLength`.
 *
 * @returns an effect that fails with a {@link ConfigError} listing every problem.
 */
export const merge = <A extends I, I extends Json.Json>(schema: Schema.Codec<A, I>, source: string) => {
  const run = reading(schema, source, true)
  return (config: A, ...overs: ReadonlyArray<Json.Changes>): Effect.Effect<A, ConfigError> => {
    const { contradictions: [first, ...others], saidAs, value } = TrainingLength.translate(
      trainings(schema),
      config,
      overs
    )
    if (first !== undefined) return Effect.fail(new ConfigError({ source, problems: [first, ...others] }))
    return Effect.mapError(run(value), (error) => {
      const [one, ...more] = error.problems
      const said = ({ message, path }: Problem): Problem => ({ path: saidAs.get(path) ?? path, message })
      return new ConfigError({ source, problems: [said(one), ...more.map(said)] })
    })
  }
}

/** Makes the error for a source as a whole: it has no keys, or it could not be read. `advice` is what to do. */
export const refusal = (source: string, message: string, advice?: string): ConfigError =>
  new ConfigError({ source, problems: [{ path: "", message }], ...(advice === undefined ? {} : { advice }) })

/** Decodes the text of a JSON file. See {@link decode}. */
export const decodeJson = <A, I>(schema: Schema.Codec<A, I>, source: string) => decode(Json.text(schema), source)
