/** Errors of plugins and of the functions that they have. */
import { Effect, Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** The codes of PJRT's errors, by their numbers. */
const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
] as const

export const Code = Schema.Literals(CODES)
export type Code = typeof Code.Type

/** Returns the code with a number. A number that PJRT does not have yet is `UNKNOWN`. */
export const codeOf = (number: bigint): Code => CODES[Number(number)] ?? "UNKNOWN"

/** A function of the plugin failed. */
export class PjrtError extends TaggedError<PjrtError>()("PjrtError", {
  /** The name of the function, such as `PJRT_Client_Compile`. */
  call: Schema.String,
  code: Code,
  /** The plugin's own message. */
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `${this.call}: ${this.detail} (${this.code})`
  }
  get remedy() {
    return this.code === "RESOURCE_EXHAUSTED"
      ? "lower the batch size or choose a smaller network"
      : "try another engine (--engine), or report this"
  }
}

/** The plugin cannot be loaded, or it does not have what the engine needs. */
export class PluginUnavailable extends TaggedError<PluginUnavailable>()("PluginUnavailable", {
  file: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the PJRT plugin ${this.file} cannot be used: ${this.problem}`
  }
}

/** Runs calls of a plugin. Fails with the `PjrtError` that they throw. Any other error is a defect. */
export const attempt = <A>(body: () => A): Effect.Effect<A, PjrtError> =>
  Effect.catchDefect(
    Effect.sync(body),
    (defect) => defect instanceof PjrtError ? Effect.fail(defect) : Effect.die(defect)
  )
