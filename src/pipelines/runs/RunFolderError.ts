/** Errors of reading run folders. */
import { Effect, Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"

/** The folder holds no run. */
export class NoRun extends TaggedError<NoRun>()("NoRun", {}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return "this folder holds no run: it lacks config.json or what a training writes beside it"
  }
  get remedy() {
    return "name a folder that a command has trained in (--out)"
  }
}

/** No run has the figure. */
export class NoFigure extends TaggedError<NoFigure>()("NoFigure", {
  figure: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no figure "${this.figure}"`
  }
  get remedy() {
    const { known } = this
    if (known.length === 0) return "evaluate first, for example by patchword evaluate"
    return `choose from ${known.slice(0, 12).join(", ")}${known.length > 12 ? `, and ${known.length - 12} more` : ""}`
  }
}

/** Run folders cannot be read, or lack what was asked for. The exit code is that of the reason. */
export class RunFolderError extends TaggedError<RunFolderError>()("RunFolderError", {
  run: Schema.String,
  reason: Schema.Union([NoRun, NoFigure, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { reason, run } = this
    if (reason._tag !== "FileError") return `${run}: ${reason.finding}`
    return reason.kind === "missing" && reason.path === run ? `${run}: there is no such run folder` : reason.finding
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the run folder to errors. */
export const within = (run: string) =>
  Effect.mapError((reason: RunFolderError["reason"]) => new RunFolderError({ run, reason }))
