import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { examples, publicModules, root } from "./rules.ts"

const modules = ["shapes", "domain", "nn", "layers", "pipelines"].flatMap(publicModules)
const folder = mkdtempSync(join(tmpdir(), "patchword-examples-"))

const resolve = (example: string): string =>
  example.replaceAll(/(from|import) "([^"]+)"/g, (whole, keyword: string, specifier: string) => {
    if (specifier.startsWith("node:")) return whole
    const own = /^patchword(?:\/(\w+))?$/.exec(specifier)
    const url = own === null
      ? import.meta.resolve(specifier)
      : pathToFileURL(join(root, "src", own[1] ?? ".", "index.ts")).href
    return `${keyword} "${url}"`
  })

const written = modules.flatMap((module) =>
  examples(module).map((example, index) => {
    const file = join(folder, `${module.path.replaceAll("/", "-").slice(0, -3)}-${index}.ts`)
    writeFileSync(file, resolve(example))
    return { path: module.path, file }
  })
)

const runner = `
import * as tf from "${import.meta.resolve("@tensorflow/tfjs")}"
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
      ["src/pipelines/report/ReportPage.ts", "src/pipelines/training/Batches.ts"]
    )
  })

  it("run and print nothing", () => {
    const files = written.map(({ file, path }) => [pathToFileURL(file).href, path])
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", runner, JSON.stringify(files)],
      { encoding: "utf8" }
    )
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stdout, "")
    assert.deepStrictEqual(JSON.parse(stderr), {})
  })
})
