import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import * as LabelMaps from "../../src/cli/terminal/LabelMaps.ts"
import * as Layout from "../../src/cli/terminal/Layout.ts"
import * as Print from "../../src/cli/terminal/Print.ts"
import { set } from "../pipelines/kit.ts"

const NAME = "a\u001b[31m\t\nb\u009b2J\u202ec\u007f é"
const SHOWN = String.raw`a\u001b[31m\t\nb\u009b2J\u202ec\u007f é`

const heard = Effect.fnUntraced(function*(printed: Effect.Effect<void>) {
  const lines: Array<string> = []
  const hear = (line: string) => void lines.push(line)
  yield* Effect.provideService(printed, Console.Console, { ...globalThis.console, log: hear, error: hear })
  return lines.join("\n")
})

describe("names with control characters", () => {
  it("stay in their lines and their columns", () => {
    assert.strictEqual(Layout.plain(NAME), SHOWN)
    const table = [["image", "n"], [NAME, "1"]]
    assert.deepStrictEqual(Layout.columns(table), [`image${" ".repeat(SHOWN.length - 5)}  n`, `${SHOWN}  1`])
    assert.strictEqual(Print.columns(table), Layout.columns(table).join("\n"))
    assert.deepStrictEqual(Layout.rows([["file", NAME]]), [`file           ${SHOWN}`])
  })

  it.effect("are escaped for people, and exact for machines", () =>
    Effect.gen(function*() {
      const images = { ...set("val", 1), describe: () => NAME, skipped: [`${NAME}: broken`] }
      const pixels = {
        index: 0,
        labels: { width: 1, height: 1, data: Uint8Array.of(0) },
        shares: [{ class: NAME, share: 1 }]
      }
      assert.strictEqual(LabelMaps.line(false, images, 1)(pixels), `${SHOWN}  ${SHOWN} 100.0 %`)
      assert.strictEqual((JSON.parse(LabelMaps.line(true, images, 1)(pixels)) as { image: string }).image, NAME)
      assert.include(Print.remarks(images).join("\n"), SHOWN)
      assert.include(yield* heard(Print.result(false, { folder: NAME })), SHOWN)
      assert.strictEqual(
        (JSON.parse(yield* heard(Print.result(true, { folder: NAME }))) as { folder: string }).folder,
        NAME
      )
      const failure = Failure.of({ finding: "a\u001b[2J\nb", remedy: "c" })
      assert.include(yield* heard(Failure.show(false)(failure)), "a\\u001b[2J\nb\nc")
    }))
})
