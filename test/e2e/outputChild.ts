import { Console, Effect, Logger } from "effect"
import { writeFileSync } from "node:fs"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import * as Output from "../../src/cli/terminal/Output.ts"
import * as Signals from "../../src/cli/terminal/Signals.ts"

const [file = ""] = process.argv.slice(2)

const lines = Effect.forever(Effect.andThen(Console.log("x".repeat(1000)), Effect.yieldNow))

Effect.addFinalizer(() => Effect.sync(() => writeFileSync(file, "ended"))).pipe(
  Effect.andThen(lines),
  Effect.scoped,
  Output.orLost,
  Failure.reported(false),
  Effect.provideService(Logger.LogToStderr, true),
  Signals.runMain(["encode"])({ disableErrorReporting: true })
)
