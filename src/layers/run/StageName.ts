/**
 * Names of stages. They are part of file names, so they consist of letters, digits, `_`, `-` and dots, and begin with a
 * letter or digit.
 */
import { Effect, Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** A stage cannot have this name. */
export class StageNameInvalid extends TaggedError<StageNameInvalid>()("StageNameInvalid", {
  stage: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `a stage cannot be named "${this.stage}"`
  }
  get remedy() {
    return "choose a name of letters, digits, _, - and . that begins with a letter or a digit"
  }
}

/** Checks that a name can be part of file names. */
export const check = (stage: string): Effect.Effect<void, StageNameInvalid> =>
  /^[A-Za-z0-9][\w.-]*$/.test(stage) ? Effect.void : Effect.fail(new StageNameInvalid({ stage }))
