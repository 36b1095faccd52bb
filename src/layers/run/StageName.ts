/**
 * Names of stages. They are part of file names, so they consist of letters, digits, `_`, `-` and dots, and begin with a
 * letter or digit.
 */
import { Effect, Runtime, Schema } from "effect"

/** A stage cannot have this name. */
export class StageNameInvalid extends Schema.TaggedError<StageNameInvalid>()("StageNameInvalid", {
  stage: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `a stage cannot be named "${this.stage}"; expected a name of letters, digits, "_", "-" and "." that begins with ` +
      "a letter or a digit"
  }
}

/** Checks that a name can be part of file names. */
export const check = (stage: string): Effect.Effect<void, StageNameInvalid> =>
  /^[A-Za-z0-9][\w.-]*$/.test(stage) ? Effect.void : Effect.fail(new StageNameInvalid({ stage }))
