/** The part of a run's saving that a keeper of its folder adds: object storage stores what is new. */
import { Context, Effect } from "effect"
import type * as Files from "../files/Files.ts"

/** The folders of runs with a keeper. Its effect follows the opening, each checkpoint, finished stage, kept batch and report. */
export const AfterSave = Context.Reference<ReadonlyMap<string, Effect.Effect<void, Files.FileError>>>(
  "patchword/layers/AfterSave",
  { defaultValue: () => new Map() }
)

/** Returns what follows the saving of something in a place: the effect of the keeper of its folder, or nothing. */
export const of = (place: string): Effect.Effect<Effect.Effect<void, Files.FileError>> =>
  Effect.map(AfterSave, (kept) => {
    for (const [folder, keep] of kept) if (place === folder || place.startsWith(`${folder}/`)) return keep
    return Effect.void
  })
