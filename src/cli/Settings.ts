/** The configuration that a command line asks for: a preset, a file over it, single values over both. */
import { Effect, Option, Schema } from "effect"
import { Preset } from "../domain/Preset.ts"
import * as Presets from "../domain/Presets.ts"
import * as ConfigFile from "../layers/ConfigFile.ts"
import * as Overrides from "./Overrides.ts"

/** What the flags of `Options.settings` say. */
export interface Settings {
  readonly preset: string
  readonly config: Option.Option<string>
  readonly set: Readonly<Record<string, string>>
  readonly seed: Option.Option<number>
}

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
    : yield* Overrides.merge(preset, yield* ConfigFile.read(Schema.Json, config.value), config.value)
  const chosen = Option.match(seed, { onNone: () => ({}), onSome: (number) => seeded(filed, number) })
  return yield* Overrides.apply(filed, { ...chosen, ...set })
})

/** The configuration as a run keeps it. */
export const plain = (preset: Preset) => Effect.orDie(Schema.encodeEffect(Preset)(preset))
