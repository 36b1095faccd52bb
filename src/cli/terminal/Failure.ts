/** Failures on standard error, once, for a person or a program, with an exit code by kind. */
import { Cause, Console, Effect, Exit, Predicate, Runtime, Schema } from "effect"
import { CliError, CliOutput } from "effect/cli"
import { TaggedError, type Told } from "../../domain/values/TaggedError.ts"
import * as Layout from "./Layout.ts"

/** A failure of a command. */
export class Failure extends TaggedError<Failure>()("Failure", {
  /** The class of the error, or of its innermost reason. */
  tag: Schema.String,
  finding: Schema.String,
  remedy: Schema.String,
  code: Schema.Int,
  /** The file or the folder that it is about. */
  file: Schema.optionalKey(Schema.String),
  /** True if it is on standard error already. */
  shown: Schema.optionalKey(Schema.Boolean)
}) {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [Runtime.errorReported] = this.shown !== true
}

const textAt = (error: object, key: string): string | undefined => {
  const found = Predicate.hasProperty(error, key) ? error[key] : undefined
  return typeof found === "string" ? found : undefined
}

/** An error and the reasons within it, outermost first. */
const reasons = (error: unknown): ReadonlyArray<object> => {
  if (typeof error !== "object" || error === null) return []
  return [error, ...(Predicate.hasProperty(error, "reason") ? reasons(error.reason) : [])]
}

const FOLDERS = ["path", "directory", "folder", "run"] as const

// Some sources are flags, stages, or the name of a collection.
const isFile = (place: string): boolean => !place.startsWith("--") && !place.includes(" ") && /[./\\]/.test(place)

/** The file or the folder that an error is about. Some errors name a file of the folder that an outer one names. */
const fileOf = (error: unknown): string | undefined => {
  const all = reasons(error).toReversed()
  const source = all.map((one) => textAt(one, "source")).find((one) => one !== undefined && isFile(one))
  const folder = all.flatMap((one) => FOLDERS.map((key) => textAt(one, key))).find((one) => one !== undefined)
  const file = all.map((one) => textAt(one, "file")).find((one) => one !== undefined)
  return file === undefined
    ? folder ?? source
    : folder === undefined || /[/\\]/.test(file)
    ? file
    : `${folder}/${file}`
}

const codeOf = (error: unknown): number => {
  const code = Predicate.hasProperty(error, Runtime.errorExitCode) ? error[Runtime.errorExitCode] : undefined
  return typeof code === "number" ? code : 1
}

const tagOf = (error: unknown): string =>
  reasons(error).map((one) => textAt(one, "_tag")).findLast((tag) => tag !== undefined) ?? "Error"

/** Makes the failure of a typed error. */
export const of = (error: Told): Failure => {
  const { finding, remedy } = error
  const file = fileOf(error)
  return new Failure({
    tag: tagOf(error),
    finding,
    remedy,
    code: codeOf(error),
    ...(file === undefined ? {} : { file })
  })
}

/** Tells a failure in other words. */
export const retold = (tell: (text: string) => string) => (failure: Failure): Failure => {
  const { code, file, finding, remedy, shown, tag } = failure
  return new Failure({
    tag,
    code,
    finding: tell(finding),
    remedy: tell(remedy),
    ...(file === undefined ? {} : { file: tell(file) }),
    ...(shown === undefined ? {} : { shown })
  })
}

/** Turns every typed error into a {@link Failure}. */
export const mapErrors = <A, E extends Told, R>(self: Effect.Effect<A, E, R>) => Effect.mapError(self, of)

const object = ({ code: exitCode, file, message, remedy, tag }: Failure): string =>
  JSON.stringify({ tag, message, file, remedy, exitCode })

/** Writes a failure to standard error: one JSON object in a line for a program (`machine`), else as text. */
export const show = (machine: boolean) => (failure: Failure): Effect.Effect<void> =>
  Console.error(
    machine
      ? object(failure)
      // By itself, the library goes by standard output.
      : CliOutput.defaultFormatter({ colors: process.stderr.isTTY && !process.env["NO_COLOR"] }).formatError(
        new CliError.UserError({
          cause: failure,
          userMessage: failure.message.split("\n").map(Layout.plain).join("\n")
        })
      )
  )

const BUG = "this is a bug in patchword, not in its input"

const isTold = (error: unknown): error is Told =>
  Predicate.hasProperty(error, "finding") && Predicate.hasProperty(error, "remedy")

/**
 * Writes a failure that nobody has shown to standard error, and of a defect its stack trace; also what an interruption brought.
 * For a program, every failure is one JSON object in a line.
 */
export const reported = (machine: boolean) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onExit(self, (exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void
    const error = Cause.squash(exit.cause)
    if (!Runtime.getErrorReported(error)) return Effect.void
    if (isTold(error)) return show(machine)(error instanceof Failure ? error : of(error))
    const remedy = "report it with these lines"
    return machine
      ? show(true)(new Failure({ tag: "Defect", finding: `${BUG}: ${Cause.pretty(exit.cause)}`, remedy, code: 1 }))
      : Effect.logError(`${BUG}; ${remedy}:`, exit.cause)
  })
