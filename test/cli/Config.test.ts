import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { parse } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Json from "../../src/domain/values/Json.ts"
import { found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-config-"))
const at = (name: string) => join(folder, name)

interface Key {
  readonly key: string
  readonly value: unknown
  readonly from: string
  readonly description: string
}

describe("patchword config", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect.each(Object.entries(Presets.all))(
    "prints %s as a file that says the same",
    ([name, preset]) =>
      Effect.gen(function*() {
        const text = yield* said("config", "--preset", name)
        const plain = Schema.encodeSync(Preset)(preset)
        assert.deepStrictEqual(parse(text), JSON.parse(JSON.stringify(plain)))
        writeFileSync(at(`${name}.yaml`), text)
        const again = yield* found("config", "--preset", "tiny", "--config", at(`${name}.yaml`))
        assert.deepStrictEqual(again.config as object, JSON.parse(JSON.stringify(plain)))
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("takes the values of --set as those of a file", () =>
    Effect.gen(function*() {
      const values = {
        "probe.l2": "[0.1, 1e-2]",
        "finetune.autoAugment": "v0",
        "pretrain.optimizer.clipNorm": "~",
        "pretrain.augment.jitter": "{brightness: 0.1, contrast: 0, saturation: 0}",
        "tokenizer.augment.interpolation": "'lanczos'"
      }
      const nested = Object.entries(values).map(([key, value]) =>
        `{${key.split(".").join(": {")}: ${value}${"}".repeat(key.split(".").length)}`
      )
      const sets = Object.entries(values).flatMap(([key, value]) => ["--set", `${key}=${value}`])
      const { config: asked } = yield* found(
        "config",
        "--preset",
        "base",
        "--set",
        "finetune.randAugment=null",
        ...sets
      )
      const { config: plain } = yield* found("config", "--preset", "base", "--set", "finetune.randAugment=null")
      assert.deepStrictEqual(
        asked as Json.Json,
        nested.reduce<Json.Json>((all, text) => Json.merge(all, parse(text)), plain as Json.Json)
      )
      for (
        const [value, told] of [
          ["[1, 2", "--set probe.l2: line 1, column 6: "],
          ["{a: 1}", "--set: probe.l2: expected a list, got {\"a\":1}"],
          ["[]", "--set: probe.l2"]
        ] as const
      ) {
        const error = yield* Effect.flip(said("config", "--preset", "base", "--set", `probe.l2=${value}`))
        assert.include(String(error), told)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says where each value came from, and what it means", () =>
    Effect.gen(function*() {
      writeFileSync(at("over.yaml"), "pretrain: {optimizer: {lr: 0.004, batchSize: 48}}")
      const flags = [
        "--preset",
        "tiny",
        "--config",
        at("over.yaml"),
        "--set",
        "pretrain.optimizer.epochs=9",
        "--seed",
        "3"
      ]
      const { keys } = (yield* found("config", ...flags)) as unknown as { readonly keys: ReadonlyArray<Key> }
      const of = (key: string) => keys.find((one) => one.key === key)!
      assert.deepInclude(of("pretrain.optimizer.lr"), { value: 0.004, from: at("over.yaml") })
      assert.deepInclude(of("pretrain.optimizer.batchSize"), { value: 48, from: at("over.yaml") })
      assert.deepInclude(of("pretrain.optimizer.unit"), { value: "epochs", from: "--set" })
      assert.deepInclude(of("pretrain.optimizer.duration"), { value: 9, from: "--set" })
      assert.deepInclude(of("pretrain.seed"), { value: 3, from: "--seed" })
      assert.deepInclude(of("pretrain.optimizer.minLr"), { value: 1e-5, from: "preset tiny" })
      assert.deepInclude(of("pretrain.optimizer.accumulate"), { value: null, from: "default" })
      for (const { description } of keys) assert.isNotEmpty(description)
      const text = yield* said("config", ...flags)
      assert.include(text, "    # Peak learning rate, for all images of an update.\n    lr: 0.004 # ")
      assert.include(text, "    # accumulate: not set\n")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("tell the flag that gives a value, also if that is the former one", () =>
    Effect.gen(function*() {
      const plain = yield* found("config", "--preset", "tiny")
      const { optimizer } = (plain.config as unknown as Schema.Codec.Encoded<typeof Preset>).pretrain
      const given = [
        `pretrain.optimizer.${optimizer.unit}=${optimizer.duration}`,
        `pretrain.optimizer.lr=${optimizer.lr}`
      ]
      const sets = given.flatMap((one) => ["--set", one])
      const { config, keys } = yield* found("config", "--preset", "tiny", "--seed", "0", ...sets)
      assert.deepStrictEqual(config, plain.config)
      const told = (keys as unknown as ReadonlyArray<Key>).filter(({ from }) => from.startsWith("--"))
      assert.deepStrictEqual(
        told.filter(({ key }) => key.startsWith("pretrain.")).map(({ from, key }) => `${key} ${from}`).toSorted(),
        [
          "pretrain.optimizer.duration --set",
          "pretrain.optimizer.lr --set",
          "pretrain.optimizer.unit --set",
          "pretrain.seed --seed"
        ]
      )
      assert.include(told.map(({ key }) => key), "tokenizer.seed")
    }).pipe(Effect.provide(NodeServices.layer)))
})
