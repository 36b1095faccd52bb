/** Readers of configurations and of compiled programs. */
import { ConfigProvider, Effect, Result, Schema } from "effect"
import { Preset } from "../../../src/domain/config/Preset.ts"
import * as Presets from "../../../src/domain/config/presets/Presets.ts"
import { TokenizerConfig } from "../../../src/domain/config/TokenizerConfig.ts"
import * as CompiledPrograms from "../../../src/layers/files/CompiledPrograms.ts"
import * as ConfigFile from "../../../src/layers/files/ConfigFile.ts"
import type { Reader } from "../Case.ts"
import type { Draw } from "../Draw.ts"
import * as Hostile from "../Hostile.ts"
import * as Seeds from "./seeds.ts"
import { inspected } from "./weights.ts"

const anchors = (levels: number): string =>
  [
    "a0: &a0 [x, x, x, x, x, x, x, x, x]",
    ...Array.from({ length: levels }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`)
  ].join("\n")

const yamlMade = (draw: Draw): string =>
  draw.of([
    () => anchors(draw.of([1, 4, 9])),
    () => "a: *missing",
    () => `a: &a [*a]`,
    () => `<<: {__proto__: {seed: 1}}\nseed: ${draw.of(Hostile.numbers)}`,
    () => `&a a: {<<: *a}`,
    () =>
      `seed: !!${draw.of(["js/function", "python/object:os.system", "binary", "set", "omap", "int"])} ${
        JSON.stringify(Hostile.name(draw))
      }`,
    () => `? ${Hostile.json(draw)}\n: ${Hostile.json(draw)}`,
    () => `${JSON.stringify(Hostile.name(draw))}: ${draw.of(Hostile.numbers)}\n`,
    () => `- `.repeat(draw.of([10, 3000, 20_000])),
    () =>
      `%YAML ${draw.of(["1.1", "9.9", "1.2"])}\n---\nseed: ${
        draw.of(["on", "0o7", "0x1F", ".inf", ".nan", "~", "2001-01-01", "1:30"])
      }\n`,
    () => `optimizer:\n  lr: ${draw.of(Hostile.numbers)}\n  ${Hostile.name(draw)}: 1\n`,
    () => `a: |\n  ${Hostile.name(draw)}\nb: >-\n  x\n...\n---\nc: 1`,
    () => `{${Array.from({ length: draw.of([2, 500]) }, (_, i) => `k${i}: {a: [${i}]}`).join(", ")}}`
  ])()

export const config: Reader = {
  name: "config",
  tests: 150,
  seeds: async () => [
    { "config.yaml": "preset: tiny\ntokenizer:\n  optimizer: {lr: 0.001, betas: [0.9, 0.99]}\n" },
    { "config.yaml": JSON.stringify(Schema.encodeSync(Preset)(Presets.tiny)) },
    { "config.yaml": JSON.stringify(Schema.encodeSync(TokenizerConfig)(Presets.tiny.tokenizer), null, 2) }
  ],
  make: (draw) => ({ "config.yaml": yamlMade(draw) }),
  read: (folder) =>
    Effect.gen(function*() {
      const file = `${folder}/config.yaml`
      const preset = yield* Effect.result(ConfigFile.read(Preset, file))
      const tokenizer = yield* Effect.result(ConfigFile.read(TokenizerConfig, file))
      const inspection = yield* Effect.result(inspected(file))
      if (Result.isFailure(preset) && Result.isFailure(tokenizer)) return yield* Effect.fail(preset.failure)
      return inspection._tag === "Success" ? { text: inspection.success } : yield* Effect.fail(inspection.failure)
    })
}

/** The folder holds the key of the seals, too. */
const at = (folder: string) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: folder })))

const origin = { program: "p", library: "l" }

export const programs: Reader = {
  name: "programs",
  tests: 40,
  seeds: async () => [
    await Seeds.written((folder) =>
      Effect.andThen(
        CompiledPrograms.keep([folder], origin, Buffer.from("machine code")),
        Effect.void
      ).pipe(at(folder))
    )
  ],
  read: (folder) =>
    Effect.gen(function*() {
      const { program } = yield* CompiledPrograms.find([folder], origin)
      return program === undefined || Buffer.from(program).toString() === "machine code"
        ? {}
        : { wrong: "a program without its seal is taken" }
    }).pipe(at(folder))
}
