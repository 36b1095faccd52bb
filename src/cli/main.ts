/** Runs the command line. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import * as Program from "./Program.ts"
import * as Signals from "./terminal/Signals.ts"

const words = process.argv.slice(2)

Program.run(words).pipe(
  Effect.provide(NodeServices.layer),
  Signals.runMain(words)({ disableErrorReporting: true })
)
