import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { gated } from "../../examples/gatedLinear.ts"
import { ShapeError, Tensor } from "../../src/shapes/index.ts"

const page = readFileSync(new URL("../../docs/your-own-operation.md", import.meta.url), "utf8")

const blocks = (language: string) =>
  Array.from(page.matchAll(new RegExp(`\\n\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")), ([, text]) => text!)

describe("the guide to an operation of one's own", () => {
  it("shows the example", () => {
    const example = readFileSync(new URL("../../examples/gatedLinear.ts", import.meta.url), "utf8")
    assert.deepStrictEqual(blocks("ts"), [example])
  })

  it("shows what is said", () => {
    const weight = Tensor.zeros([4, 512])
    const wrong = (x: Tensor.Any) => gated(x, { gate: weight, value: weight, out: Tensor.zeros([512, 4]) })
    assert.throws(() => wrong(Tensor.zeros([2, 768])), ShapeError.ShapeError, blocks("text")[0]!.trim())
  })
})
