/** The configuration that a command line asks for: a preset, a file over it, single values over both. */
import { Effect, Option, Schema } from "effect"
import type { Colour } from "../domain/config/AugmentConfig.ts"
import * as Config from "../domain/config/Config.ts"
import { Preset } from "../domain/config/Preset.ts"
import * as Presets from "../domain/config/presets/Presets.ts"
import * as ConfigFile from "../layers/files/ConfigFile.ts"
import * as Overrides from "./Overrides.ts"

/** What the flags of `Options.settings` say. */
export interface Settings {
  readonly preset: string
  readonly config: Option.Option<string>
  readonly set: Readonly<Record<string, string>>
  readonly seed: Option.Option<number>
  /** Of commands that read images. */
  readonly colour?: Option.Option<Colour>
}

/** A value for every stage that has the key. */
const everywhere = (preset: Preset, key: string, path: string, value: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(preset).flatMap(([stage, config]) =>
      typeof config === "object" && config !== null && key in config ? [[`${stage}.${path}`, value]] : []
    )
  )

/**
 * The configuration, all of it checked. Fails with a `ConfigError` (64) that names every value which does not fit, where it
 * was given, and with 66 when there is no such file.
 */
export const resolve = Effect.fn("Settings.resolve")(function*(settings: Settings) {
  const { colour = Option.none(), config, preset: name, seed, set } = settings
  const preset = yield* Presets.preset(name)
  const filed = Option.isNone(config)
    ? preset
    : yield* Config.merge(Preset, config.value)(preset, yield* ConfigFile.read(Schema.Json, config.value))
  const seeds = Option.map(seed, (number) => everywhere(filed, "seed", "seed", String(number)))
  const colours = Option.map(colour, (name) => everywhere(filed, "augment", "augment.colour", name))
  const single = Overrides.tree({ ...Option.getOrNull(seeds), ...Option.getOrNull(colours), ...set })
  return yield* Config.merge(Preset, "the command line")(filed, single)
})

/** The configuration as a run keeps it. */
export const plain = (preset: Preset) => Effect.orDie(Schema.encodeEffect(Preset)(preset))
