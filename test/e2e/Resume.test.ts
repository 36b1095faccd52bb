import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import { type Candidate, onnx, present, tensorflow, xla } from "../layers/engine/engines.ts"
import { ended, start } from "./child.ts"

interface Case {
  readonly engine: Candidate
  readonly stages: 1 | 2 | 3
  readonly duration: number
  readonly sent: ReadonlyArray<keyof typeof SIGNALS>
}

const SIGNALS = {
  SIGKILL: { code: null, signal: "SIGKILL" },
  SIGHUP: { code: 129, signal: null },
  SIGINT: { code: 130, signal: null },
  SIGTERM: { code: 143, signal: null }
} as const

const text = (file: string): string => existsSync(file) ? readFileSync(file, "utf8") : ""

const rows = (folder: string): ReadonlyArray<string> => text(join(folder, "log.jsonl")).split("\n").slice(0, -1)

const contents = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ["log.jsonl", ...readdirSync(join(folder, "stages")).toSorted().map((name) => `stages/${name}`)]
      .map((name) => [name, readFileSync(join(folder, name)).toString("base64")])
  )

const programs = (folder: string) =>
  existsSync(join(folder, "programs"))
    ? readdirSync(join(folder, "programs")).map((name) => [name, statSync(join(folder, "programs", name)).mtimeMs])
    : []

const stages = (folder: string) =>
  readdirSync(join(folder, "checkpoints"), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name === "state.json")
    .map(({ parentPath }) => JSON.parse(text(join(parentPath, "state.json"))).state)

const endedAt = async (
  script: string,
  args: readonly [folder: string, ...ReadonlyArray<string>],
  wanted: number,
  sent: keyof typeof SIGNALS
): Promise<number> => {
  const [folder] = args
  const child = start(script, args)
  const end = ended(child)
  const before = rows(folder).length
  while (child.exitCode === null && (rows(folder).length < wanted || rows(folder).length === before)) {
    await setTimeout(2)
  }
  child.kill(sent)
  const { stderr, stdout: _stdout, ...exit } = await end
  assert.deepStrictEqual(exit, SIGNALS[sent], stderr)
  const logged = rows(folder)
  if (sent !== "SIGKILL") {
    const { stage, step } = JSON.parse(logged.at(-1)!)
    const saved = stages(folder).filter((one) => one.stage === stage).map((one) => one.step)
    assert.strictEqual(Math.max(...saved), step, `${sent}: ${stderr}`)
  }
  return logged.length
}

const cases: ReadonlyArray<Case> = [
  { engine: onnx, stages: 3, duration: 30, sent: ["SIGINT", "SIGKILL", "SIGHUP", "SIGTERM"] },
  { engine: tensorflow, stages: 2, duration: 12, sent: ["SIGINT", "SIGKILL"] },
  { engine: xla, stages: 1, duration: 400, sent: ["SIGKILL"] }
]

const installed = present(cases.map(({ engine }) => engine))

describe("a run that is ended by signals and started again", () => {
  it.each(cases.filter(({ engine }) => installed.includes(engine)))(
    "leaves the files of one that never was, on $engine.name",
    async ({ duration, engine: { name }, sent, stages }) => {
      const folder = mkdtempSync(join(tmpdir(), "patchword-resume-"))
      const seed = Number(process.env["PATCHWORD_SEED"] ?? Date.now() % 1_000_000)
      const script = `test/e2e/${stages === 1 ? "line" : "resume"}Child.ts`
      const to = (run: string) => [join(folder, run), name, String(stages), String(duration)] as const
      try {
        const [unbroken, broken] = [to("unbroken"), to("broken")]
        const reference = ended(start(script, unbroken))
        const { integer } = KeyedRandom.generator({ seed, purpose: "test/kill", epoch: 0, index: 0 })
        const rowsInAll = stages * duration
        const part = Math.floor(rowsInAll / sent.length)
        const killed: Array<string> = []
        for (const [i, signal] of sent.entries()) {
          killed.push(
            `${signal} ${await endedAt(
              script,
              broken,
              i * part + integer(1, part - Math.max(5, Math.floor(part / 8))),
              signal
            )}`
          )
        }
        const compiled = programs(broken[0])
        assert.strictEqual(compiled.length > 0, name === "xla")
        const last = await ended(start(script, broken))
        const told = `PATCHWORD_SEED=${seed}, ended after rows ${killed.join(", ")}: ${last.stderr}`
        assert.strictEqual(last.code, 0, told)
        const { code, stderr } = await reference
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(programs(broken[0]), compiled)
        assert.lengthOf(rows(unbroken[0]), rowsInAll)
        assert.deepStrictEqual(contents(broken[0]), contents(unbroken[0]), told)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    120_000
  )
})
