/** Why an engine could not do what it was asked. */
import { Runtime, Schema } from "effect"

/** The device has not enough memory for the program or its batch. Exits with 70. */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>()("OutOfMemory", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `there is not enough memory (${this.detail}); lower the batch size or choose a smaller network`
  }
}

/** The loss of a step or the norm of its gradients is not a finite number. Exits with 70. */
export class NonFinite extends Schema.TaggedError<NonFinite>()("NonFinite", {
  step: Schema.Int,
  metric: Schema.Literals(["loss", "gradientNorm"]),
  value: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `the ${this.metric} of step ${this.step} is ${this.value}; lower the learning rate or look at the batch`
  }
}

/** The engine has no such operation. Exits with 69. */
export class UnsupportedOperation extends Schema.TaggedError<UnsupportedOperation>()("UnsupportedOperation", {
  operation: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `this engine cannot do ${this.operation}; use another engine`
  }
}

/** The step does what only a running program could, or what no program can. Exits with 70. */
export class NotTraceable extends Schema.TaggedError<NotTraceable>()("NotTraceable", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `the step cannot be compiled: ${this.problem}`
  }
}

/** The step's operands do not fit together. Exits with 70. */
export class WrongShape extends Schema.TaggedError<WrongShape>()("WrongShape", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `the step is wrong: ${this.problem}`
  }
}

/** The handle was used after its scope had closed. Exits with 70. */
export class Disposed extends Schema.TaggedError<Disposed>()("Disposed", {}) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return "the handle's scope is closed; open another handle"
  }
}

/** What should run programs cannot be loaded. Exits with 69. */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>()("ProviderUnavailable", {
  provider: Schema.String,
  detail: Schema.String,
  /** What to do. */
  remedy: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    const { detail, provider, remedy = "choose \"cpu\" or install what it needs" } = this
    return `the provider "${provider}" cannot be used (${detail}); ${remedy}`
  }
}

/** The precision cannot be had on this processor or by this engine. Exits with 69. */
export class PrecisionUnavailable extends Schema.TaggedError<PrecisionUnavailable>()("PrecisionUnavailable", {
  precision: Schema.String,
  detail: Schema.String,
  /** What to do. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `the precision "${this.precision}" cannot be used (${this.detail}); ${this.remedy}`
  }
}

/** An input is not what the program takes. Exits with 65. */
export class BadInput extends Schema.TaggedError<BadInput>()("BadInput", {
  input: Schema.String,
  expected: Schema.String,
  given: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.input} must be ${this.expected} but is ${this.given}`
  }
}

/** A model keeps numbers in other files, which were not given with it, or cannot be. Exits with 65. */
export class ExternalDataMissing extends Schema.TaggedError<ExternalDataMissing>()("ExternalDataMissing", {
  places: Schema.Array(Schema.String),
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `the model keeps numbers outside of its file (${this.places.join(", ")}), ${this.problem}; save it in ` +
      "one file, or give all of its files with it"
  }
}

/** The thread that ran programs has ended. Exits with 69. */
export class WorkerLost extends Schema.TaggedError<WorkerLost>()("WorkerLost", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `the engine's worker thread has ended (${this.detail}); build the engine's layer again`
  }
}

/** An earlier step ended while it wrote the next state. Exits with 70. */
export class StateCorrupted
  extends Schema.TaggedError<StateCorrupted>()("StateCorrupted", { step: Schema.Int, detail: Schema.String })
{
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `step ${this.step} failed (${this.detail}) and may have left its state half written; open another handle with ` +
      "a state that was saved before"
  }
}

/** Anything else that the runtime reports. Exits with 70. */
export class Failed extends Schema.TaggedError<Failed>()("Failed", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return this.detail
  }
}

/** Why an engine could not do what it was asked. */
export const Reason = Schema.Union([
  OutOfMemory,
  NonFinite,
  UnsupportedOperation,
  NotTraceable,
  WrongShape,
  Disposed,
  ProviderUnavailable,
  PrecisionUnavailable,
  BadInput,
  ExternalDataMissing,
  WorkerLost,
  StateCorrupted,
  Failed
])
export type Reason = typeof Reason.Type

/** An engine could not do what it was asked. The exit code is that of the reason. */
export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  /** The name of the step. */
  program: Schema.String,
  reason: Reason
}) {
  override readonly [Runtime.errorExitCode]: number = this.reason[Runtime.errorExitCode]
  override get message() {
    return `engine, ${this.program}: ${this.reason.message}`
  }
}
