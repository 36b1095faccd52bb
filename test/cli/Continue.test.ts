import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { draw, found, said, writeConfig } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-continue-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const common = ["--config", at("config.yaml"), "--images", at("images"), "--threads", "1"]
const train = (...args: ReadonlyArray<string>) => ["tokenizer", "train", ...common, ...args] as const

beforeAll(async () => {
  writeConfig(at("config.yaml"))
  await draw(at("images"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("--continue", () => {
  it.live("goes on from another run, which inspect shows", () =>
    Effect.gen(function*() {
      yield* found(...train("--out", at("one")))
      const longer = ["--set", "tokenizer.optimizer.duration=4", "--continue"]
      yield* found(...train(...longer, `${at("one")}@finished`, "--out", at("two")))
      yield* found(...train(...longer, `${at("one")}@finished`, "--out", at("two")))
      yield* found(...train(...longer, `${at("one")}@finished`, "--schedule", "anew", "--out", at("three")))
      const steps = (run: string) =>
        readFileSync(at(run, "log.jsonl"), "utf8").trim().split("\n").map((row) => JSON.parse(row).step)
      assert.deepStrictEqual(["one", "two", "three"].map(steps), [[1, 2], [3, 4], [1, 2, 3, 4]])
      const shown = yield* said("inspect", at("two"))
      assert.match(shown, /^continued from +step 2 of tokenizer in .*one \(finished [0-9a-f]{8}\), schedule on$/m)
      const { continuedFrom } = JSON.parse(readFileSync(at("two", "environment.json"), "utf8"))
      assert.include(continuedFrom.tokenizer, { run: at("one"), stage: "tokenizer", step: 2, schedule: "on" })
      const pretrained = ["pretrain", "--tokenizer", at("two"), ...common, ...longer.slice(0, 2), "--out", at("two")]
      assert.strictEqual((yield* found(...pretrained)).step, 2)

      const none = yield* Effect.flip(said(...train("--continue", at("one"), "--out", at("four"))))
      assert.match(
        String(none),
        /one has no checkpoint of tokenizer; choose from the weights of the finished stage \(finished\)/
      )
      const other = yield* Effect.flip(said(...train(...longer.slice(0, 2), "--out", at("two"))))
      assert.match(String(other), /continuedFrom/)
      const short = yield* Effect.flip(said(...train("--continue", `${at("one")}@finished`, "--out", at("five"))))
      assert.match(String(short), /expected more than the 2 steps that were taken before, got 2/)
      yield* found(...train(...longer, `${at("one")}@finished`, "--out", at("five")))
    }).pipe(Effect.provide(NodeServices.layer)), 120_000)
})

describe("a start that fails", () => {
  it.live.each([
    "--split nope",
    `--images ${at("nowhere")}`,
    `--teacher ${at("nowhere.onnx")}`,
    "--set tokenizer.encoder.dropPath=0.5",
    "--set tokenizer.optimizer.batchSize=1000",
    `--continue ${at("nowhere")}`,
    `--continue ${at("one")}@abc`,
    `--continue ${at("one")}@-1`,
    "--continue @abc",
    "--schedule anew"
  ])("leaves nothing: %s", (args) =>
    Effect.gen(function*() {
      const before = readdirSync(folder)
      const error = yield* Effect.flip(said(...train("--out", at("failed"), ...args.split(" "))))
      if (args.includes("@")) assert.match(String(error), /--continue: expected RUN, RUN@newest, .*, got .*@/)
      if (args.includes("schedule")) assert.match(String(error), /--schedule: expected --continue beside it/)
      assert.deepStrictEqual(readdirSync(folder), before)
    }).pipe(Effect.provide(NodeServices.layer)))
})
