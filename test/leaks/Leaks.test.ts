import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Engine from "../../src/layers/engine/Engine.ts"
import { onnx, present, xla } from "../layers/engine/engines.ts"
import { leaked, type Sequence } from "./leaks.ts"

const sequence: Sequence = {
  kind: "actions",
  script: (["train", "run", "close"] as const).map((kind) => ({ kind, which: 0 })),
  turns: 0
}

const keepingFiles = Layer.effect(
  Engine.Engine,
  Effect.map(Engine.Engine, (engine) => {
    let kept = 0
    return {
      ...engine,
      memory: Effect.tap(engine.memory, () => Effect.sync(() => kept++ < 20 && openSync("/dev/null", "r")))
    }
  })
).pipe(Layer.provide(Engine.layerReference))

const before = process.env["TMPDIR"]
const engines = present([onnx, xla]).map(({ name }) => name)

describe("sequences of uses of engines", () => {
  beforeAll(() => void (process.env["TMPDIR"] = mkdtempSync(join(tmpdir(), "patchword-leaks-"))))

  afterAll(() => {
    rmSync(process.env["TMPDIR"]!, { recursive: true, force: true })
    if (before === undefined) delete process.env["TMPDIR"]
    else process.env["TMPDIR"] = before
  })

  it("leave nothing open", () => {
    const run = fileURLToPath(new URL("run.ts", import.meta.url))
    const selected = engines.flatMap((name) => ["--engine", name])
    const asked = ["--count", String(5 * engines.length), "--warm-up", "0", ...selected]
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", run, ...asked],
      { encoding: "utf8" }
    )
    assert.strictEqual(status, 0, stdout + stderr)
    assert.match(stdout, /"engine":"onnx","sequences":5,"kinds":\{("[a-z, ]+":1,?){5}\}/)
  })

  it.effect("are told from those that keep a file open", () =>
    Effect.gen(function*() {
      const leak = leaked(sequence, Engine.layerReference, Infinity)
      assert.isUndefined(yield* Effect.provide(leak, Engine.layerReference))
      const { after, before } = (yield* Effect.provide(leak, keepingFiles))!
      assert.isAbove(after.descriptors, before.descriptors)
    }).pipe(Effect.when(Effect.sync(() => process.platform === "linux"))))
})
