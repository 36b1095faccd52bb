/**
 * Effect's diagnostics. The tool is fetched by name and version for each check: some of its optional packages are missing
 * from registries, and a lockfile that lists them would fail to install.
 */
import { spawnSync } from "node:child_process"

const TOOL = "@effect/tsgo@0.45.0"
const { error, status } = spawnSync(
  "npx",
  ["--yes", `--package=${TOOL}`, "effect-tsgo", "diagnostics", "--project", "tsconfig.json"],
  { stdio: "inherit" }
)
if (error !== undefined || status !== 0) {
  process.stderr.write(`Effect diagnostics failed, or ${TOOL} could not be fetched from the npm registry.\n`)
}
process.exit(status ?? 1)
