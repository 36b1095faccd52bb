/** The configuration that a command line asks for: a preset, a file over it, single values over both. */
import { Console, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as Holdout from "../../domain/evaluation/Holdout.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Suggest from "../../domain/values/Suggest.ts"
import * as ConfigFile from "../../layers/files/ConfigFile.ts"
import * as Described from "./Described.ts"
import * as Overrides from "./Overrides.ts"

/** The preset of a command line that names none. */
const DEFAULT = "tiny"

/** The parts of a configuration, each with the settings of a stage or of an evaluation. */
export const STAGES: ReadonlyArray<string> = Object.keys(Preset.fields)

/** The first word of the names that stages and results of each part have in a run folder. */
export const NAMES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(STAGES.map((part) => [part, part])),
  segmentation: "segment"
}

/** The sources of a configuration: a preset, a file over it, single values over both. */
export const flags = {
  preset: Flag.String("preset").pipe(
    Described.optional(`the configuration to begin with (choices: ${Object.keys(Presets.all).join(", ")})`, DEFAULT)
  ),
  config: Flag.File("config").pipe(
    Described.optional("a JSON or YAML file; its values replace the preset's", "none")
  ),
  set: Flag.KeyValuePair("set").pipe(
    Described.withDefault(
      "one value, for example pretrain.optimizer.lr=0.001 or pretrain.optimizer.epochs=300; it replaces the preset's and the file's",
      {},
      "none"
    )
  ),
  seed: Flag.Finite("seed").pipe(
    Flag.filter(
      (seed) => Number.isSafeInteger(seed),
      () => `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`
    ),
    Described.optional("the random seed of all stages", "the configuration's")
  )
}

/** The values of {@link flags}. */
export interface ConfigFlags {
  readonly preset: Option.Option<string>
  readonly config: Option.Option<string>
  readonly set: Readonly<Record<string, string>>
  readonly seed: Option.Option<number>
  /** Of commands that read images. */
  readonly colour?: Option.Option<Colour>
  readonly holdout?: Option.Option<number>
}

/** A value for every stage that has the key. */
const everywhere = (preset: Preset, key: string, path: string, value: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(preset).flatMap(([stage, config]) =>
      typeof config === "object" && config !== null && key in config ? [[`${stage}.${path}`, value]] : []
    )
  )

/** The name of the preset. Says on standard error when it was chosen by default. */
export const presetName = ({ preset }: Pick<ConfigFlags, "preset">): Effect.Effect<string> =>
  Option.match(preset, {
    onNone: () => Effect.as(Console.error(`preset: ${DEFAULT} (default)`), DEFAULT),
    onSome: Effect.succeed
  })

/** A configuration, and the source that it came from. */
export interface Layer {
  readonly name: string
  readonly preset: Preset
  /** The changes that the source asks for. */
  readonly changes?: ReadonlyArray<Json.Json>
}

const named = Effect.fnUntraced(function*(given: ConfigFlags) {
  const name = yield* presetName(given)
  return { name: `preset ${name}`, preset: yield* Presets.preset(name) }
})

const Kept = Schema.Struct({ holdout: Holdout.Holdout })

/** The part of a file that is a configuration. The config.json of a run has its holdout, too, which is a flag. */
const configOf = Effect.fnUntraced(function*(file: string, given: ConfigFlags) {
  const read = yield* ConfigFile.read(Schema.Json, file)
  if (!Json.isObject(read) || !Object.hasOwn(read, "holdout")) return read
  const { holdout, ...config } = read
  const { holdout: { seed, share } } = yield* Config.decode(Kept, file)({ holdout })
  if (given.holdout !== undefined && Option.isNone(given.holdout)) {
    yield* Console.error(`${file}: to hold out what this run held out, give --holdout ${share} --holdout-seed ${seed}`)
  }
  return config
})

/** Says that a configuration has no such part. */
export const FORMER = "expected settings, but this configuration is of a former version and has none"

/** What to do about {@link FORMER}. */
export const GIVE_PRESET = "give a --preset"

/** Names first the parts that the preset lacks and that single values change. The keys that these parts miss are not listed. */
const lacking =
  (preset: Preset, changes: ReadonlyArray<Json.Json>) => (error: Config.ConfigError): Config.ConfigError => {
    const parts = STAGES.filter((part) =>
      !Object.hasOwn(preset, part) && changes.some((change) => Json.isObject(change) && Object.hasOwn(change, part))
    )
    const [first, ...more] = parts.map((path): Config.Problem => ({ path, message: FORMER }))
    if (first === undefined) return error
    const others = error.problems.filter(({ path }) => !parts.includes(path.split(".", 1)[0]!))
    return new Config.ConfigError({ source: error.source, problems: [first, ...more, ...others], advice: GIVE_PRESET })
  }

/**
 * The configuration after each of its sources, the last one being what is asked for. It begins with the preset, or with `start`.
 * Fails as {@link resolve} does.
 */
export const layered = Effect.fnUntraced(function*(given: ConfigFlags, start?: Layer) {
  const { colour = Option.none(), config, seed, set } = given
  const layers: Array<Layer> = [start ?? (yield* named(given))]
  const add = Effect.fnUntraced(function*(name: string, changes: ReadonlyArray<Json.Json>) {
    const { preset } = layers.at(-1)!
    if (changes.length === 0) return
    const merged = Config.merge(Preset, name)(preset, ...changes)
    layers.push({
      name,
      changes,
      preset: yield* name === "--set" ? Effect.mapError(merged, lacking(preset, changes)) : merged
    })
  })
  if (Option.isSome(config)) yield* add(config.value, [yield* configOf(config.value, given)])
  const { preset } = layers.at(-1)!
  const seeds = Option.map(seed, (number) => everywhere(preset, "seed", "seed", String(number)))
  const colours = Option.map(colour, (name) => everywhere(preset, "augment", "augment.colour", name))
  yield* add("--seed", yield* Overrides.trees(Option.getOrElse(seeds, () => ({}))))
  yield* add("--colour", yield* Overrides.trees(Option.getOrElse(colours, () => ({}))))
  yield* add("--set", yield* Overrides.trees(set))
  return layers
})

/**
 * The configuration, all of it checked. Fails with a `ConfigError` (64) that names every value which does not fit, where it
 * was given, and with 66 when there is no such file.
 */
export const resolve = Effect.fn("patchword.ConfigFlags.resolve")(function*(given: ConfigFlags, start?: Layer) {
  return (yield* layered(given, start)).at(-1)!.preset
})

/** Refuses single values of parts that a command does not read. They would be passed over. */
export const onlyOf = (
  parts: ReadonlyArray<string>,
  { set }: Pick<ConfigFlags, "set">
): Effect.Effect<void, Config.ConfigError> => {
  const [first, ...more] = Object.keys(set)
    .filter((key) => STAGES.some((part) => part === key.split(".", 1)[0]) && !parts.includes(key.split(".", 1)[0]!))
    .map((path) => ({ path, message: `expected a value of ${Suggest.either(parts)}, for this command reads no other` }))
  return first === undefined
    ? Effect.void
    : Effect.fail(new Config.ConfigError({ source: "--set", problems: [first, ...more] }))
}

/** The configuration as a run keeps it. */
export const toJson = (preset: Preset) => Effect.orDie(Schema.encodeEffect(Preset)(preset))
