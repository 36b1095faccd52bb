/** Failures of a setup. */
import { Runtime, Schema } from "effect"

/** A part of a setup failed. Nothing half is left. */
export class SetupError extends Schema.TaggedError<SetupError>()("SetupError", {
  part: Schema.String,
  detail: Schema.String,
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `${this.part}: ${this.detail}; ${this.remedy}`
  }
}
