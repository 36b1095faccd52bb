#!/usr/bin/env node
import { refusal, REMEDY } from "../NodeVersion.ts"

// Nothing else is imported before: what it calls may be missing in an older Node.js.
const refused = refusal(process.versions.node)
if (refused === undefined) await import("./main.ts")
else {
  const exitCode = 69
  const object = { tag: "NodeTooOld", message: refused, remedy: REMEDY, exitCode }
  process.stderr.write(`${process.argv.includes("--json") ? JSON.stringify(object) : refused}\n`)
  process.exitCode = exitCode
}
