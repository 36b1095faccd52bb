#!/usr/bin/env node
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { version } from "../domain/Version.ts"
import * as Failure from "./Failure.ts"
import { patchword } from "./patchword.ts"

Command.run(patchword, { version }).pipe(Failure.misuse, Effect.provide(NodeServices.layer), NodeRuntime.runMain)
