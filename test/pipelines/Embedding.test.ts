import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as TrainingMetrics from "../../src/pipelines/training/TrainingMetrics.ts"
import { filesUnder, root } from "../repository/rules.ts"

const read = (path: string) => readFileSync(`${root}${path}`, "utf8")
const page = read("docs/embedding.md")

describe("the guide to a larger app", () => {
  it("shows the examples", () => {
    const blocks = Array.from(page.matchAll(/\n```ts\n([\s\S]*?)```/g), ([, text]) => text)
    assert.deepStrictEqual(blocks, [read("examples/telemetry.ts"), read("examples/errors.ts")])
  })

  it("shows what an example prints", () => {
    const flags = ["--disable-warning=ExperimentalWarning", "--conditions=patchword-source"]
    const { stderr, stdout } = spawnSync(process.execPath, [...flags, `${root}examples/errors.ts`], {
      encoding: "utf8"
    })
    assert.include(page, `\n\`\`\`text\n${stdout}\`\`\`\n`, stderr)
  }, 120_000)

  it("lists the metrics with their units", () => {
    const rows = Array.from(
      page.matchAll(/^\| `(patchword\.training\.\S+)` \| (\w+) \| `(.+)` \| `(\w+)` \|$/gm),
      (row) => [...row].slice(1)
    )
    const metrics = Object.entries(TrainingMetrics.of("tokenizer")).map(([name, { attributes, id, type }]) => [
      id,
      type.toLowerCase(),
      attributes!["unit"],
      name
    ])
    assert.deepStrictEqual(rows, metrics)
  })

  it("lists the spans of the library", () => {
    const sources = filesUnder("src").filter(({ path }) => !path.startsWith("src/cli/")).map(({ text }) => text).join(
      "\n"
    )
    const spans = Array.from(sources.matchAll(/Effect\.(?:fn|withSpan)\(\s*"(patchword\.[\w.]+)"/g), ([, name]) => name)
    assert.isAbove(spans.length, 40)
    const table = page.slice(page.indexOf("| span |"), page.indexOf("A step has no span"))
    const listed = new Set(Array.from(table.matchAll(/`([\w.]+)`/g), ([, name]) => name))
    assert.deepStrictEqual(spans.filter((name) => !listed.has(name)), [])
  })

  it("names spans, attributes and errors that exist", () => {
    const sources = filesUnder("src").map(({ text }) => text).join("\n")
    const names = Array.from(page.matchAll(/`(patchword\.(?!training)[\w.]+)`/g), ([, name]) => `"${name}"`)
    assert.isAbove(names.length, 20)
    assert.deepStrictEqual(names.filter((name) => !sources.includes(name)), [])
    const errors = Array.from(page.split("| error |")[1]!.matchAll(/`([A-Z]\w+)`/g), ([, name]) => name!)
    assert.isAbove(errors.length, 20)
    assert.deepStrictEqual(errors.filter((name) => !sources.includes(`class ${name} `)), [])
  })
})
