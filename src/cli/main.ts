/** Runs the command line. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import * as Launched from "./Launched.ts"
import * as Program from "./Program.ts"
import * as Output from "./terminal/Output.ts"
import * as Signals from "./terminal/Signals.ts"

const words = process.argv.slice(2)

const launched = Launched.of(process.env)
const stop = new AbortController()

Program.run(words, Output.orLost, launched && { as: launched, stop: stop.signal }).pipe(
  Effect.provide(NodeServices.layer),
  // Rank 0 decides after which step all of them stop.
  Signals.runMain(words, {
    ...(launched && { ranks: `${launched.start} -n ${launched.size}` }),
    ...(launched && launched.rank > 0 && { instead: () => stop.abort() })
  })({ disableErrorReporting: true })
)
