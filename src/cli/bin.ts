#!/usr/bin/env node
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Logger } from "effect"
import { Command } from "effect/cli"
import { version } from "../domain/values/Version.ts"
import { patchword } from "./patchword.ts"
import * as Failure from "./terminal/Failure.ts"
import * as Output from "./terminal/Output.ts"
import * as Signals from "./terminal/Signals.ts"

Command.run(patchword, { version }).pipe(
  Failure.misuse,
  Output.orLost,
  Failure.reported,
  // Standard output is for results.
  Effect.provideService(Logger.LogToStderr, true),
  Effect.provide([NodeServices.layer, Output.layerPresenter]),
  Signals.runMain({ disableErrorReporting: true })
)
