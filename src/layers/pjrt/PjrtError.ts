/** Errors of plugins and of the functions that they have. */
import { Effect, Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { CODES } from "./PjrtCode.ts"

/** A function of the plugin failed. */
export class PjrtError extends TaggedError<PjrtError>()("PjrtError", {
  /** The name of the function, such as `PJRT_Client_Compile`. */
  call: Schema.String,
  code: Schema.Literals(CODES),
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
