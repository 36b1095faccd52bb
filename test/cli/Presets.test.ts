import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as PresetNotes from "../../src/domain/config/presets/PresetNotes.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import { found, said } from "./kit.ts"

interface Summary extends PresetNotes.Notes {
  readonly name: string
  readonly parameters: number
  readonly trainingState: number
  readonly secondsAt100Teraflops: number
}

const percent = (text: string): ReadonlyArray<number> =>
  [...text.matchAll(/→ \*\*([\d.]+)\*\*/g)].map(([, n]) => Number(n))

describe("patchword presets", () => {
  it.effect("lists sizes, data, time, memory and what is expected", () =>
    Effect.gen(function*() {
      const { presets } = (yield* found("presets")) as unknown as { readonly presets: ReadonlyArray<Summary> }
      assert.deepStrictEqual(presets.map(({ name }) => name), Object.keys(Presets.all))
      const base = presets.find(({ name }) => name === "base")!
      assert.approximately(base.parameters, 107e6, 2e6)
      assert.strictEqual(base.trainingState, 16 * base.parameters)
      assert.approximately(base.secondsAt100Teraflops / 86_400, 34, 4)
      const text = yield* said("presets")
      for (const { data, expected, name } of presets) {
        const part = text.slice(text.indexOf(`${name}\n  network`))
        for (const word of ["data", "recipe", "time", "memory", "expected"]) assert.include(part, `\n  ${word} `)
        assert.include(part, data)
        for (const { top1 } of expected) assert.include(part, `${top1} %`)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it("expects of the demo what the README says", () => {
    const readme = readFileSync("README.md", "utf8")
    const [probe, knn, finetune] = ["linear probe", "k-NN", "fine-tuning"].map((row) =>
      percent(readme.slice(readme.indexOf(`| ${row}, random`)))[0]
    )
    assert.deepStrictEqual(
      PresetNotes.all.tiny.expected.map(({ top1 }) => top1),
      [finetune, probe, knn]
    )
  })
})
