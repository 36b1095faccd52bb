import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, Schema } from "effect"
import fc from "fast-check"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ConfigFlags from "../../src/cli/flags/ConfigFlags.ts"
import * as Config from "../../src/domain/config/Config.ts"
import * as Preset from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Json from "../../src/domain/values/Json.ts"
import * as Files from "../../src/layers/files/Files.ts"

type Change = readonly [path: string, value: Json.Json]

const leaves = (value: Json.Json, path = ""): ReadonlyArray<Change> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, member]) => leaves(member, path === "" ? key : `${path}.${key}`))
    : [[path, value]]

const refused: ReadonlyArray<Change> = [
  ["tokenizer.optimizer.lr", "fast"],
  ["tokenizer.optimizer.lrr", 1],
  ["pretrain.optimizer.warmup", 1_000_000],
  ["pretrain.mask.count", 0],
  ["finetune.augment.cropScale", [1, 0]],
  ["knn.__proto__", 1]
]

const name = fc.constantFrom<Presets.Name>("tiny", "base", "largePaper", "24x544", "giant14")

const changes = fc.tuple(
  fc.constantFrom(...Object.values(Presets.all))
    .chain((preset) => fc.subarray([...leaves(Schema.encodeSync(Preset.Preset)(preset))])),
  fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.subarray([...refused]) })
).map(([taken, wrong]) => [...taken.filter(([path]) => wrong.every((other) => path !== other[0])), ...wrong])

const tree = (given: ReadonlyArray<Change>) =>
  given.reduce<Json.Json>(
    (all, [path, value]) =>
      Json.merge(all, path.split(".").reduceRight<Json.Json>((inner, key) => ({ [key]: inner }), value)),
    {}
  ) as Preset.Changes

const outcome = <E, R>(effect: Effect.Effect<Preset.Preset, E | Config.ConfigError, R>) =>
  Effect.result(Effect.mapError(effect, (error) => error instanceof Error && "problems" in error && error.problems))

const changed = (preset: Preset.Preset, made: Preset.Changes) => Effect.runSync(outcome(Preset.with(preset, made)))

const folder = mkdtempSync(join(tmpdir(), "patchword-preset-"))
const file = join(folder, "changes.json")

const commanded = (settings: Partial<ConfigFlags.ConfigFlags>) =>
  Effect.runPromise(
    outcome(
      ConfigFlags.resolve({
        preset: Option.some("tiny"),
        config: Option.none(),
        set: {},
        seed: Option.none(),
        ...settings
      })
    )
      .pipe(
        Effect.provide(Files.layerNode)
      )
  )

describe("Preset.with", () => {
  afterAll(() => rmSync(folder, { recursive: true }))

  it("gives the same preset where nothing changes", () => {
    fc.assert(fc.property(name, (preset) => {
      assert.deepStrictEqual(changed(Presets.all[preset], {}), Result.succeed(Presets.all[preset]))
    }))
  })

  it("takes an object of the same members for a preset", () => {
    fc.assert(fc.property(name, changes, (preset, made) => {
      assert.deepStrictEqual(changed({ ...Presets.all[preset] }, tree(made)), changed(Presets.all[preset], tree(made)))
    }))
  })

  it("leaves what is undefined as it is", () => {
    const nothing = (value: Json.Json): Json.Changes | undefined =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, nothing(member)]))
        : undefined
    for (const preset of Object.values(Presets.all)) {
      const over = nothing(Schema.encodeSync(Preset.Preset)(preset))!
      assert.deepStrictEqual(Effect.runSync(Config.merge(Preset.Preset, "it")(preset, over)), preset)
    }
  })

  it("takes a stage of another preset whole", () => {
    const stage = fc.constantFrom<keyof Preset.Preset>(
      "tokenizer",
      "pretrain",
      "finetune",
      "probe",
      "knn",
      "segmentation"
    )
    fc.assert(fc.property(name, name, stage, (preset, other, of) => {
      const made = Effect.runSync(Preset.with(Presets.all[preset], { [of]: Presets.all[other][of] }))
      assert.deepStrictEqual(made, new Preset.Preset({ ...Presets.all[preset], [of]: Presets.all[other][of] }))
    }))
  })

  it.each<[string, object]>([
    ["a map", new Map([["seed", 1]])],
    ["a date", new Date(0)],
    [
      "an object whose values its class computes",
      new (class {
        get seed() {
          return 1
        }
      })()
    ]
  ])("refuses %s for a stage", (_, value) => {
    const { message } = Effect.runSync(
      Effect.flip(Config.merge(Preset.Preset, "it")(Presets.tiny, { pretrain: value as Json.Changes }))
    )
    assert.include(message, "pretrain: missing keys: ")
  })

  it("takes changes one after the other as it takes them together, in whatever order", () => {
    const parted = changes.chain((all) => fc.tuple(fc.constant(all), fc.subarray([...all])))
    fc.assert(fc.property(name, parted, (preset, [all, some]) => {
      const others = all.filter((change) => !some.includes(change))
      const together = changed(Presets.all[preset], tree(all))
      for (const [first, second] of [[some, others], [others, some]] as const) {
        const begun = changed(Presets.all[preset], tree(first))
        if (Result.isSuccess(begun)) assert.deepStrictEqual(changed(begun.success, tree(second)), together)
      }
    }))
  })

  it("gives and refuses what --set and --config do", async () => {
    await fc.assert(fc.asyncProperty(name, changes, async (preset, made) => {
      const expected = changed(Presets.all[preset], tree(made))
      const set = Object.fromEntries(made.map(([path, value]) => [path, JSON.stringify(value)]))
      assert.deepStrictEqual(await commanded({ preset: Option.some(preset), set }), expected)
      writeFileSync(file, JSON.stringify(tree(made)))
      assert.deepStrictEqual(await commanded({ preset: Option.some(preset), config: Option.some(file) }), expected)
    }))
  })

  it.each([
    ["tokenizer.optimizer", "5", "tokenizer.optimizer.lr"],
    ["tokenizer.optimizer", "null", "tokenizer.optimizer.lr"],
    ["tokenizer.augment.jitter", "null", "tokenizer.augment.jitter.brightness"]
  ])("takes nothing of what --set %s=%s has replaced", async (path, value, within) => {
    const given = await commanded({ set: { [path]: value, [within]: "0.5" } })
    const problems = Result.isFailure(given) && Array.isArray(given.failure) ? given.failure : []
    assert.isNotEmpty(problems)
    for (const { message, path: at } of problems) {
      assert.match(message, /^missing keys?\b/)
      assert.strictEqual(at, path)
    }
  })

  it.effect("names each path that does not fit", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(
        Preset.with(Presets.tiny, {
          tokenizer: { optimizer: { batchSize: 0 } },
          finetune: { optimizer: { betas: [0.9, 1] } }
        })
      )
      assert.strictEqual(
        message,
        "the changed preset: " +
          "tokenizer.optimizer.batchSize: expected a whole number of at least 1, got 0; " +
          "finetune.optimizer.betas.1: expected a number from 0 to below 1, got 1; correct these and run again"
      )
    }))
})
