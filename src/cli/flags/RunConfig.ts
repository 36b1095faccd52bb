/** The configuration of a run that a command line names: a run knows its settings. */
import { Console, Effect, Option, Schema, SchemaAST } from "effect"
import { Colour } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as Json from "../../domain/values/Json.ts"
import * as ConfigFile from "../../layers/files/ConfigFile.ts"
import * as Results from "../../layers/run/Results.ts"
import * as ConfigFlags from "./ConfigFlags.ts"
import * as ContinueFlags from "./ContinueFlags.ts"

const Kept = Schema.Record(Schema.String, Schema.Json)

/** The run's settings of evaluations, with its folder; nothing where the network is of no run, or the run keeps none. */
export const of = Effect.fnUntraced(function*(network: string) {
  const run = yield* Results.runOf(network)
  if (Option.isNone(run)) return undefined
  const file = `${run.value}/config.json`
  const { knn, probe } = yield* ConfigFile.read(Kept, file)
  if (knn === undefined || probe === undefined) return undefined
  return {
    run: run.value,
    knn: yield* Config.decode(KnnConfig, file)(knn),
    probe: yield* Config.decode(ProbeConfig, file)(probe)
  }
})

const Coloured = Schema.Struct({ augment: Schema.Struct({ colour: Schema.optionalKey(Colour) }) })

/** The colours in which a run's networks see images, as far as its configuration says so. */
export const colours = Effect.fnUntraced(function*(run: string) {
  const config = yield* Effect.orElseSucceed(ConfigFile.read(Kept, `${run}/config.json`), (): typeof Kept.Type => ({}))
  const [found] = ["tokenizer", "pretrain"].flatMap((stage) =>
    Option.toArray(Schema.decodeUnknownOption(Coloured)(config[stage]))
  )
  return found?.augment ?? {}
})

const same = (a: Json.Json, b: Json.Json): boolean => Json.canonical(a) === Json.canonical(b)

/**
 * The configuration that a network is evaluated with: its run's, with the flags over it; without a run the one that the flags
 * name. Says on standard error where a run keeps none, and nobody names one. Fails as `ConfigFlags.resolve` does, and with a `ConfigError` where `--preset` contradicts the run.
 */
export const resolve = Effect.fn("patchword.RunConfig.resolve")(function*(
  given: ConfigFlags.ConfigFlags & { readonly network: string }
) {
  const kept = yield* of(given.network)
  if (kept === undefined) {
    const run = yield* Results.runOf(given.network)
    if (Option.isSome(run) && Option.isNone(given.preset) && Option.isNone(given.config)) {
      yield* Console.error(
        `configuration: of the preset tiny, because the run ${run.value} keeps no settings of probe and knn; ` +
          "--config, --set and --preset change it"
      )
      return yield* ConfigFlags.resolve({ ...given, preset: Option.some("tiny") })
    }
    return yield* ConfigFlags.resolve(given)
  }
  const { knn, probe, run } = kept
  if (Option.isSome(given.preset)) {
    const name = given.preset.value
    const named = yield* Presets.preset(name)
    if (!same({ ...named.knn }, { ...knn }) || !same({ ...named.probe }, { ...probe })) {
      return yield* Config.refusal(
        "--preset",
        `expected none, because the run ${run} has its own settings, got ${name}`,
        "leave out --preset, and change single values by --set, for example --set knn.neighbours=20"
      )
    }
  }
  return yield* ConfigFlags.resolve(given, { name: run, preset: new Preset({ ...Presets.tiny, knn, probe }) })
})

/** The parts of a whole configuration. Runs of former versions lack those that came later. */
const PARTS = Object.entries(Preset.fields).flatMap(([key, { ast }]) => SchemaAST.isOptional(ast) ? [] : [key])

/** The first run among paths: its folder, and its configuration where it is whole. Nothing where there is none. */
const first = Effect.fnUntraced(function*(paths: ReadonlyArray<string>) {
  for (const path of paths) {
    const run = yield* Results.runOf(path)
    if (Option.isNone(run)) continue
    const { holdout: _, ...config } = yield* ConfigFile.read(Kept, `${run.value}/config.json`)
    if (PARTS.every((key) => Object.hasOwn(config, key))) return { run: run.value, config }
  }
  return undefined
})

/** So many differences are named. */
const NAMED = 3

/**
 * The configuration of a training: that of the run that it goes on with (--out), continues (--continue) or takes a network from,
 * with the flags over it; without a run the one that the flags name. Says on standard error what it takes from a run, and where
 * `--preset` replaces it. Fails as `ConfigFlags.resolve` does.
 */
export const begin = Effect.fn("patchword.RunConfig.begin")(function*(
  given: ConfigFlags.ConfigFlags & Pick<ContinueFlags.ContinueFlags, "continue"> & { readonly out: string },
  network: Option.Option<string> = Option.none()
) {
  // The folder of a run may lie in that of another one.
  const own = Option.filter(yield* Results.runOf(given.out), (run) => run === given.out)
  const continued = Option.map(ContinueFlags.placeOf(given), ({ run }) => run)
  const found = yield* first([own, continued, network].flatMap(Option.toArray))
  if (found === undefined) return yield* ConfigFlags.resolve(given)
  const { config, run } = found
  if (Option.isNone(given.preset)) {
    const what = Option.contains(own, run) ? "change it for stages that have not begun" : "change it"
    yield* Console.error(`configuration: of the run ${run}; --config, --set and --preset ${what}`)
    const preset = yield* Config.decode(Preset, `${run}/config.json`)(config)
    return yield* ConfigFlags.resolve(given, { name: run, preset })
  }
  const asked = yield* ConfigFlags.resolve(given)
  const differences = Json.differences(config, yield* ConfigFlags.toJson(asked)).map(({ asked, key, stored }) =>
    `${key}: ${stored} there, ${asked} here`
  )
  if (differences.length > 0) {
    const more = differences.length > NAMED ? `, and ${differences.length - NAMED} more` : ""
    yield* Console.error(
      `preset: ${given.preset.value}, in place of the configuration of the run ${run} ` +
        `(${differences.slice(0, NAMED).join(", ")}${more})`
    )
  }
  return asked
})
