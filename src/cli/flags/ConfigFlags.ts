/** The configuration that a command line asks for: a preset, a file over it, single values over both. */
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as ConfigFile from "../../layers/files/ConfigFile.ts"
import * as Overrides from "./Overrides.ts"

/** Where a configuration comes from: a preset, over it a file, over it single values. */
export const flags = {
  preset: Flag.String("preset").pipe(
    Flag.withDescription("configuration to begin with: tiny, base, base300, large, ..."),
    Flag.withDefault("tiny")
  ),
  config: Flag.File("config").pipe(
    Flag.withDescription("a JSON or YAML file whose values stand over the preset's"),
    Flag.optional
  ),
  set: Flag.KeyValuePair("set").pipe(
    Flag.withDescription("a value over all others, as pretrain.optimizer.lr=0.001"),
    Flag.withDefault({})
  ),
  seed: Flag.Finite("seed").pipe(
    Flag.withDescription("names every random number of the run; default the configuration's"),
    Flag.filter(
      (seed) => Number.isSafeInteger(seed),
      () => `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`
    ),
    Flag.optional
  )
}

/** What {@link flags} say. */
export interface ConfigFlags {
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
export const resolve = Effect.fn("patchword.ConfigFlags.resolve")(function*(given: ConfigFlags) {
  const { colour = Option.none(), config, preset: name, seed, set } = given
  const preset = yield* Presets.preset(name)
  const filed = Option.isNone(config)
    ? preset
    : yield* Config.merge(Preset, config.value)(preset, yield* ConfigFile.read(Schema.Json, config.value))
  const seeds = Option.map(seed, (number) => everywhere(filed, "seed", "seed", String(number)))
  const colours = Option.map(colour, (name) => everywhere(filed, "augment", "augment.colour", name))
  const single = Overrides.trees({ ...Option.getOrNull(seeds), ...Option.getOrNull(colours), ...set })
  return yield* Config.merge(Preset, "the command line")(filed, ...single)
})

/** The configuration as a run keeps it. */
export const toJson = (preset: Preset) => Effect.orDie(Schema.encodeEffect(Preset)(preset))
