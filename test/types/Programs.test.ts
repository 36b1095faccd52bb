import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ShapeError } from "../../src/shapes/index.ts"

tf.env().set("PROD", true)

const root = fileURLToPath(new URL("../..", import.meta.url))
const compiler = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url))

const compile = (project: string, ...flags: ReadonlyArray<string>): string =>
  spawnSync(process.execPath, [compiler, "--project", project, "--pretty", "false", "--singleThreaded", ...flags], {
    cwd: root,
    encoding: "utf8"
  }).stdout

const byFile = (output: string): ReadonlyMap<string, string> => {
  const messages = new Map<string, string>()
  let file = ""
  for (const line of output.split("\n")) {
    file = /^(\S+?)\(\d+,\d+\): error /.exec(line)?.[1] ?? file
    messages.set(file, `${messages.get(file) ?? ""}${line}\n`)
  }
  return messages
}

const messages = byFile(compile("test/types"))

const load = {
  accepted: (stem: string): Promise<unknown> => import(`./accepted/${stem}.ts`),
  rejected: (stem: string): Promise<unknown> => import(`./rejected/${stem}.ts`)
}

const programs = (kind: "accepted" | "rejected") =>
  readdirSync(new URL(kind, import.meta.url)).map((name) => {
    const lines = readFileSync(new URL(`${kind}/${name}`, import.meta.url), "utf8").split("\n")
    const header = (key: string) => lines.find((line) => line.startsWith(`// ${key}: `))?.slice(`// ${key}: `.length)
    return {
      name,
      said: messages.get(`test/types/${kind}/${name}`) ?? "",
      error: header("error"),
      thrown: header("thrown") ?? header("error"),
      runs: !lines.includes("// compile time only"),
      run: () => load[kind](name.slice(0, -3))
    }
  })

describe("accepted programs", () => {
  it.each(programs("accepted"))("$name type-checks and runs", async ({ said, run }) => {
    assert.strictEqual(said, "")
    await run()
  })
})

describe("rejected programs", () => {
  const rejected = programs("rejected")

  it.each(rejected)("$name does not type-check: $error", ({ said, error }) => {
    assert.isDefined(error)
    assert.include(said, error)
  })

  it.each(rejected.filter(({ runs }) => runs))("$name throws: $thrown", async ({ run, thrown }) => {
    const failure: unknown = await run().then(() => undefined, (error: unknown) => error)
    assert.instanceOf(failure, ShapeError.ShapeError)
    assert.strictEqual(failure.message, thrown)
  })

  it("are enough of them", () => assert.isAtLeast(rejected.length, 25))
})

describe("the whole project", () => {
  const output = compile("tsconfig.json", "--extendedDiagnostics")
  const figure = (name: string) => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(output)?.[1])

  it("type-checks with under 11 instantiations of one checker for each line", () => {
    const lines = ["src", "test", "examples", "benchmarks", "scripts"]
      .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
      .filter(({ name }) => name.endsWith(".ts"))
      .reduce((sum, { name, parentPath }) => sum + readFileSync(join(parentPath, name), "utf8").split("\n").length, 0)
    assert.isAbove(figure("Instantiations"), 0)
    assert.isBelow(figure("Instantiations") / lines, 11)
  })

  it("type-checks whatever the order in which files are checked", () => {
    assert.deepStrictEqual(output.split("\n").filter((line) => /^src\S+ error /.test(line)), [])
  })
})
