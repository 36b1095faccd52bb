/** Errors of run folders. */
import { Effect, Runtime, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import type * as Weights from "../weights/Weights.ts"
import { StageNameInvalid } from "./StageName.ts"

/** Another training of the stage is at work in this program. */
export class StageBusy extends TaggedError<StageBusy>()("StageBusy", { stage: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `the stage ${this.stage} is being trained by this program already`
  }
  get remedy() {
    return "wait for it, or give one of the two another name"
  }
}

/** The folder belongs to a run with another configuration. */
export class OtherConfig extends TaggedError<OtherConfig>()("OtherConfig", {
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `it belongs to a run with another configuration (${Json.showDifferences(this.differences)})`
  }
  get remedy() {
    return "use that configuration to continue this run, or choose another run folder: its stages can take the weights of " +
      "this one"
  }
}

/** The folder holds other files than those of a run. */
export class NotARun extends TaggedError<NotARun>()("NotARun", { found: Schema.Array(Schema.String) }) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `it holds ${this.found.slice(0, 3).join(", ")}${this.found.length > 3 ? ", …" : ""} but no config.json, ` +
      "so it is not a run folder"
  }
  get remedy() {
    return "choose an empty or a new folder"
  }
}

/** A file of the folder differs from what was written. */
export class Unreadable extends TaggedError<Unreadable>()("Unreadable", {
  file: Schema.String,
  problem: Schema.String,
  /** What makes the file anew, if something does. */
  remake: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.file} is damaged (${this.problem})`
  }
  get remedy() {
    return this.remake ?? "restore it, or begin again in another folder"
  }
}

/** The folder was removed while the run was at work. */
export class FolderGone extends TaggedError<FolderGone>()("FolderGone", {}) {
  override readonly [Runtime.errorExitCode] = 74
  get finding() {
    return "the folder of the run is gone, so nothing can be written there"
  }
  get remedy() {
    return "put it back and run the command again, or begin again in another folder"
  }
}

/** A run folder cannot be used. The exit code is that of the reason. */
export class RunsError extends TaggedError<RunsError>()("RunsError", {
  directory: Schema.String,
  reason: Schema.Union([
    OtherConfig,
    NotARun,
    Lock.Locked,
    StageBusy,
    Unreadable,
    FolderGone,
    Files.FileError,
    StageNameInvalid
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    const { directory, reason } = this
    const named = reason._tag === "FileError" || reason._tag === "StageNameInvalid"
    return named ? reason.finding : `run folder ${directory}: ${reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Adds the run folder to errors. */
export const within = (directory: string) =>
  Effect.mapError((reason: RunsError["reason"]) => new RunsError({ directory, reason }))

/** Adds the run folder to errors, except to those of weights, which have reasons of their own. */
export const withinOrWeights = (directory: string) =>
  Effect.mapError((error: RunsError["reason"] | Weights.WeightsError) =>
    error._tag === "WeightsError" ? error : new RunsError({ directory, reason: error })
  )
