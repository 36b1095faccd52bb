/** Errors of engines. */
import { Runtime, Schema } from "effect"

/** The device does not have enough memory for the program or its batch. */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>()("OutOfMemory", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `there is not enough memory (${this.detail}); lower the batch size or choose a smaller network`
  }
}

/** The loss of a step, or the norm of its gradients, is not a finite number. */
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

/** The engine does not have this operation. */
export class UnsupportedOperation extends Schema.TaggedError<UnsupportedOperation>()("UnsupportedOperation", {
  operation: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `this engine cannot do ${this.operation}; use another engine`
  }
}

/** The step cannot be compiled: it does something that only a running program, or no program, can do. */
export class NotTraceable extends Schema.TaggedError<NotTraceable>()("NotTraceable", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `the step cannot be compiled: ${this.problem}`
  }
}

/** The shapes of the step's operands do not fit together. */
export class WrongShape extends Schema.TaggedError<WrongShape>()("WrongShape", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `the step is wrong: ${this.problem}`
  }
}

/** The handle was used after its scope had closed. */
export class Disposed extends Schema.TaggedError<Disposed>()("Disposed", {}) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return "the handle's scope is closed; open a new handle"
  }
}

/** The runtime of an engine cannot be loaded. */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>()("ProviderUnavailable", {
  provider: Schema.String,
  detail: Schema.String,
  /** The action that helps. */
  remedy: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    const { detail, provider, remedy = "install its requirements or choose \"cpu\"" } = this
    return `the provider "${provider}" cannot be used (${detail}); ${remedy}`
  }
}

/** This processor or this engine does not have the precision. */
export class PrecisionUnavailable extends Schema.TaggedError<PrecisionUnavailable>()("PrecisionUnavailable", {
  precision: Schema.String,
  detail: Schema.String,
  /** The action that helps. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `the precision "${this.precision}" cannot be used (${this.detail}); ${this.remedy}`
  }
}

/** The type or shape of an input is not the one that the program expects. */
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

/** A model keeps its weights in other files (external data), and these were not given or cannot be read. */
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

/** The engine's worker thread has ended. */
export class WorkerLost extends Schema.TaggedError<WorkerLost>()("WorkerLost", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  override get message() {
    return `the engine's worker thread has ended (${this.detail}); build the engine's layer again`
  }
}

/** An earlier step failed while it wrote the next state. */
export class StateCorrupted
  extends Schema.TaggedError<StateCorrupted>()("StateCorrupted", { step: Schema.Int, detail: Schema.String })
{
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return `step ${this.step} failed (${this.detail}) and may have left its state half written; open a new handle with ` +
      "a saved state"
  }
}

/** Any other error of the runtime. */
export class Failed extends Schema.TaggedError<Failed>()("Failed", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  override get message() {
    return this.detail
  }
}

/** The reason of an `EngineError`. */
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

/** An engine failed. The exit code is that of the reason. */
export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  /** The name of the step or the model. */
  program: Schema.String,
  reason: Reason
}) {
  override readonly [Runtime.errorExitCode]: number = this.reason[Runtime.errorExitCode]
  override get message() {
    return `engine, ${this.program}: ${this.reason.message}`
  }
}
