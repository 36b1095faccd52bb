/** Errors of engines. */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { TaggedError } from "../../domain/values/TaggedError.ts"

/** The device does not have enough memory for the program or its batch. */
export class OutOfMemory extends TaggedError<OutOfMemory>()("OutOfMemory", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `there is not enough memory (${this.detail})`
  }
  get remedy() {
    return "lower the batch size or choose a smaller network"
  }
}

/** The step was not taken, because it is not the next one: a step before it failed. */
export class NotTaken extends TaggedError<NotTaken>()("NotTaken", {}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return "a step before this one failed, so this one was not taken"
  }
  get remedy() {
    return "take the failed step again"
  }
}

const METRICS = { loss: "loss", gradientNorm: "norm of the gradients" } as const

/** The metrics of a step that must be finite. */
export const FINITE = ["loss", "gradientNorm"] as const

/** The loss of a step, or the norm of its gradients, is not a finite number. */
export class NonFinite extends TaggedError<NonFinite>()("NonFinite", {
  step: Schema.Int,
  metric: Schema.Literals(FINITE),
  value: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `the ${METRICS[this.metric]} of step ${this.step} is ${this.value}`
  }
  get remedy() {
    return "lower the learning rate, or correct the images of the batch"
  }
}

/** The engine does not have this operation. */
export class UnsupportedOperation extends TaggedError<UnsupportedOperation>()("UnsupportedOperation", {
  operation: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `this engine cannot do ${this.operation}`
  }
  get remedy() {
    return "use another engine"
  }
}

/** The step cannot be compiled: it does something that only a running program, or no program, can do. */
export class NotTraceable extends TaggedError<NotTraceable>()("NotTraceable", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `the step cannot be compiled: ${this.problem}`
  }
  get remedy() {
    return "change the step, or use an engine that does not compile (reference)"
  }
}

/** The shapes of the step's operands do not fit together. */
export class WrongShape extends TaggedError<WrongShape>()("WrongShape", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `the step is wrong: ${this.problem}`
  }
  get remedy() {
    return "correct the shapes of the step"
  }
}

/** The handle was used after its scope had closed. */
export class Disposed extends TaggedError<Disposed>()("Disposed", {}) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return "the handle's scope is closed"
  }
  get remedy() {
    return "open a new handle"
  }
}

const INSTALL = "install what it needs, or choose \"cpu\""

/** The runtime of an engine cannot be loaded. */
export class ProviderUnavailable extends TaggedError<ProviderUnavailable>()("ProviderUnavailable", {
  provider: Schema.String,
  detail: Schema.String,
  /** The action that helps. */
  remedy: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(INSTALL)))
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the provider "${this.provider}" cannot be used (${this.detail})`
  }
}

/** The engine does not train together with other ranks. */
export class RanksUnavailable extends TaggedError<RanksUnavailable>()("RanksUnavailable", { engine: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the engine ${this.engine} does not train with other ranks`
  }
  get remedy() {
    return "use ONNX Runtime (--engine onnx) or XLA with one device (--engine xla), or start one rank"
  }
}

/** XLA cannot sum values over all ranks inside of its programs here. */
export class CollectivesUnavailable extends TaggedError<CollectivesUnavailable>()("CollectivesUnavailable", {
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `collectives inside of XLA's programs cannot be used: ${this.problem}`
  }
  get remedy() {
    return "use them on NVIDIA's GPUs (--platform cuda) with several ranks of MPI, or leave them out (--collectives host)"
  }
}

/** This processor or this engine does not have the precision. */
export class PrecisionUnavailable extends TaggedError<PrecisionUnavailable>()("PrecisionUnavailable", {
  precision: Schema.String,
  detail: Schema.String,
  /** The action that helps. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the precision "${this.precision}" cannot be used (${this.detail})`
  }
}

/** The type or shape of an input is not the one that the program expects. */
export class BadInput extends TaggedError<BadInput>()("BadInput", {
  input: Schema.String,
  expected: Schema.String,
  given: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.input} must be ${this.expected} but is ${this.given}`
  }
  get remedy() {
    return "give it in this form"
  }
}

/** The devices of an engine, or several ranks, cannot share the batch equally. */
export class UnevenBatch extends TaggedError<UnevenBatch>()("UnevenBatch", {
  /** The array of the batch, and the number of its rows. */
  array: Schema.String,
  rows: Schema.Int,
  among: Schema.Literals(["devices", "ranks"]),
  count: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `${this.count} ${this.among} cannot share the ${this.rows} rows of batch.${this.array} equally`
  }
  get remedy() {
    return `choose a batch size that is a multiple of ${this.count} (batchSize), or another number of ${this.among}`
  }
}

/** An index or a label of the batch is outside of the array that it counts in. */
export class IndexOutOfRange extends TaggedError<IndexOutOfRange>()("IndexOutOfRange", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `an index is out of range (${this.detail})`
  }
  get remedy() {
    return "correct the indices and labels of the batch"
  }
}

/** A model keeps its weights in other files (external data), and these were not given or cannot be read. */
export class ExternalDataMissing extends TaggedError<ExternalDataMissing>()("ExternalDataMissing", {
  places: Schema.Array(Schema.String),
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the model keeps numbers outside of its file (${this.places.join(", ")}), ${this.problem}`
  }
  get remedy() {
    return "save it in one file, or give all of its files with it"
  }
}

/** The engine's worker thread has ended. */
export class WorkerLost extends TaggedError<WorkerLost>()("WorkerLost", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the engine's worker thread has ended (${this.detail})`
  }
  get remedy() {
    return "build the engine's layer again"
  }
}

/** An earlier step failed while it wrote the next state. */
export class StateCorrupted
  extends TaggedError<StateCorrupted>()("StateCorrupted", { step: Schema.Int, detail: Schema.String })
{
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return `step ${this.step} failed (${this.detail}) and may have left its state half written`
  }
  get remedy() {
    return "open a new handle with a saved state"
  }
}

/** Any other error of the runtime. */
export class Failed extends TaggedError<Failed>()("Failed", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 70
  get finding() {
    return this.detail
  }
  get remedy() {
    return "try another engine (--engine), or report this"
  }
}

/** The reason of an `EngineError`. */
export const Reason = Schema.Union([
  OutOfMemory,
  NonFinite,
  NotTaken,
  UnsupportedOperation,
  NotTraceable,
  WrongShape,
  Disposed,
  ProviderUnavailable,
  RanksUnavailable,
  CollectivesUnavailable,
  PrecisionUnavailable,
  BadInput,
  UnevenBatch,
  IndexOutOfRange,
  ExternalDataMissing,
  WorkerLost,
  StateCorrupted,
  Failed
])
export type Reason = typeof Reason.Type

/** An engine failed. The exit code is that of the reason. */
export class EngineError extends TaggedError<EngineError>()("EngineError", {
  /** The name of the step or the model. */
  program: Schema.String,
  reason: Reason
}) {
  override readonly [Runtime.errorExitCode]: number = this.reason[Runtime.errorExitCode]
  get finding() {
    return `engine, ${this.program}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Fails with `RanksUnavailable`. */
export const noRanks = (engine: string): Effect.Effect<never, EngineError> =>
  Effect.fail(new EngineError({ program: "start", reason: new RanksUnavailable({ engine }) }))
