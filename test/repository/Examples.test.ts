import { afterAll, assert, describe, it, onTestFinished } from "@effect/vitest"
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

/** Imports files one after the other, and says last on standard error which of them failed. */
const runner = `
import * as tf from "${import.meta.resolve("@tensorflow/tfjs-core")}"
tf.env().set("PROD", true)
const failures = {}
for (const [file, path] of JSON.parse(process.argv[1])) {
  await import(file).catch((error) => { failures[path] = String(error) })
}
process.stderr.write("\\n" + JSON.stringify(failures))
`

const imported = (cwd: string, files: ReadonlyArray<readonly [file: string, name: string]>, end = "") => {
  const given = files.map(([file, name]) => [pathToFileURL(file).href, name])
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [...flags, "--input-type=module", "--eval", runner + end, JSON.stringify(given)],
    { cwd, encoding: "utf8" }
  )
  assert.strictEqual(status, 0, stderr)
  assert.deepStrictEqual(JSON.parse(stderr.split("\n").at(-1)!), {}, stderr)
  return stdout
}

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
    assert.strictEqual(imported(root, written.map(({ file, path }) => [file, path]), "process.exit(0)"), "")
  })
})

describe("the files of examples", () => {
  const ending = readdirSync(join(root, "examples")).filter((name) =>
    !["compose.ts", "server.ts", "jobServer.ts", "telemetry.ts"].includes(name)
  )

  it.each(ending)("%s says the command that runs it, if any", (name) => {
    assert.include([`npm run example examples/${name}`, undefined], commandOf(name))
  })

  it("run, and let their process end", async () => {
    const folder = await checkout(4)
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const files = ending.map((name) => {
      const file = join(folder, "examples", name)
      writeFileSync(file, readFileSync(file, "utf8").replace("import.meta.main", "true"))
      return [file, name] as const
    })
    imported(folder, files)
  }, 120_000)
})
