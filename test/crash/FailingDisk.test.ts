import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { contentsOf, emptied, recorded } from "./crashes.ts"
import { failures, outcomeOf, withFailure } from "./failures.ts"
import { machine, works } from "./works.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-failing-"))

const chosen = new Set(["decoder", "results", "cache", "atlas"])

describe("a disk that fails", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect.each(works.filter(({ name }) => chosen.has(name)))(
      "under $name gives a typed error, and the files of $name go on from it",
      (work) =>
        Effect.gen(function*() {
          const at = join(folder, work.name)
          emptied(at)
          const { operations } = yield* recorded(work, at)
          const whole = contentsOf(at)
          for (const [i, failure] of failures.entries()) {
            emptied(at)
            const first = Math.floor(operations.length * (i + 0.5) / failures.length)
            const said = `${failure.name} from operation ${first}`
            const outcome = outcomeOf(yield* withFailure(work, at, failure, first))
            assert.include(["succeeded", "typed"], outcome.kind, `${said}: ${outcome.said}`)
            yield* work.run(`${at}/run`)
            const { files, left } = contentsOf(at)
            assert.deepStrictEqual(files, whole.files, said)
            if (work.locks) assert.deepStrictEqual(left, [], said)
          }
        })
    )
  })
})
