/**
 * `npm run bench -- NAME [arguments]`: runs a benchmark of this folder, or lists them. The last lines of standard error tell if the
 * figures are not to be trusted, because the machine was not quiet.
 */
import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Conditions from "./conditions.ts"

const folder = new URL(".", import.meta.url)
const names = readdirSync(folder)
  .filter((file) =>
    file.endsWith(".ts") &&
    ![
      "charts.ts",
      "comparison.ts",
      "conditions.ts",
      "eventLoop.ts",
      "index.ts",
      "recorder.ts",
      "same.ts",
      "sizes.ts",
      "steps.ts",
      "syntheticAtlas.ts"
    ].includes(file)
  )
  .map((file) => file.slice(0, -3))
const [name, ...rest] = process.argv.slice(2)
if (name === undefined || !names.includes(name)) {
  process.stdout.write(`npm run bench -- NAME, one of: ${names.join(", ")}\n`)
  process.exit(name === undefined ? 0 : 64)
}
const file = fileURLToPath(new URL(`${name}.ts`, folder))
const end = Conditions.begin()
const { status } = spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", file, ...rest], {
  stdio: "inherit"
})
process.stderr.write(Conditions.told(end()))
process.exit(status ?? 1)
