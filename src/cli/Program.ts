/** The whole program: a command line is run, and its failure is said once. */
import { Effect, Logger } from "effect"
import { Command } from "effect/cli"
import { version } from "../domain/values/Version.ts"
import * as Job from "./Job.ts"
import { patchword } from "./patchword.ts"
import * as Failure from "./terminal/Failure.ts"
import * as Misuse from "./terminal/Misuse.ts"
import * as Output from "./terminal/Output.ts"

/**
 * Runs the words of a command line. With `--json` among them, a failure is one JSON object on standard error. `guard` watches the
 * standard streams, which a process does once. `job` is given if it is one of several ranks.
 */
export const run = (
  words: ReadonlyArray<string>,
  guard: typeof Output.orLost = Output.orLost,
  job?: Job.Job | undefined
) => {
  const machine = words.includes("--json")
  // Help has no results for a machine.
  const asked = words[0] === "help" ? words.filter((word) => word !== "--json") : words
  return Misuse.dashed(asked).pipe(
    Effect.flatMap(Command.runWith(job === undefined ? patchword : Job.guarded(job, words)(patchword), { version })),
    Misuse.mapErrors,
    (command) => job === undefined ? command : Job.run(job, words, machine)(command),
    guard,
    Failure.reported(machine),
    // Standard output is for results.
    Effect.provideService(Logger.LogToStderr, true),
    Effect.provideService(Logger.CurrentLoggers, new Set([Output.notes, Logger.tracerLogger])),
    Effect.provide(Output.layer(machine))
  )
}
