/** Standard output and standard error, and what happens when nobody reads them or they cannot be written. */
import { Console, Effect, Exit, Fiber, Layer, Logger, Runtime, Schema } from "effect"
import { CliOutput } from "effect/cli"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Failure from "./Failure.ts"
import * as HelpText from "./HelpText.ts"
import * as Misuse from "./Misuse.ts"

/** The program that read the output has ended, as `head` does after some lines. Nothing is printed then. */
export class PipeClosed extends TaggedError<PipeClosed>()("PipeClosed", {}) {
  override readonly [Runtime.errorExitCode] = 141
  override readonly [Runtime.errorReported] = false
  get finding() {
    return "the program that read the output has ended"
  }
  get remedy() {
    return "let it read all of the output"
  }
}

/** The output could not be written, say on a full disk. */
export class OutputLost extends TaggedError<OutputLost>()("OutputLost", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 74
  get finding() {
    return `the output cannot be written (${this.problem})`
  }
  get remedy() {
    return "free some space or choose another place for it"
  }
}

const lost = ({ code, message }: NodeJS.ErrnoException) =>
  code === "EPIPE" ? new PipeClosed({}) : new OutputLost({ problem: message })

const streams = [process.stdout, process.stderr]

// A stream tells of a failure after the write has returned, when a program whose last act it was has ended.
const written = Effect.forEach(streams, (stream) =>
  Effect.callback<void, PipeClosed | OutputLost>((resume) => {
    stream.write("", (error) => {
      const failure = stream.errored ?? error
      resume(failure == null ? Effect.void : Effect.fail(lost(failure)))
    })
  }), { discard: true })

/**
 * Interrupts a program as soon as its output is lost, and fails with `PipeClosed` or `OutputLost`. What else interrupts it, it
 * ends with its own exit: a race would forget what its finalizers failed with.
 */
export const orLost = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | PipeClosed | OutputLost, R> =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const fiber = yield* Effect.forkChild(restore(Effect.tap(self, written)))
    let failure: PipeClosed | OutputLost | undefined
    let interrupted = false
    // What ends meanwhile may write as well, so these are never taken away.
    for (const stream of streams) {
      stream.on("error", (error) => {
        // A terminal that closes sends a signal, and takes the output away.
        if (!interrupted) failure ??= lost(error)
        fiber.interruptUnsafe(fiber.id)
      })
    }
    yield* restore(Fiber.await(fiber)).pipe(
      Effect.onInterrupt(() => {
        interrupted = true
        return Fiber.interrupt(fiber)
      }),
      Effect.exit
    )
    const exit = yield* Fiber.await(fiber)
    return yield* failure !== undefined && Exit.hasInterrupts(exit) ? Effect.fail(failure) : exit
  }))

/** Writes notes of the library as plain lines, as the commands write theirs, and all else with its time and its level. */
export const notes: Logger.Logger<unknown, void> = Logger.make((options) => {
  const { cause, fiber, logLevel, message } = options
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  const plain = logLevel === "Info" && cause.reasons.length === 0 && parts.every((part) => typeof part === "string")
  return plain ? fiber.getRef(Console.Console).error(parts.join(" ")) : Logger.defaultLogger.log(options)
})

const formatter: CliOutput.Formatter = { ...CliOutput.defaultFormatter(), formatHelpDoc: HelpText.format }

/**
 * Says on standard error what is wrong with a command line: standard output is for results. A `machine` gets no help that it did
 * not ask for.
 */
export const layer = (machine: boolean): Layer.Layer<never> =>
  Layer.merge(
    CliOutput.layer(formatter),
    CliOutput.layerPresenter({
      present: (event) => {
        if (event._tag === "InvalidInvocation") return Failure.show(machine)(Misuse.of(event))
        return machine && event._tag === "Help" && event.reason === "Implicit"
          ? Effect.void
          : CliOutput.defaultPresenter.present(event)
      }
    })
  )
