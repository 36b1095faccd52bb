import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Schema } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { Preset } from "../../src/domain/config/Preset.ts"
import { tiny } from "../../src/domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import { hearing, said } from "../cli/kit.ts"
import { optimizer } from "../pipelines/kit.ts"
import { ended, start } from "./child.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-cli-"))

const patchword = (...args: ReadonlyArray<string>) => ended(start("src/cli/bin.ts", args))

const lineOf = (stderr: string): string => {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "" && line !== "ERROR")
    .filter((line) => !line.endsWith("(default)"))
  assert.strictEqual(lines.length, 1, stderr)
  assert.notMatch(stderr, /^\s+at |node:internal|\.ts:\d/m)
  return lines[0]!
}

const refusal = Effect.fnUntraced(function*(code: number, ...args: ReadonlyArray<string>) {
  const told: Array<string> = []
  const exit = yield* Effect.exit(hearing(told)(said(...args)))
  const codes: Array<number> = []
  Runtime.defaultTeardown(exit, (found) => codes.push(found))
  assert.deepStrictEqual(codes, [code], told.join("\n"))
  return lineOf(told.join("\n"))
}, Effect.provide(NodeServices.layer))

describe("the process of the command", () => {
  it.concurrent("writes its help to standard output", async () => {
    const { code, stderr, stdout } = await patchword("--help")
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stderr, "")
    assert.include(stdout, "demo")
  })

  it.concurrent("ends with the code of a refusal, which is one line of standard error", async () => {
    const out = join(folder, "refused")
    const { code, stderr, stdout } = await patchword("demo", "--preset", "tinny", "--out", out)
    assert.deepStrictEqual([code, stdout], [64, ""], stderr)
    assert.include(lineOf(stderr), "did you mean tiny?")
    assert.isFalse(existsSync(out))
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
})

describe("the command", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect("describes the flags of a verb", () =>
    Effect.gen(function*() {
      const demo = yield* said("demo", "--help")
      for (const flag of ["--preset", "--out", "--seed", "--threads", "--set"]) assert.include(demo, flag)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect.each(
    [
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
    ] as const
  )("refuses %j", ([args, parts]) =>
    Effect.gen(function*() {
      const out = join(folder, args.join("-"))
      const text = yield* refusal(64, "demo", ...args, "--out", out)
      for (const part of parts) assert.include(text, part)
      assert.notInclude(readdirSync(folder), args.join("-"))
    }))

  it.effect("refuses a teacher that is wider than any", () =>
    Effect.gen(function*() {
      assert.match(
        yield* refusal(64, "plan", "--teacher-width", "65537"),
        /--teacher-width: expected .*1 to 65536, got "65537"/
      )
    }))

  it.effect("refuses words behind a verb that it is asked about", () =>
    Effect.gen(function*() {
      assert.include(yield* refusal(64, "help", "engines", "onnx-cpu"), "there is no help on \"engines onnx-cpu\"")
    }))

  it.live("refuses the run folder of another configuration, naming the keys", () =>
    Effect.gen(function*() {
      const out = join(folder, "other")
      const other = new Preset({
        ...tiny,
        pretrain: new PretrainConfig({
          ...tiny.pretrain,
          optimizer: optimizer({ ...tiny.pretrain.optimizer, lr: 0.5 })
        })
      })
      const config = yield* Schema.encodeEffect(Preset)(other)
      mkdirSync(join(out, "checkpoints", "pretrain", "step-00000001"), { recursive: true })
      writeFileSync(join(out, "config.json"), JSON.stringify(config))
      writeFileSync(join(out, "log.jsonl"), "")
      const text = yield* refusal(73, "demo", "--out", out)
      assert.include(text, "pretrain.optimizer.lr: the folder has 0.5, you ask for 0.003")
      assert.notInclude(text, "mask")
    }))

  it.live("refuses a folder that is no run", () =>
    Effect.gen(function*() {
      assert.include(yield* refusal(73, "demo", "--out", "test"), "it is not a run folder")
    }))
})
