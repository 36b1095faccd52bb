/** Packs what the measurement needs of npm into one archive, for a machine that cannot reach npm. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const NODE = "node_modules/node/bin/node"
const UNUSED = ["*.map", "*.ts", "*.md", "ai-docs", "*.min.js"]

/** Notes the address of each module that a process and its threads load. */
const hook = (list: string): string =>
  `data:text/javascript,${
    encodeURIComponent(
      `import { registerHooks } from "node:module"
       import { appendFileSync } from "node:fs"
       registerHooks({ load(url, context, next) {
         appendFileSync(${JSON.stringify(list)}, url + "\\n")
         return next(url, context)
       } })`
    )
  }`

/** The folders of packages that a list of modules belongs to, from the root of the repository. */
export const packagesOf = (modules: ReadonlyArray<string>): ReadonlyArray<string> =>
  [
    ...new Set(modules.flatMap((url) => /\/(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []))
  ].toSorted()

const run = (
  command: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): void => {
  const { status } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", 2]
  })
  if (status !== 0) throw new Error(`${command} ${args[0]} failed`)
}

/** Packs Node.js and the packages that the measurement loads. An engine is started once, to see which. */
export const pack = (file: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-pack-"))
  try {
    const list = join(folder, "modules")
    const probe = {
      model: "tiny",
      stage: "mim",
      batch: 1,
      precision: "fp32",
      engine: "xla",
      device: "cpu",
      probe: true
    }
    const hooked = { NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${hook(list)}` }
    run(process.execPath, ["benchmarks/gpu.ts", "--plan"], hooked)
    run(process.execPath, ["benchmarks/gpu/step.ts", JSON.stringify(probe)], hooked)
    const packages = packagesOf(readFileSync(list, "utf8").split("\n"))
    run("tar", ["-cJf", file, ...UNUSED.map((name) => `--exclude=${name}`), NODE, ...packages], { XZ_OPT: "-T0" })
    return `${file}: ${Math.round(statSync(file).size / 1e6)} MB with Node.js and ${packages.length} packages`
  } finally {
    rmSync(folder, { recursive: true })
  }
}
