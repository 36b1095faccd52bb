import { Console, Effect } from "effect"
import * as Signals from "../../src/cli/Signals.ts"

const saving = { never: Effect.never, soon: Effect.sleep("200 millis"), nothing: Effect.void }

Effect.addFinalizer(() =>
  Effect.andThen(Console.log("saving"), saving[process.argv[2] as keyof typeof saving]).pipe(
    Effect.andThen(Console.log("saved"))
  )
).pipe(
  Effect.andThen(Console.log("begun")),
  Effect.andThen(Effect.never),
  Effect.scoped,
  Signals.runMain
)
