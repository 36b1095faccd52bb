/** Failures of a setup. */
import { Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** A part of a setup failed. Nothing half is left. */
export class SetupError extends TaggedError<SetupError>()("SetupError", {
  part: Schema.String,
  detail: Schema.String,
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `${this.part}: ${this.detail}`
  }
}
