/**
 * Signals of the process. The first one interrupts the program, which saves its state and ends with the signal's exit code: 129
 * after SIGHUP (a terminal that closes), 130 after SIGINT (Ctrl-C), 143 after SIGTERM; where saving fails, with that
 * failure's code. One that comes a second later or more
 * ends it at once.
 */
import { Cause, Exit, Runtime } from "effect"

const CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
type Signal = keyof typeof CODES
const SIGNALS = Object.keys(CODES) as ReadonlyArray<Signal>

// A terminal sends Ctrl-C to a program and to npm, which hands it on: for so long, another signal is the same one again.
const SAME_MILLIS = 1000

const TRAINING: ReadonlySet<string> = new Set(["demo", "tokenizer", "pretrain", "finetune"])

const stopping = (verb: string): string =>
  TRAINING.has(verb)
    ? "stopping: the training saves its state first. Press Ctrl-C again to end at once; the steps since the last checkpoint " +
      "are then taken again\n"
    : "stopping: the work on the present images ends first. Press Ctrl-C again to end at once\n"

/** Runs the program of a verb as that of the process. */
export const runMain = (verb: string) =>
  Runtime.makeRunMain(({ fiber, teardown }) => {
    let received: Signal | undefined
    const leave = (signals: ReadonlyArray<Signal>) => {
      for (const signal of signals) process.removeListener(signal, onSignal)
    }
    const onSignal = (signal: Signal) => {
      if (received !== undefined) return
      received = signal
      fiber.interruptUnsafe(fiber.id)
      // A terminal that closes may say so twice, and what is saved then is not to be lost by it.
      const again = setTimeout(() => {
        leave(["SIGINT", "SIGTERM"])
        process.stderr.write(stopping(verb))
      }, SAME_MILLIS)
      fiber.addObserver(() => clearTimeout(again))
    }
    for (const signal of SIGNALS) process.on(signal, onSignal)
    fiber.addObserver((exit) => {
      leave(SIGNALS)
      teardown(exit, (code) => {
        const stopped = received !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        const ended = stopped ? CODES[received!] : code
        if (received !== undefined || ended !== 0) process.exit(ended)
      })
    })
  })
