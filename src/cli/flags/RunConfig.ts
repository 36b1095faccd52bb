/** The configuration of the run that a network is of: a run knows its settings. */
import { Effect, Option, Schema } from "effect"
import * as Config from "../../domain/config/Config.ts"
import { KnnConfig } from "../../domain/config/KnnConfig.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as Presets from "../../domain/config/presets/Presets.ts"
import { ProbeConfig } from "../../domain/config/ProbeConfig.ts"
import * as Json from "../../domain/values/Json.ts"
import * as ConfigFile from "../../layers/files/ConfigFile.ts"
import * as Results from "../../layers/run/Results.ts"
import * as ConfigFlags from "./ConfigFlags.ts"

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

const same = (a: Json.Json, b: Json.Json): boolean => Json.canonical(a) === Json.canonical(b)

/**
 * The configuration that a network is evaluated with: its run's, with the flags over it; without a run the one that the flags
 * name. Fails as `ConfigFlags.resolve` does, and with a `ConfigError` where `--preset` contradicts the run.
 */
export const resolve = Effect.fn("patchword.RunConfig.resolve")(function*(
  given: ConfigFlags.ConfigFlags & { readonly network: string }
) {
  const kept = yield* of(given.network)
  if (kept === undefined) return yield* ConfigFlags.resolve(given)
  const { knn, probe, run } = kept
  if (Option.isSome(given.preset)) {
    const name = given.preset.value
    const named = yield* Presets.preset(name)
    if (!same({ ...named.knn }, { ...knn }) || !same({ ...named.probe }, { ...probe })) {
      const message =
        `expected none, for the run ${run} has settings of its own, got ${name}; change single ones by --set, as ` +
        "--set knn.neighbours=20"
      return yield* Config.refusal("--preset", message)
    }
  }
  return yield* ConfigFlags.resolve(given, { name: run, preset: new Preset({ ...Presets.tiny, knn, probe }) })
})
