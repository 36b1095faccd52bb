/**
 * Effect's diagnostics. The tool is fetched by name and version for each check: some of its optional packages are missing
 * from registries, and a lockfile that lists them would fail to install.
 *
 * Fails where the tool cannot be fetched. `npm run check:effect -- --offline` skips it there, except in CI.
 */
import { spawnSync } from "node:child_process"

const TOOL = "@effect/tsgo@0.45.0"
const run = (...args: ReadonlyArray<string>) =>
  spawnSync("npx", ["--yes", `--package=${TOOL}`, "effect-tsgo", ...args], { encoding: "utf8" })

const fetched = run("--version")
if (fetched.status !== 0) {
  const skip = process.argv.includes("--offline") && process.env["CI"] === undefined
  process.stderr.write(
    `${fetched.stderr}\nEFFECT DIAGNOSTICS DID NOT RUN: ${TOOL} could not be fetched from the npm registry.\n`
      + (skip ? "Skipped, as --offline says.\n" : "Go online, or skip them with: npm run check:effect -- --offline\n")
  )
  process.exit(skip ? 0 : 69)
}
const { status, stderr, stdout } = run("diagnostics", "--project", "tsconfig.json", "--strict")
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exit(status ?? 1)
