import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { lock, result, rows, run, steps } from "../pipelines/runFolders.ts"
import { found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-runs-cli-"))
const one = join(folder, "one")
const two = join(folder, "two")

const refused = (...args: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(said("runs", ...args)), (error) => [
    (error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode],
    (error as Error).message
  ])

describe("patchword runs", () => {
  beforeAll(() => {
    const log = { "log.jsonl": rows([...steps("tokenizer", 1, 20), ...steps("pretrain", 1, 5)]) }
    run(one, { ...log, lock: lock(process.pid), "results/probe-a.json": result() })
    run(two, {
      ...log,
      "config.json": { tokenizer: { optimizer: { batchSize: 8, unit: "steps", duration: 20, lr: 0.01 } } },
      "results/probe-a.json": result({ top1: 0.46, interval: [0.42, 0.5] })
    })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect("lists, shows, compares and ranks", () =>
    Effect.gen(function*() {
      const list = yield* said("runs", "list", folder)
      assert.match(list, /one +running +pretrain +5 /)
      assert.match(list, /two +stopped +pretrain +5 /)
      const listed = yield* found("runs", "list", folder)
      assert.deepStrictEqual((listed["runs"] as ReadonlyArray<{ state: string }>).map(({ state }) => state), [
        "running",
        "stopped"
      ])
      assert.match(yield* said("runs", "list", join(one, "checkpoints", "..")), /one/)

      const shown = yield* said("runs", "show", one)
      assert.include(shown, `used by        process ${process.pid}`)
      assert.match(shown, /probe\/pretrain\/val \(l2 0\.1\) +45\.0 % +41\.0 to 49\.0 % +600/)
      assert.strictEqual((yield* found("runs", "show", one))["path"], one)

      const compared = yield* said("runs", "diff", one, two)
      assert.match(compared, /tokenizer\.optimizer\.lr +0\.001 +0\.01/)
      assert.match(compared, /probe\/pretrain\/val +45\.0 % +46\.0 % +\+1\.0 points.*within the noise/)
      const difference = yield* found("runs", "diff", one, two)
      assert.deepStrictEqual(difference["names"], ["one", "two"])

      assert.match(yield* said("runs", "best", "probe/val", folder), /two +46\.0 %.*\n.*one +45\.0 %.*within the noise/)
      const ranked = yield* found("runs", "best", "tokenizer/loss", folder)
      assert.strictEqual((ranked["runs"] as ReadonlyArray<unknown>).length, 2)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("keeps tags and notes", () =>
    Effect.gen(function*() {
      yield* said("runs", "tag", one, "good", "paper")
      assert.match(yield* said("runs", "tag", one, "good", "--remove"), /tags +paper/)
      const noted = yield* found("runs", "note", one, "with <more> codes")
      const [{ id, text }] = noted["notes"] as readonly [{ id: string; text: string }]
      assert.strictEqual(text, "with <more> codes")
      assert.match(yield* said("runs", "list", folder, "--tag", "paper"), /one(?![^]*two)/)
      const none = (place: string) => said("runs", "list", place, "--tag", "none")
      assert.strictEqual(yield* none(folder), `none of the 2 runs in ${folder} has the tag none`)
      assert.strictEqual(yield* none(one), `the run in ${one} does not have the tag none`)
      assert.strictEqual(yield* none(join(one, "results")), `no runs in ${join(one, "results")}`)
      assert.match(yield* said("runs", "show", one), /notes +\S+ \S+ +with <more> codes/)
      assert.match(yield* said("inspect", join(one, "notes.jsonl")), /^is +the tags and notes of a run$/m)
      yield* said("runs", "note", one, "--remove", id)
      assert.deepStrictEqual((yield* found("runs", "note", one))["notes"], [])
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("refuses what is not there, with an exit code", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* refused("list", join(folder, "none")))[0], 66)
      assert.deepStrictEqual((yield* refused("show", folder))[0], 66)
      assert.deepStrictEqual((yield* refused("tag", folder, "good"))[0], 66)
      assert.deepStrictEqual((yield* refused("tag", one, "a b"))[0], 64)
      assert.deepStrictEqual((yield* refused("diff", one))[0], 64)
      assert.deepStrictEqual((yield* refused("best", "nothing", folder))[0], 66)
      assert.match((yield* refused("show", folder))[1] as string, /holds no run/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
