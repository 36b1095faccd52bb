/** The keeper of a run folder, which keeps the run in another place, such as object storage. */
import { Context, Effect } from "effect"
import type * as Files from "../files/Files.ts"
import type * as Lock from "../files/Lock.ts"

/** The work of the keeper of a run folder on the run. */
export interface RunKeeper {
  /** Comes before the first change of the opened run. A command that is refused does not come so far. */
  readonly begin: Effect.Effect<void, Lock.Locked | Files.FileError>
  /** Keeps what is new. It follows each checkpoint, finished stage, result, kept batch and report. */
  readonly store: Effect.Effect<void, Files.FileError>
}

/** The keepers by their folders. */
export const RunKeepers = Context.Reference<ReadonlyMap<string, RunKeeper>>("patchword/layers/RunKeepers", {
  defaultValue: () => new Map()
})

/** The keeper of folders that have none. */
export const NOBODY: RunKeeper = { begin: Effect.void, store: Effect.void }

/** Returns the keeper of the folder that a place lies in. */
export const of = (place: string): Effect.Effect<RunKeeper> =>
  Effect.map(RunKeepers, (all) => {
    for (const [folder, keeper] of all) if (place === folder || place.startsWith(`${folder}/`)) return keeper
    return NOBODY
  })
