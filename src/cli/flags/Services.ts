/** The services that flags name, together. */
import { Effect, Layer } from "effect"
import type { Preset } from "../../domain/config/Preset.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import * as RankedRuns from "../../layers/run/RankedRuns.ts"
import type * as Runs from "../../layers/run/Runs.ts"
import * as Print from "../terminal/Print.ts"
import * as ConfigFlags from "./ConfigFlags.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"

type ImagesAndEngine = ImagesFlags.ImagesFlags & EngineFlags.EngineFlags

/** The images and the engine that the flags name. Fails as their layers do. */
export const imagesAndEngine = (given: ImagesAndEngine, colours: ImagesFlags.Colours, run?: string) =>
  Layer.mergeAll(ImagesFlags.layer(given, colours, run), EngineFlags.layer(given))

/** The configuration of a run, with the part of the images that is held out. */
export const runConfig = (preset: Preset, given: ImagesFlags.ImagesFlags) =>
  Effect.map(ConfigFlags.toJson(preset), (config) => ({ ...config, ...ImagesFlags.recorded(given) }))

/** The services of a command that trains: the run folder with its configuration, images, engine and progress. */
export const training = (
  given: ImagesAndEngine & { readonly json: boolean; readonly out: string },
  { augment }: { readonly augment: ImagesFlags.Colours },
  config: Parameters<typeof Runs.layer>[1]["config"]
) =>
  Layer.unwrap(Effect.map(Ranks.Ranks, ({ rank }) =>
    // Rank 0 writes the run and tells how it goes.
    (rank === 0
      ? Layer.merge(imagesAndEngine(given, augment, given.out), Print.progress(given.json))
      : imagesAndEngine(given, augment)).pipe(
        // First of all: lists of images are kept in it, and it is not left where another one fails.
        Layer.provideMerge(RankedRuns.layer(given.out, { config, stages: ConfigFlags.NAMES }))
      )))
