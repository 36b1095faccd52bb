/** A stage's name is part of the names of its files: it has letters, digits, `_`, `-` and dots, and begins with a letter or digit. */
import { Effect, Runtime, Schema } from "effect"

/** A stage cannot have the name. Exits with 64. */
export class StageNameInvalid extends Schema.TaggedError<StageNameInvalid>()("StageNameInvalid", {
  stage: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `a stage cannot be named "${this.stage}"; expected a name of letters, digits, "_", "-" and "." that begins with ` +
      "a letter or a digit"
  }
}

/** Holds a name to what files can be called. */
export const check = (stage: string): Effect.Effect<void, StageNameInvalid> =>
  /^[A-Za-z0-9][\w.-]*$/.test(stage) ? Effect.void : Effect.fail(new StageNameInvalid({ stage }))
