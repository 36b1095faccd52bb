/** Runs the command line. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Stdio } from "effect"
import * as Program from "./Program.ts"
import * as Signals from "./terminal/Signals.ts"

Stdio.Stdio.pipe(
  Effect.flatMap(({ args }) => args),
  Effect.flatMap(Program.run),
  Effect.provide(NodeServices.layer),
  Signals.runMain({ disableErrorReporting: true })
)
