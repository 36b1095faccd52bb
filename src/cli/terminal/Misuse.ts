/** Command lines that are not understood. */
import { Effect } from "effect"
import { CliError, type HelpDoc } from "effect/cli"
import * as Suggest from "../../domain/values/Suggest.ts"
import { Failure } from "./Failure.ts"
import * as FlagTerms from "./FlagTerms.ts"

const USAGE = 64

type Invocation = Pick<CliError.ShowHelp, "commandPath" | "errors"> & { readonly helpDoc?: HelpDoc.HelpDoc }

const meant = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "" : `, did you mean ${Suggest.either(names)}?`

const FORMS: ReadonlyArray<readonly [RegExp, string]> = [
  [/^Invalid key=value format/, "key=value"],
  [/^Path is not a file/, "a file"],
  [/^Path is not a directory/, "a folder"],
  [/^Failed to (?:check|stat) path/, "a path that can be read"],
  [/^a string representing a finite number$/, "a number"],
  [/^string$/, "a text"]
]

/** The expected form of a value. The library says it in several ways. */
const form = (expected: string): string => {
  const text = expected.replace(/^Expected:? /, "")
  const choices = text.split(" | ").map((choice) => choice.replaceAll("\"", ""))
  return FORMS.find(([pattern]) => pattern.test(text))?.[1] ?? Suggest.either(choices)
}

/** So many characters of a value are told. */
const LONGEST = 80

const cut = (value: string): string => value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value

const valueOf = ({ expected, kind, option, value }: CliError.InvalidValue): string => {
  const name = kind === "flag" ? `--${option}` : `the argument ${option}`
  const times = /^(\d+) occurrences$/.exec(value)?.[1]
  if (times !== undefined) return `${name} is given ${times} times, but takes one value`
  return value === "" && kind === "flag"
    ? `${name} has no value, expected ${form(expected)}`
    : `${name}: expected ${form(expected)}, got "${cut(value)}"`
}

const sentence = (error: CliError.CliError, command: string): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `${command} has no flag ${error.option}${meant(error.suggestions)}`
    case "MissingOption":
      return `--${error.option} is missing`
    case "MissingArgument":
      return `the argument ${error.argument} is missing`
    case "UnexpectedArgument":
      return `${command} does not take ${error.arguments.map((word) => `"${word}"`).join(", ")}`
    case "InvalidValue":
      return valueOf(error)
    case "UnknownSubcommand":
      return `${(error.parent ?? [command]).join(" ")} has no command "${error.subcommand}"${meant(error.suggestions)}`
    default:
      return error.message.replaceAll(/\s+/g, " ").trim()
  }
}

// Commands without results for machines know no --json. Their own failures still are objects.
const isAskedFor = (error: CliError.CliError): boolean =>
  error._tag === "UnrecognizedOption" && error.option === "--json"

const hints = (errors: ReadonlyArray<CliError.CliError>, helpDoc: HelpDoc.HelpDoc | undefined): ReadonlyArray<string> =>
  errors.flatMap((error) => {
    if (error._tag === "InvalidValue" && error.option === "set") return [FlagTerms.SET]
    const hint = error._tag === "UnrecognizedOption" && helpDoc !== undefined
      ? FlagTerms.hint(error.option, helpDoc)
      : undefined
    return hint === undefined ? [] : [hint]
  })

/** Makes the failure of a command line from the errors of the library. The presenter shows it, with hints from the help. */
export const of = ({ commandPath, errors, helpDoc }: Invocation): Failure => {
  const [program, ...verb] = commandPath
  const some = errors.some((one) => !isAskedFor(one)) ? errors.filter((one) => !isAskedFor(one)) : errors
  return new Failure({
    tag: some[0]!._tag,
    finding: some.map((one) => sentence(one, commandPath.join(" "))).join("; "),
    remedy: [...hints(some, helpDoc), `see ${[program, "help", ...verb].join(" ")}`].join("; "),
    code: USAGE,
    shown: true
  })
}

/** Gives command lines that were not understood their exit code, which otherwise is that of any failure. */
export const mapErrors = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
  Effect.mapError(
    self,
    (error) => error instanceof CliError.ShowHelp && error.errors.length > 0 ? of(error) : error
  )

// The library reads -x.jpg as the flags -x, -., -j, -p and -g.
const isDashed = (word: string): boolean => /^-[^-]./.test(word)

/**
 * Gives values that begin with a dash to the flags before them: `--images -1.jpg` is `--images=-1.jpg`. Fails for other words
 * that begin with one dash, since no command has flags of one letter.
 */
export const dashed = (words: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, Failure> => {
  const end = words.includes("--") ? words.indexOf("--") : words.length
  const joined = words.slice(0, end).reduce<ReadonlyArray<string>>((before, word) => {
    const last = before.at(-1)
    return isDashed(word) && last !== undefined && /^--[^=]+$/.test(last)
      ? [...before.slice(0, -1), `${last}=${word}`]
      : [...before, word]
  }, [])
  const lone = joined.find(isDashed)
  return lone === undefined ? Effect.succeed([...joined, ...words.slice(end)]) : Effect.fail(
    new Failure({
      tag: "UnrecognizedOption",
      finding: `"${lone}" begins with a dash, so it looks like a flag`,
      remedy: `write ./${lone} for a file of this name`,
      code: USAGE
    })
  )
}
