import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { checkout, commandOf } from "./checkout.ts"
import { examples, publicModules, root } from "./rules.ts"

const modules = ["shapes", "domain", "nn", "layers", "pipelines", "jobs", "studio", "laws"].flatMap(publicModules)
const folder = mkdtempSync(join(tmpdir(), "patchword-examples-"))

mkdirSync(join(folder, "node_modules"))
for (const name of ["@effect", "@tensorflow", "effect", "fast-check"]) {
  symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name))
}
symlinkSync(root, join(folder, "node_modules/patchword"))

const written = modules.flatMap((module) =>
  examples(module).map((example, index) => {
    const file = join(folder, `${module.path.replaceAll("/", "-").slice(0, -3)}-${index}.ts`)
    writeFileSync(file, example)
    return { path: module.path, file }
  })
)

const flags = ["--disable-warning=ExperimentalWarning", "--conditions=patchword-source"]

const runner = `
import * as tf from "${import.meta.resolve("@tensorflow/tfjs-core")}"
tf.env().set("PROD", true)
const failures = {}
for (const [file, path] of JSON.parse(process.argv[1])) {
  await import(file).catch((error) => { failures[path] = String(error) })
}
process.stderr.write(JSON.stringify(failures))
process.exit(0)
`

describe("the examples of the module headers", () => {
  afterAll(() => rmSync(folder, { recursive: true }))

  it("exist in every public module but those that only a run can show", () => {
    assert.deepStrictEqual(
      modules.filter((module) => examples(module).length === 0).map(({ path }) => path),
      [
        "src/pipelines/atlas/views/CodeList.ts",
        "src/pipelines/atlas/views/ImageCodes.ts",
        "src/pipelines/atlas/views/ImageTiles.ts",
        "src/pipelines/atlas/views/MapPage.ts",
        "src/pipelines/evaluate/TestFolders.ts",
        "src/pipelines/report/ReportPage.ts",
        "src/pipelines/report/RobustnessPage.ts",
        "src/pipelines/training/Batches.ts",
        "src/jobs/Job.ts",
        "src/jobs/Jobs.ts",
        "src/jobs/Worker.ts"
      ]
    )
  })

  it("run and print nothing", () => {
    const files = written.map(({ file, path }) => [pathToFileURL(file).href, path])
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [...flags, "--input-type=module", "--eval", runner, JSON.stringify(files)],
      { encoding: "utf8" }
    )
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stdout, "")
    assert.deepStrictEqual(JSON.parse(stderr), {})
  })
})

describe("the files of examples", () => {
  const folder = checkout()
  const shortened = (name: string): void => {
    const file = join(folder, "examples", name)
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(/duration: \d+, warmup: \d+/g, "duration: 4, warmup: 1"))
  }
  const ending = readdirSync(join(root, "examples")).filter((name) =>
    !["compose.ts", "server.ts", "jobServer.ts", "telemetry.ts"].includes(name)
  )

  afterAll(() => rmSync(folder, { recursive: true }))

  it.each(ending)("%s runs by the command that stands in it", (name) => {
    const command = `npm run example examples/${name}`
    assert.include([command, undefined], commandOf(name))
    shortened(name)
    const { status, stderr } = spawnSync(command, { shell: true, cwd: folder, encoding: "utf8" })
    assert.strictEqual(status, 0, stderr)
  }, 300_000)
})
