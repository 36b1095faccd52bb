#!/usr/bin/env node
import { refusal } from "../NodeVersion.ts"

// Nothing else is imported before: what it calls may be missing in an older Node.js.
const refused = refusal(process.versions.node)
if (refused === undefined) await import("./main.ts")
else {
  process.stderr.write(`${refused}\n`)
  process.exitCode = 69
}
