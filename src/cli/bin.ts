#!/usr/bin/env node
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { version } from "../domain/Version.ts"
import { demo } from "./demo.ts"
import * as Failure from "./Failure.ts"

Command.make("patchword").pipe(
  Command.withDescription("BEiT v2: learn a visual vocabulary, pretrain by predicting it, and see what was learned"),
  Command.withSubcommands([demo]),
  Command.run({ version }),
  Failure.misuse,
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
