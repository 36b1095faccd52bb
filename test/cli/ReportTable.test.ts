import { assert, describe, it } from "@effect/vitest"
import * as ReportTable from "../../src/cli/terminal/ReportTable.ts"
import { Split } from "../../src/domain/evaluation/Report.ts"
import { report } from "../e2e/sample.ts"

const lines = ReportTable.render(report).split("\n")

describe("the table of a run", () => {
  it("names splits as they are called, and lets none grow together", () => {
    const [, ...names] = lines.find((line) => line.startsWith("top-1"))!.split(/ {2,}/)
    assert.deepStrictEqual(names, ["in-new", "flat-new", "3d-new", "flat-seen", "3d-seen"])
    const splits: ReadonlyArray<string> = Split.literals
    assert.isTrue(names.every((name) => splits.includes(name)))
  })

  it("fits a terminal", () => {
    const table = lines.filter((line) => /^(top-1|probe,|k-NN,|fine-tuned,)/.test(line))
    assert.strictEqual(table.length, 9)
    assert.isTrue(table.every((line) => line.length < 80))
    assert.include(lines.at(-2)!, "time: images 41 s, teacher 6.3 s")
  })
})
