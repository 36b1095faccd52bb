import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as Keyed from "../../src/domain/Keyed.ts"
import { ended, start } from "./child.ts"

const SCRIPT = "test/e2e/resumeChild.ts"
const ROWS = 60
const KILLS = 3

const rows = (folder: string): number => {
  try {
    return readFileSync(join(folder, "log.jsonl"), "utf8").split("\n").length - 1
  } catch {
    return 0
  }
}

const contents = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ["log.jsonl", ...readdirSync(join(folder, "stages")).toSorted().map((name) => `stages/${name}`)]
      .map((name) => [name, readFileSync(join(folder, name)).toString("base64")])
  )

const killedAt = async (folder: string, wanted: number): Promise<number> => {
  const child = start(SCRIPT, [folder])
  const end = ended(child)
  const before = rows(folder)
  while (child.exitCode === null && (rows(folder) < wanted || rows(folder) === before)) {
    await setTimeout(2)
  }
  child.kill("SIGKILL")
  const { signal, stderr } = await end
  assert.strictEqual(signal, "SIGKILL", stderr)
  return rows(folder)
}

describe("a run that is killed and started again", () => {
  it("leaves the files of one that was never killed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "patchword-resume-"))
    const seed = Number(process.env["PATCHWORD_SEED"] ?? Date.now() % 1_000_000)
    try {
      const [unbroken, broken] = [join(folder, "unbroken"), join(folder, "broken")]
      const reference = ended(start(SCRIPT, [unbroken]))
      const { integer } = Keyed.generator({ seed, purpose: "test/kill", epoch: 0, index: 0 })
      const third = Math.floor(ROWS / KILLS)
      const killed: Array<number> = []
      for (let kill = 0; kill < KILLS; kill++) {
        killed.push(await killedAt(broken, kill * third + integer(1, third - 12)))
      }
      const last = await ended(start(SCRIPT, [broken]))
      const told = `PATCHWORD_SEED=${seed}, killed after rows ${killed.join(", ")}: ${last.stderr}`
      assert.strictEqual(last.code, 0, told)
      const { code, stderr } = await reference
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(rows(unbroken), ROWS)
      assert.deepStrictEqual(contents(broken), contents(unbroken), told)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
