import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { Preset } from "../../src/domain/config/Preset.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { optimizer } from "../pipelines/kit.ts"
import { ended, start } from "./child.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-cli-"))

const patchword = (...args: ReadonlyArray<string>) => ended(start("src/cli/bin.ts", args))

const refusal = async (code: number, ...args: ReadonlyArray<string>): Promise<string> => {
  const end = await patchword(...args)
  assert.strictEqual(end.code, code, `${end.stdout}\n${end.stderr}`)
  const lines = end.stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "" && line !== "ERROR")
    .filter((line) => !line.endsWith("(default)"))
  assert.strictEqual(lines.length, 1, end.stderr)
  assert.notMatch(end.stderr, /^\s+at |node:internal|\.ts:\d/m)
  return lines[0]!
}

describe("the command", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.concurrent("describes itself", async () => {
    const { code, stderr, stdout } = await patchword("--help")
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stderr, "")
    assert.include(stdout, "demo")
    const demo = await patchword("demo", "--help")
    assert.strictEqual(demo.code, 0, demo.stderr)
    for (const flag of ["--preset", "--out", "--seed", "--threads", "--set"]) assert.include(demo.stdout, flag)
  })

  it.concurrent.each([
    [["--preset", "tinny"], ["\"tinny\"", "did you mean tiny?"]],
    [
      ["--set", "pretrain.optimizer.lr=-1", "--set", "pretrain.optimizer.lrr=1", "--set", "pretrian.seed=1"],
      [
        "pretrain.optimizer.lr: expected a number greater than 0, got -1",
        "pretrain.optimizer.lrr: unknown key; did you mean lr?",
        "pretrian: unknown key; did you mean pretrain?"
      ]
    ],
    [["--set", "pretrain.mask.count=36"], ["pretrain.mask.count: expected fewer than the 36 patches, got 36"]],
    [["--seed", "abc"], ["--seed"]],
    [["--threads", "-2"], ["--threads: expected a whole number from 0 to 1024, got \"-2\""]],
    [["--seed", "9007199254740992"], ["expected an integer from -9007199254740991 to 9007199254740991"]]
  ])("refuses %j", async (args, said) => {
    const out = join(folder, args.join("-"))
    const text = await refusal(64, "demo", ...args, "--out", out)
    for (const part of said) assert.include(text, part)
    assert.notInclude(readdirSync(folder), args.join("-"))
  })

  it.concurrent("refuses a teacher that is wider than any", async () => {
    assert.match(
      await refusal(64, "plan", "--teacher-width", "65537"),
      /--teacher-width: expected .*1 to 65536, got "65537"/
    )
  })

  it.concurrent("refuses words behind a verb that it is asked about", async () => {
    assert.include(await refusal(64, "help", "engines", "onnx-cpu"), "there is no help on \"engines onnx-cpu\"")
  })

  it.concurrent("says a failure as one object to a program", async () => {
    const missing = await patchword("inspect", join(folder, "none"), "--json")
    assert.deepStrictEqual([missing.code, missing.stdout], [66, ""])
    assert.deepInclude(JSON.parse(missing.stderr), { tag: "FileError", file: join(folder, "none"), exitCode: 66 })
  })

  it.concurrent("says on an older Node which one it needs, to a program as one object", async () => {
    const older = "data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '20.20.2' })"
    const run = (...args: ReadonlyArray<string>) => ended(start("--import", [older, "src/cli/bin.ts", ...args]))
    const text = await run("inspect", "x")
    assert.deepStrictEqual([text.code, text.stderr], [69, "patchword needs Node 22.19 or later; this is 20.20.2\n"])
    const { code, stderr } = await run("inspect", "x", "--json")
    assert.strictEqual(code, 69)
    assert.deepStrictEqual(JSON.parse(stderr), {
      tag: "NodeTooOld",
      message: "patchword needs Node 22.19 or later; this is 20.20.2",
      remedy: "install Node 22.19 or later",
      exitCode: 69
    })
  })

  it.concurrent("refuses the run folder of another configuration, naming the keys", async () => {
    const out = join(folder, "other")
    const other = new Preset({
      ...tiny,
      pretrain: new PretrainConfig({ ...tiny.pretrain, optimizer: optimizer({ ...tiny.pretrain.optimizer, lr: 0.5 }) })
    })
    const config = await Effect.runPromise(Schema.encodeEffect(Preset)(other))
    mkdirSync(join(out, "checkpoints", "pretrain", "step-00000001"), { recursive: true })
    writeFileSync(join(out, "config.json"), JSON.stringify(config))
    writeFileSync(join(out, "log.jsonl"), "")
    const text = await refusal(73, "demo", "--out", out)
    assert.include(text, "pretrain.optimizer.lr: the folder has 0.5, you ask for 0.003")
    assert.notInclude(text, "mask")
  })

  it.concurrent("refuses a folder that is no run", async () => {
    assert.include(await refusal(73, "demo", "--out", "test"), "it is not a run folder")
  })
})
