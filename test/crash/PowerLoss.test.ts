import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Runs from "../../src/layers/run/Runs.ts"
import { contentsOf, emptied, recorded, remains, resumed, watched } from "./crashes.ts"
import { Disk, filesOf, readTree, writeTree } from "./powerLoss.ts"
import type { Operation } from "./watchedDisk.ts"
import { machine, works } from "./works.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-power-"))

describe("power that fails", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  layer(Layer.merge(machine, NodeServices.layer))((it) => {
    it.effect.each(works)(
      "leaves files of $name from which it ends with the bytes of one that never failed",
      (work) =>
        Effect.gen(function*() {
          const at = join(folder, work.name)
          emptied(at)
          const { exit, operations } = yield* recorded(work, at)
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          const whole = contentsOf(at)
          const disk = new Disk(at)
          operations.forEach((operation) => disk.apply(operation))
          assert.deepStrictEqual(filesOf(disk.all()), filesOf(readTree(at)))
          const renames = operations.flatMap(({ kind }, i) => kind === "rename" ? [i + 1] : [])
          const losses = [
            ...remains(at, operations, {
              at: (count) => count === renames[Math.floor(renames.length / 2)],
              survivals: ["some"]
            }),
            ...remains(at, operations, { at: (count) => count === operations.length, survivals: ["synced", "zeroed"] })
          ]
          for (const one of losses) {
            const { files, left } = yield* resumed(work, at, one)
            assert.deepStrictEqual(files, whole.files, JSON.stringify(one.loss))
            if (work.locks) assert.deepStrictEqual(left, [], JSON.stringify(one.loss))
          }
        })
    )

    it.effect("leaves a folder that can be opened, when a run that has done nothing is opened and closed", () =>
      Effect.gen(function*() {
        const at = join(folder, "blank")
        emptied(join(at, "run"))
        const open = <A>(use: () => A, seed: number) =>
          Effect.sync(use).pipe(
            Effect.provide(Runs.layerNoDeps(join(at, "run"), { config: { seed } })),
            Effect.scoped
          )
        const begun = yield* open(() => readTree(at), 0)
        const operations: Array<Operation> = []
        writeTree(at, begun)
        yield* watched({ after: (operation) => void operations.push(operation) }, open(() => {}, 0))
        assert.isAbove(operations.length, 5)
        for (const one of remains(at, operations, { begun })) {
          writeTree(at, one.tree)
          const again = yield* Effect.exit(open(() => {}, 0))
          assert.isTrue(Exit.isSuccess(again), `${JSON.stringify(one.loss)}: ${String(again)}`)
        }
      }))
  })
})
