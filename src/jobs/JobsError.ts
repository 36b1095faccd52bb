/** Errors of stores of jobs. None of them holds a password. */
import { Runtime, Schema } from "effect"
import { TaggedError } from "../domain/values/TaggedError.ts"
import * as Files from "../layers/files/Files.ts"
import * as Lock from "../layers/files/Lock.ts"

/** A package that the store needs is not installed. patchword itself needs none of them. */
export class PackageMissing extends TaggedError<PackageMissing>()("PackageMissing", {
  package: Schema.String,
  install: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the package ${this.package} is not installed`
  }
  get remedy() {
    return `run npm install ${this.install}`
  }
}

/** The name of a store is neither an address of PostgreSQL nor a folder. */
export class StoreInvalid extends TaggedError<StoreInvalid>()("StoreInvalid", {
  problem: Schema.String,
  advice: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `expected postgres://USER@HOST:PORT/DATABASE or a folder, ${this.problem}`
  }
  get remedy() {
    return this.advice ?? "correct the name of the store"
  }
}

/** The database does not answer, or refuses a query. */
export class Unreachable extends TaggedError<Unreachable>()("Unreachable", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the database does not do what is asked (${this.problem})`
  }
  get remedy() {
    return "check that it runs, and that the user may create tables in it"
  }
}

/** There is no job of this number. */
export class NoSuchJob extends TaggedError<NoSuchJob>()("NoSuchJob", { job: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no job ${this.job}`
  }
  get remedy() {
    return "patchword jobs list tells the numbers"
  }
}

/** The job is in a state in which this cannot be done. */
export class WrongState extends TaggedError<WrongState>()("WrongState", {
  job: Schema.Int,
  state: Schema.String,
  wanted: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `job ${this.job} is ${this.state}, and not ${this.wanted}`
  }
  get remedy() {
    return "patchword jobs show tells its state"
  }
}

/** A store of jobs cannot be used. The exit code is that of the reason. `store` has no password. */
export class JobsError extends TaggedError<JobsError>()("JobsError", {
  store: Schema.String,
  reason: Schema.Union([
    PackageMissing,
    StoreInvalid,
    Unreachable,
    NoSuchJob,
    WrongState,
    Lock.Locked,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return `store ${this.store}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}
