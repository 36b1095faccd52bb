/** The configuration that a command line asks for: a preset, a file over it, single values over both. */
import { Effect, FileSystem, Option, Schema } from "effect"
import { parseDocument } from "yaml"
import * as Config from "../domain/Config.ts"
import { Preset } from "../domain/Preset.ts"
import * as Presets from "../domain/Presets.ts"
import * as Files from "../layers/Files.ts"
import * as Overrides from "./Overrides.ts"

/** What the flags of `Options.settings` say. */
export interface Settings {
  readonly preset: string
  readonly config: Option.Option<string>
  readonly set: Readonly<Record<string, string>>
  readonly seed: Option.Option<number>
}

const parsed = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Files.onFailure(file)(fs.readFileString(file))
  // JSON is YAML.
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) {
    return yield* Config.refusal(file, error.message.split("\n")[0]!.replace(/:$/, ""))
  }
  return yield* Config.decode(Schema.Json, file)(document.toJS() ?? {})
})

const seeded = (preset: Preset, seed: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(preset).flatMap(([stage, config]) =>
      typeof config === "object" && config !== null && "seed" in config ? [[`${stage}.seed`, String(seed)]] : []
    )
  )

/**
 * The configuration, all of it checked. Fails with a `ConfigError` (64) that names every value which does not fit, where it
 * was given, and with 66 when there is no such file.
 */
export const resolve = Effect.fn("Settings.resolve")(function*({ config, preset: name, seed, set }: Settings) {
  const preset = yield* Presets.preset(name)
  const filed = Option.isNone(config)
    ? preset
    : yield* Overrides.merge(preset, yield* parsed(config.value), config.value)
  const chosen = Option.match(seed, { onNone: () => ({}), onSome: (number) => seeded(filed, number) })
  return yield* Overrides.apply(filed, { ...chosen, ...set })
})

/** The configuration as a run keeps it. */
export const plain = (preset: Preset) => Effect.orDie(Schema.encodeEffect(Preset)(preset))
