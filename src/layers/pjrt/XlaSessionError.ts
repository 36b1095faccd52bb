/** Errors of sessions on a device. */
import { Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { PjrtError } from "./PjrtError.ts"

/** The type or shape of an array is not that of the program. */
export class WrongArray extends TaggedError<WrongArray>()("WrongArray", {
  name: Schema.String,
  expected: Schema.String,
  given: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.name} must be ${this.expected} but is ${this.given}`
  }
  get remedy() {
    return "give it in this form"
  }
}

/** The compiled program does not return what its description says. */
export class WrongProgram extends TaggedError<WrongProgram>()("WrongProgram", {
  expected: Schema.String,
  given: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `the program must return ${this.expected} but returns ${this.given}`
  }
  get remedy() {
    return "correct its text or its ports"
  }
}

/** The program needs more memory than the device has. */
export class TooLarge extends TaggedError<TooLarge>()("TooLarge", {
  what: Schema.String,
  bytes: Schema.Finite,
  limit: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `${this.what} would take ${(this.bytes / 1e9).toPrecision(3)} GB, and the device has ${
      (this.limit / 1e9).toPrecision(3)
    } GB`
  }
  get remedy() {
    return "lower the batch size or choose a smaller network"
  }
}

/** A step failed after it had taken the memory of its state. */
export class StateLost extends TaggedError<StateLost>()("StateLost", { step: Schema.Int, reason: PjrtError }) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `step ${this.step} failed (${this.reason.finding}), and its state is lost`
  }
  get remedy() {
    return "load a saved state"
  }
}

export type XlaSessionError = PjrtError | WrongArray | StateLost
