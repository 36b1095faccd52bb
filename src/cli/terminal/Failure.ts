/** How a failure reaches a person: one paragraph on standard error, and an exit code by kind. */
import { Cause, Effect, Exit, Predicate, Runtime, Schema } from "effect"
import { CliError } from "effect/cli"

/** A failure that says all it has to say in its message. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", { text: Schema.String, code: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [CliError.userMessage] = this.text
  override get message() {
    return this.text
  }
}

const codeOf = (error: unknown): number => {
  const code = Predicate.hasProperty(error, Runtime.errorExitCode) ? error[Runtime.errorExitCode] : undefined
  return typeof code === "number" ? code : 1
}

/** Every typed error as its message and exit code, without a stack trace. */
export const mapErrors = <A, E extends { readonly message: string }, R>(self: Effect.Effect<A, E, R>) =>
  Effect.mapError(self, (error) => new Failure({ text: error.message, code: codeOf(error) }))

/** A command line that was not understood; what is wrong with it has been shown. Exits with 64. */
export class Misuse extends Schema.TaggedError<Misuse>()("Misuse", {}) {
  override readonly [Runtime.errorExitCode] = 64
  override readonly [Runtime.errorReported] = false
}

/** Gives command lines that were not understood their exit code, which otherwise is that of any failure. */
export const misuse = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Misuse, R> =>
  Effect.mapError(self, (error) => error instanceof CliError.ShowHelp && error.errors.length > 0 ? new Misuse() : error)

const messageOf = (error: unknown): string =>
  Predicate.hasProperty(error, "message") ? String(error.message) : String(error)

const DEFECT = "this is a mistake in patchword, not in what it was given; please report it with these lines:"

/** Writes a failure that nobody has shown to the log, and of a defect its stack trace; also what an interruption brought. */
export const reported = <A, E extends { readonly message: string }, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.onExit(self, (exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void
    const error = Cause.squash(exit.cause)
    if (!Runtime.getErrorReported(error)) return Effect.void
    const known = !Cause.hasDies(exit.cause) || Predicate.hasProperty(error, Runtime.errorExitCode)
    return known ? Effect.logError(messageOf(error)) : Effect.logError(DEFECT, exit.cause)
  })
