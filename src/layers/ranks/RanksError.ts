/** Failures of ranks. */
import { Runtime, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** There is no library of MPI, or it does not work. */
export class MpiUnavailable extends TaggedError<MpiUnavailable>()("MpiUnavailable", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `several ranks need a library of MPI: ${this.detail}`
  }
  get remedy() {
    return "run \"patchword setup mpi\", and start the ranks with its mpiexec, or name the library of your own MPI"
  }
}

/** The library does not find the ranks that were started: it is of another MPI than the program that started them. */
export class OtherLauncher extends TaggedError<OtherLauncher>()("OtherLauncher", {
  library: Schema.String,
  /** The number of ranks that were started, and that the library finds. */
  started: Schema.Int,
  found: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `${this.started} ranks were started, but ${this.library} finds ${this.found}`
  }
  get remedy() {
    return "start the ranks with the mpiexec of that library, or with srun --mpi=pmi2, or name the library of the program that starts them"
  }
}

/** A rank has said nothing for too long. */
export class RankLost extends TaggedError<RankLost>()("RankLost", { rank: Schema.Int, seconds: Schema.Finite }) {
  override readonly [Runtime.errorExitCode] = 75
  get finding() {
    return `rank ${this.rank} has said nothing for ${this.seconds} s: it was killed, it was stopped, or its machine hangs`
  }
  get remedy() {
    return "start all ranks again; they go on from the last checkpoint"
  }
}

/** Not all ranks have met. */
export class RanksMissing extends TaggedError<RanksMissing>()("RanksMissing", { seconds: Schema.Finite }) {
  override readonly [Runtime.errorExitCode] = 75
  get finding() {
    return `not all ranks have met within ${this.seconds} s: one has ended before, does something else, or was not started`
  }
  get remedy() {
    return "see what the other ranks say, and start all ranks again with one command"
  }
}

/** A rank has failed. It says itself why. */
export class RankFailed extends TaggedError<RankFailed>()("RankFailed", { rank: Schema.Int, code: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.code
  get finding() {
    return `rank ${this.rank} has ended with the exit code ${this.code}`
  }
  get remedy() {
    return `see what rank ${this.rank} says, and start all ranks again`
  }
}

/** A rank differs from rank 0. */
export class OtherRank extends TaggedError<OtherRank>()("OtherRank", {
  rank: Schema.Int,
  what: Schema.String,
  /** The values of rank 0 as `stored`, and those of the rank as `asked`. */
  differences: Schema.Array(Json.Difference)
}) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    const told = this.differences.map(({ asked, key, stored }) => `${key} is ${stored} on rank 0, ${asked} here`)
    return `rank ${this.rank} has another ${this.what} than rank 0 (${told.join("; ")})`
  }
  get remedy() {
    return "give all ranks the same program, the same options and the same files"
  }
}

/** The ranks cannot work together. The exit code is that of the reason. */
export class RanksError extends TaggedError<RanksError>()("RanksError", {
  reason: Schema.Union([MpiUnavailable, OtherLauncher, RanksMissing, RankLost, RankFailed, OtherRank])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason.finding
  }
  get remedy() {
    return this.reason.remedy
  }
}
