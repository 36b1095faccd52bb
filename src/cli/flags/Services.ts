/** The services that flags name, together. */
import { Effect, Layer } from "effect"
import type { Preset } from "../../domain/config/Preset.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import * as RankedRuns from "../../layers/run/RankedRuns.ts"
import type * as Runs from "../../layers/run/Runs.ts"
import * as Print from "../terminal/Print.ts"
import * as ConfigFlags from "./ConfigFlags.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"

type ImagesAndEngine = ImagesFlags.ImagesFlags & EngineFlags.EngineFlags

/** What services need to know of the network that uses them. A configuration of a stage has it. */
interface Used {
  readonly augment: ImagesFlags.Colours
  readonly vit?: VitConfig
  readonly encoder?: VitConfig
}

/** The images and the engine that the flags name, for a network. Fails as their layers do. */
export const imagesAndEngine = (given: ImagesAndEngine, { augment, encoder, vit = encoder }: Used, run?: string) =>
  Layer.mergeAll(ImagesFlags.layer(given, augment, run), EngineFlags.layer(given, { network: vit }))

/** The configuration of a run, with the part of the images that is held out. */
export const runConfig = (preset: Preset, given: ImagesFlags.ImagesFlags) =>
  Effect.map(ConfigFlags.toJson(preset), (config) => ({ ...config, ...ImagesFlags.recorded(given) }))

/** The services of a command that trains: the run folder with its configuration, images, engine and progress. */
export const training = (
  given: ImagesAndEngine & { readonly json: boolean; readonly out: string },
  used: Used,
  config: Parameters<typeof Runs.layer>[1]["config"]
) =>
  Layer.unwrap(Effect.map(Ranks.Ranks, ({ rank }) =>
    // Rank 0 writes the run and tells how it goes.
    (rank === 0
      ? Layer.merge(imagesAndEngine(given, used, given.out), Print.progress(given.json))
      : imagesAndEngine(given, used)).pipe(
        // First of all: lists of images are kept in it, and it is not left where another one fails.
        Layer.provideMerge(RankedRuns.layer(given.out, { config, stages: ConfigFlags.NAMES }))
      )))
