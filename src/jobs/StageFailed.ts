/** The failure of a stage of a job, as the store keeps it. */
import { Cause, Predicate, Runtime, Schema } from "effect"
import { TaggedError } from "../domain/values/TaggedError.ts"

/** A stage of a job failed. The exit code is that of its error. */
export class StageFailed extends TaggedError<StageFailed>()("StageFailed", {
  stage: Schema.String,
  /** The class of the error. */
  tag: Schema.String,
  problem: Schema.String,
  advice: Schema.String,
  code: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = this.code
  get finding() {
    return `stage ${this.stage}: ${this.problem}`
  }
  get remedy() {
    return this.advice
  }
}

const textAt = (error: unknown, key: string): string | undefined => {
  const found = Predicate.hasProperty(error, key) ? error[key] : undefined
  return typeof found === "string" ? found : undefined
}

/** Makes the failure of a stage from the cause of it. Defects are failures, too: another worker would meet them again. */
export const of = (stage: string, cause: Cause.Cause<unknown>): StageFailed => {
  const error = Cause.squash(cause)
  const code = Predicate.hasProperty(error, Runtime.errorExitCode) ? error[Runtime.errorExitCode] : undefined
  return new StageFailed({
    stage,
    tag: textAt(error, "tag") ?? textAt(error, "_tag") ?? "Defect",
    problem: textAt(error, "finding") ?? (error instanceof Error ? error.message : String(error)),
    advice: textAt(error, "remedy") ?? "report it with these lines",
    code: typeof code === "number" ? code : 1
  })
}
