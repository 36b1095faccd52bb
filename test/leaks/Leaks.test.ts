import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, openSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Engine from "../../src/layers/engine/Engine.ts"
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

process.env["TMPDIR"] = mkdtempSync(join(tmpdir(), "patchword-leaks-"))

describe("sequences of uses of engines", () => {
  it("leave nothing open", () => {
    const run = fileURLToPath(new URL("run.ts", import.meta.url))
    const asked = ["--count", "10", "--warm-up", "0", "--engine", "onnx", "--engine", "xla"]
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
