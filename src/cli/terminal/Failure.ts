/** Failures on standard error, once, for a person or a program, with an exit code by kind. */
import { Cause, Console, Effect, Exit, Predicate, Runtime, Schema } from "effect"
import { CliError } from "effect/cli"

/** A failure of a command: its message says all, its tag is that of the error or of its reason. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", {
  tag: Schema.String,
  text: Schema.String,
  code: Schema.Int,
  /** The file or the folder that it is about. */
  file: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [CliError.userMessage] = this.text
  override get message() {
    return this.text
  }
}

const PLACES = ["path", "file", "directory", "folder"] as const

const textAt = (error: object, key: string): string | undefined => {
  const found = Predicate.hasProperty(error, key) ? error[key] : undefined
  return typeof found === "string" ? found : undefined
}

/** An error and the reasons within it, outermost first. */
const reasons = (error: unknown): ReadonlyArray<object> => {
  if (typeof error !== "object" || error === null) return []
  return [error, ...(Predicate.hasProperty(error, "reason") ? reasons(error.reason) : [])]
}

// Some sources are flags, or the command line as a whole.
const isFile = (place: string): boolean => !place.startsWith("--") && !place.includes(" ") && /[./\\]/.test(place)

const fileOf = (error: unknown): string | undefined =>
  reasons(error).toReversed().flatMap((one) => {
    const source = textAt(one, "source")
    return [...PLACES.map((key) => textAt(one, key)), source !== undefined && isFile(source) ? source : undefined]
  }).find((place) => place !== undefined)

const codeOf = (error: unknown): number => {
  const code = Predicate.hasProperty(error, Runtime.errorExitCode) ? error[Runtime.errorExitCode] : undefined
  return typeof code === "number" ? code : 1
}

const tagOf = (error: unknown): string =>
  reasons(error).map((one) => textAt(one, "_tag")).findLast((tag) => tag !== undefined) ?? "Error"

/** Every typed error as its message and exit code, without a stack trace. */
export const mapErrors = <A, E extends { readonly message: string }, R>(self: Effect.Effect<A, E, R>) =>
  Effect.mapError(self, (error) => {
    const file = fileOf(error)
    return new Failure({
      tag: tagOf(error),
      text: error.message,
      code: codeOf(error),
      ...(file === undefined ? {} : { file })
    })
  })

/** A command line that was not understood. */
export class Misuse extends Schema.TaggedError<Misuse>()("Misuse", {
  tag: Schema.String,
  text: Schema.String,
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  override readonly [Runtime.errorReported] = false
  override get message() {
    return this.text
  }
}

// Commands without results for machines know no --json. Their own failures still are objects.
const isAskedFor = (error: CliError.NonShowHelpErrors): boolean =>
  error._tag === "UnrecognizedOption" && error.option === "--json"

/** Gives command lines that were not understood their exit code, which otherwise is that of any failure. */
export const misuse = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Misuse, R> =>
  Effect.mapError(self, (error) => {
    if (!(error instanceof CliError.ShowHelp) || error.errors.length === 0) return error
    const { commandPath: [program, ...verb], errors } = error
    const said = errors.some((one) => !isAskedFor(one)) ? errors.filter((one) => !isAskedFor(one)) : errors
    const sentence = ({ message }: { readonly message: string }) => message.replaceAll(/\s+/g, " ").trim()
    return new Misuse({
      tag: said[0]!._tag,
      text: said.map(sentence).join("; "),
      remedy: `see ${[program, "help", ...verb].join(" ")}`
    })
  })

const messageOf = (error: unknown): string =>
  Predicate.hasProperty(error, "message") ? String(error.message) : String(error)

const AGAIN = " Correct this and run again."

/** The part of a message that tells what to do. */
const remedyOf = (message: string): string | undefined => {
  if (message.endsWith(AGAIN)) return "correct this and run again"
  const at = message.replaceAll(/\((?:[^()]|\([^()]*\))*\)/g, (list) => "_".repeat(list.length)).indexOf("; ")
  return at < 0 ? undefined : message.slice(at + 2)
}

/** A failure as one object for a program. */
const object = (error: unknown): string => {
  const message = messageOf(error)
  const given = error instanceof Failure || error instanceof Misuse ? error : undefined
  return JSON.stringify({
    tag: given?.tag ?? tagOf(error),
    message,
    file: given instanceof Failure ? given.file : fileOf(error),
    remedy: given instanceof Misuse ? given.remedy : remedyOf(message),
    exitCode: codeOf(error)
  })
}

const DEFECT = "this is a bug in patchword, not in its input; please report it with these lines:"

/**
 * Writes a failure that nobody has shown to standard error, and of a defect its stack trace; also what an interruption brought.
 * For a program, every failure is one JSON object in a line.
 */
export const reported =
  (machine: boolean) =>
  <A, E extends { readonly message: string }, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.onExit(self, (exit) => {
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void
      const error = Cause.squash(exit.cause)
      const known = !Cause.hasDies(exit.cause) || Predicate.hasProperty(error, Runtime.errorExitCode)
      const silent = !Runtime.getErrorReported(error)
      if (machine && (!silent || error instanceof Misuse)) {
        const said = object(known ? error : { _tag: "Defect", message: `${DEFECT} ${Cause.pretty(exit.cause)}` })
        return Console.error(said)
      }
      if (silent) return Effect.void
      return known ? Effect.logError(messageOf(error)) : Effect.logError(DEFECT, exit.cause)
    })
