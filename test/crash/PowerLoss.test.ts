import { NodeServices } from "@effect/platform-node"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { contentsOf, emptied, recorded, remains, resumed } from "./crashes.ts"
import { Disk, filesOf, readTree } from "./powerLoss.ts"
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
  })
})
