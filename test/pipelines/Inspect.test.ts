import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Runtime } from "effect"
import { inspect } from "../../src/pipelines/Inspect.ts"

const ROW = `{"stage":"pretrain","step":1,"loss":2}\n`

const inRun = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(`${folder}/${name}`, text)
  return yield* inspect(folder)
}, Effect.provide(NodeServices.layer))

describe("inspecting a run", () => {
  it.effect("takes one at work, and one of an earlier version", () =>
    Effect.gen(function*() {
      const found = yield* inRun({ "log.jsonl": `${ROW}{"stage":"pre`, "environment.json": `{"node":"v22"}` })
      assert(found._tag === "Run")
      assert.deepStrictEqual(found.stages.map(({ lastBatch }) => lastBatch?.step), [1])
      assert.deepStrictEqual(found.computedOn, [])
    }))

  it.effect.each(
    [
      ["log.jsonl, line 2,", { "log.jsonl": `${ROW}{}\n` }],
      ["log.jsonl, line 1,", { "log.jsonl": `${"[".repeat(100_000)}${"]".repeat(100_000)}\n` }],
      ["environment.json", { "log.jsonl": ROW, "environment.json": "[".repeat(100_000) }],
      ["environment.json", { "log.jsonl": ROW, "environment.json": `{"computedOn": [1]}` }]
    ] as const
  )("names what is damaged: %s", ([name, files]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(inRun(files))
      assert.include(error.message, `${name} is damaged`)
      assert.strictEqual(error[Runtime.errorExitCode], 65)
    }))
})
