import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import type * as ComputedOn from "../../src/domain/values/ComputedOn.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import { said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-replayed-"))
afterAll(() => rmSync(folder, { recursive: true }))

const about = { stage: "own", configDigest: "c", dataDigest: "d", step: 2, seed: 0 }

const ran = (name: string, used?: Partial<ComputedOn.ComputedOn>) => {
  const run = join(folder, name)
  const history = used && [{ engine: "onnx cpu", version: "9", threads: 1, precision: "fp32", ...used, from: 1 }]
  const provenance = new Weights.Provenance({ ...about, ...(history && { computedOn: history }) })
  const file = join(run, "stages", "replay", "own-step-2.safetensors")
  return Effect.as(Weights.writeBatch(file, Weights.make({}, provenance)), run)
}

const refused = (...args: ReadonlyArray<string>) => Effect.flip(said("replay", ...args))

describe("replay", () => {
  it.effect.each(
    [
      ["an engine of a later version", { engine: "abacus gpu" }, /the run used the engine "abacus gpu" in fp32, which/],
      ["a provider that no flag names", { engine: "onnx cuda" }, /the run used the engine "onnx cuda" in fp32, which/],
      ["another precision", { precision: "fp8" }, /the run used the engine "onnx cpu" in fp8, which/],
      ["none", undefined, /own-step-2.safetensors does not record the engine of the run/]
    ] as const
  )(
    "refuses a run that records %s, and takes the engine that is given",
    ([name, used, message]) =>
      Effect.gen(function*() {
        const run = yield* ran(name, used)
        const error = yield* refused(run)
        assert.match(error.message, message)
        assert.match(error.message, /; choose another engine, for example --engine onnx$/)
        assert.deepInclude(error, { tag: "EngineUnnamed", code: 69 })
        const given = yield* refused(run, "--engine", "reference")
        assert.match(given.message, /^no step function is known for the stage own/)
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("says of a setting that the engine of the run does not take which engine takes it", () =>
    Effect.gen(function*() {
      const run = yield* ran("openvino", { engine: "openvino" })
      const error = yield* refused(run, "--memory", "low")
      assert.strictEqual(
        error.message,
        "the engine of the run, openvino: expected no --memory low, which is for --engine onnx; " +
          "leave out --memory low, or write --engine onnx"
      )
      const given = yield* refused(run, "--memory", "low", "--engine", "onnx")
      assert.match(given.message, /^no step function is known for the stage own/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
