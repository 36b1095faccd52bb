import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Option, Runtime, Schema } from "effect"
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
        assert.include(error.message, `--preset: expected none, because the run ${run} has`)
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

  it.effect("says so where it has no settings of evaluations, and nobody names some", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const console = { ...globalThis.console, error: (line: string) => void told.push(line) }
      const resolve = (network: string, flags: Partial<ConfigFlags.ConfigFlags> = {}) =>
        Effect.provideService(resolved(network, flags), Console.Console, console)
      yield* resolve(`${run}/pretrain`)
      yield* resolve(`${own}/mine`, { preset: Option.some("tiny") })
      assert.deepStrictEqual(told, [])
      yield* resolve(`${own}/mine`)
      assert.deepStrictEqual(told, [
        `configuration: of the preset tiny, because the run ${own} keeps no settings of probe and knn; ` +
        "--config, --set and --preset change it"
      ])
    }))

  const begun = (
    paths: { readonly out?: string; readonly from?: string; readonly continue?: string },
    preset?: string,
    set: Readonly<Record<string, string>> = { "knn.neighbours": "3" }
  ) => {
    const told: Array<string> = []
    const console = { ...globalThis.console, error: (line: string) => void told.push(line) }
    return RunConfig.begin({
      preset: Option.fromUndefinedOr(preset),
      config: Option.none(),
      set,
      seed: Option.none(),
      continue: Option.fromUndefinedOr(paths.continue),
      out: paths.out ?? join(folder, "new")
    }, Option.fromUndefinedOr(paths.from)).pipe(
      Effect.map(({ finetune, knn }) => ({ knn: knn.neighbours, depth: finetune.vit.depth, told })),
      Effect.provideService(Console.Console, console),
      Effect.provide(NodeServices.layer)
    )
  }

  it.effect.each(
    [{ out: run }, { continue: run }, { continue: `${run}@finished` }, { from: `${run}/pretrain` }, {
      out: join(run, "new"),
      from: `${run}/stages/pretrain.safetensors`
    }] as const
  )("is what a training begins with: %s", (paths) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* begun(paths), {
        knn: 3,
        depth: Presets.base.finetune.vit.depth,
        told: [
          `configuration: of the run ${run}; --config, --set and --preset change it` +
          ("out" in paths && paths.out === run ? " for stages that have not begun" : "")
        ]
      })
    }))

  it.effect("says so where a preset replaces it, and where there is none", () =>
    Effect.gen(function*() {
      const { depth, told } = yield* begun({ from: run }, "tiny")
      assert.strictEqual(depth, Presets.tiny.finetune.vit.depth)
      assert.lengthOf(told, 1)
      assert.match(
        told[0]!,
        /^preset: tiny, in place of the configuration of the run .*base \(.*: .* there, .* here, .*and \d+ more\)$/
      )
      assert.deepStrictEqual((yield* begun({ from: plain }, "base", {})).told, [])
      assert.deepStrictEqual((yield* begun({ out: run }, "base", { "knn.neighbours": "7" })).told, [])
      assert.deepStrictEqual((yield* begun({ out: run }, "base")).told, [
        `preset: base, in place of the configuration of the run ${run} (knn.neighbours: 7 there, 3 here)`
      ])
      for (const from of [own, join(folder, "lone.safetensors")]) {
        const none = yield* begun({ from })
        assert.deepStrictEqual(none, {
          knn: 3,
          depth: Presets.tiny.finetune.vit.depth,
          told: ["preset: tiny (default)"]
        })
      }
      assert.include((yield* Effect.flip(begun({ from: broken }))).message, join(broken, "config.json"))
    }))

  it.effect("of a former version has no settings of a decoder, and says so first", () =>
    Effect.gen(function*() {
      const { decoder: _, ...former } = base
      const old = runOf("former", former)
      const error = yield* Effect.flip(begun({ out: old }, undefined, { "decoder.optimizer.steps": "30" }))
      assert.strictEqual(
        error.message,
        "--set: decoder: expected settings, but this configuration is of a former version and has none; give a --preset"
      )
      assert.deepStrictEqual((yield* begun({ out: old }, "base", { "knn.neighbours": "3" })).knn, 3)
    }))

  it.effect("is a configuration file as it was written", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const console = { ...globalThis.console, error: (line: string) => void told.push(line) }
      const file = join(run, "config.json")
      const given = {
        preset: Option.some("tiny"),
        config: Option.some(file),
        set: {},
        seed: Option.none(),
        holdout: Option.none<number>()
      }
      const read = (flags: ConfigFlags.ConfigFlags) =>
        ConfigFlags.resolve(flags).pipe(
          Effect.provideService(Console.Console, console),
          Effect.provide(NodeServices.layer)
        )
      assert.strictEqual((yield* read(given)).knn.neighbours, 7)
      assert.deepStrictEqual(told, [
        `${file}: to hold out what this run held out, give --holdout 0.2 --holdout-seed 0`
      ])
      yield* read({ ...given, holdout: Option.some(0.2) })
      assert.lengthOf(told, 1)
      const wrong = runOf("wrong", { ...base, holdout: { share: 2, seed: 0 } })
      const refused = yield* Effect.flip(read({ ...given, config: Option.some(join(wrong, "config.json")) }))
      assert.match(refused.message, /wrong\/config\.json.*holdout\.share: expected a number above 0 and below 1/)
    }))

  it.effect("knows which features it compares", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* pooled(`${run}/pretrain`, "Backbone"), { pooling: "cls", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(`${run}/pretrain`, "Backbone", "mean"), { pooling: "mean", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(`${run}/finetune`, "Classifier"), { pooling: "mean", finalNorm: true })
      assert.deepStrictEqual(yield* pooled(join(folder, "lone"), "Backbone"), { pooling: "mean", finalNorm: true })
    }))
})
