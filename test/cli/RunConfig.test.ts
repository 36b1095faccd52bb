import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Runtime, Schema } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as ConfigFlags from "../../src/cli/flags/ConfigFlags.ts"
import * as PoolingFlags from "../../src/cli/flags/PoolingFlags.ts"
import * as RunConfig from "../../src/cli/flags/RunConfig.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-run-config-"))

const runOf = (name: string, config: unknown) => {
  mkdirSync(join(folder, name, "stages"), { recursive: true })
  writeFileSync(join(folder, name, "config.json"), JSON.stringify(config))
  return join(folder, name)
}

const base = Schema.encodeSync(Preset)(Presets.base)
const run = runOf("base", { ...base, knn: { ...base.knn, neighbours: 7 }, holdout: { share: 0.2, seed: 0 } })
const plain = runOf("base-plain", base)
const own = runOf("own", { rate: 1 })
const broken = runOf("broken", { ...base, knn: { neighbours: 0 } })

const resolved = (network: string, flags: Partial<ConfigFlags.ConfigFlags> = {}) =>
  RunConfig.resolve({
    network,
    preset: Option.none(),
    config: Option.none(),
    set: {},
    seed: Option.none(),
    ...flags
  }).pipe(Effect.provide(NodeServices.layer))

const pooled = (network: string, kind: "Backbone" | "Classifier", pooling?: "mean" | "cls") =>
  PoolingFlags.resolve({ network, pooling: Option.fromUndefinedOr(pooling), finalNorm: Option.none() }, kind).pipe(
    Effect.provide(NodeServices.layer)
  )

describe("a run", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect.each([run, `${run}/pretrain`, `${run}/stages/pretrain.safetensors`])(
    "knows its settings: %s",
    (network) =>
      Effect.gen(function*() {
        const { knn, probe } = yield* resolved(network)
        assert.deepStrictEqual({ ...knn }, { ...Presets.base.knn, neighbours: 7 })
        assert.deepStrictEqual({ ...probe }, { ...Presets.base.probe })
        const changed = yield* resolved(network, { set: { "knn.neighbours": "3" }, seed: Option.some(4) })
        assert.deepStrictEqual([changed.knn.neighbours, changed.probe.seed], [3, 4])
      })
  )

  it.effect("refuses a preset that contradicts it", () =>
    Effect.gen(function*() {
      for (const name of ["tiny", "base"]) {
        const error = yield* Effect.flip(resolved(`${run}/pretrain`, { preset: Option.some(name) }))
        assert.strictEqual(error[Runtime.errorExitCode], 64)
        assert.include(error.message, `--preset is not a usable configuration: expected none, for the run ${run} has`)
      }
      const { knn } = yield* resolved(`${plain}/pretrain`, { preset: Option.some("base") })
      assert.strictEqual(knn.neighbours, 20)
      assert.include((yield* Effect.flip(resolved(broken))).message, join(broken, "config.json"))
    }))

  it.effect("leaves the preset to networks without a run, and to runs without such settings", () =>
    Effect.gen(function*() {
      for (const network of [join(folder, "lone.safetensors"), `${own}/mine`]) {
        assert.strictEqual((yield* resolved(network)).knn.neighbours, Presets.tiny.knn.neighbours)
        assert.strictEqual((yield* resolved(network, { preset: Option.some("base") })).knn.neighbours, 20)
      }
    }))

  it.effect("knows which features it compares", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* pooled(`${run}/pretrain`, "Backbone"), { pooling: "cls", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(`${run}/pretrain`, "Backbone", "mean"), { pooling: "mean", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(`${run}/finetune`, "Classifier"), { pooling: "mean", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(join(folder, "lone"), "Backbone"), { pooling: "mean", finalNorm: true })
    }))
})
