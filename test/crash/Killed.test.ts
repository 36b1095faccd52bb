import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import { ended, start } from "../e2e/child.ts"
import { contentsOf, emptied, recorded } from "./crashes.ts"
import type { Trap } from "./traps.ts"
import { machine, shards } from "./works.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-killed-"))

describe("a process that is killed", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect("while it fills a cache from shards leaves what the next one ends with, to the same bytes", () =>
      Effect.gen(function*() {
        emptied(folder)
        const { exit, operations } = yield* recorded(shards, folder)
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        const whole = contentsOf(folder)
        const { integer } = KeyedRandom.generator({ seed: 0, purpose: "test/killed", epoch: 0, index: 0 })
        const last = integer(0, operations.length - 1)
        const { kind } = operations[last]!
        const nth = operations.slice(0, last + 1).filter((one) => one.kind === kind).length
        const trap: Trap = { place: `after ${kind}`, nth, signal: "SIGKILL" }
        emptied(folder)
        const { signal, stderr } = yield* Effect.promise(() =>
          ended(start("test/crash/child.ts", [shards.name, `${folder}/run`, JSON.stringify(trap)]))
        )
        assert.strictEqual(signal, "SIGKILL", `${JSON.stringify(trap)}: ${stderr}`)
        assert.notDeepEqual(contentsOf(folder), whole)
        yield* shards.run(`${folder}/run`)
        assert.deepStrictEqual(contentsOf(folder), whole, JSON.stringify(trap))
      }))
  })
})
