import { Console, Effect, Logger } from "effect"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import * as Output from "../../src/cli/terminal/Output.ts"
import * as Signals from "../../src/cli/terminal/Signals.ts"

const saving = {
  never: Effect.never,
  soon: Effect.sleep("200 millis"),
  nothing: Effect.void,
  lost: Effect.die(new Output.OutputLost({ problem: "the disk is full" }))
}

Effect.addFinalizer(() =>
  Effect.andThen(Console.log("saving"), saving[process.argv[2] as keyof typeof saving]).pipe(
    Effect.andThen(Console.log("saved"))
  )
).pipe(
  Effect.andThen(Console.log("begun")),
  Effect.andThen(Effect.never),
  Effect.scoped,
  Output.orLost,
  Failure.reported(false),
  Effect.provideService(Logger.LogToStderr, true),
  Signals.runMain(process.argv.slice(3))({ disableErrorReporting: true })
)
