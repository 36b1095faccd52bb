import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Laws from "../../src/laws/index.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"

const root = new URL("../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), "utf8")
const example = "examples/quantizerLaws.ts"

const blocks = (language: string) =>
  Array.from(
    read("docs/laws.md").matchAll(new RegExp(`\\n\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")),
    ([, text]) => text!
  )

describe("the guide to laws", () => {
  it("shows the example", () => assert.strictEqual(blocks("ts")[0], read(example)))

  it("shows an example that passes", () => {
    const flags = ["--disable-warning=ExperimentalWarning", "--conditions=patchword-source", "--test-reporter=tap"]
    const { status, stdout } = spawnSync(process.execPath, [...flags, fileURLToPath(new URL(example, root))], {
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stdout)
    assert.match(stdout, /^# pass 8$/m)
  })

  it("shows what is said of one that does not", async () => {
    const [law] = Laws.straightThrough((codebook, vectors: Tensor<[number, number]>) => ({
      z_q: Codes.lookup(codebook, Codes.nearest(vectors, codebook))
    }))
    const { message } = await Effect.runPromise(Effect.flip(Laws.verify(law!, { seed: 1 })))
    assert.strictEqual(blocks("text")[0], `${message}\n`)
  })

  it("names every function that makes laws", () => {
    const functions = Object.entries<unknown>(Laws).filter(([name, member]) =>
      typeof member === "function" && /^[a-z]/.test(name) && name !== "make" && name !== "verify"
    )
    const page = read("docs/laws.md")
    assert.deepStrictEqual(functions.map(([name]) => name).filter((name) => !page.includes(`\`Laws.${name}\``)), [])
  })

  it("shows how a law is made, as the module does", () => {
    const shown = blocks("ts")[1]!.split("\n").slice(3).join("\n")
    assert.include(read("src/laws/Law.ts").replaceAll(/^ \* ?/gm, ""), shown)
  })
})
