/**
 * The runs of folders, read from their files alone. There is no server and no index. Nothing is locked and nothing is written, so
 * a run that trains, also in another process or on another machine, is not disturbed.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { Registry } from "patchword/pipelines"
 *
 * const program = Effect.gen(function*() {
 *   assert.deepStrictEqual(yield* Registry.list(["examples"]), [])
 *   const error = yield* Effect.flip(Registry.read("examples"))
 *   assert.strictEqual(error.reason._tag, "NoRun")
 * })
 * await Effect.runPromise(Effect.provide(program, Files.layerNode))
 * ```
 */
import { Effect, type FileSystem, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import { isRun } from "../../layers/files/RunLinks.ts"
import { read } from "./ReadRun.ts"
import type { Run } from "./Run.ts"
import { type RunFolderError, within } from "./RunFolderError.ts"

export { read } from "./ReadRun.ts"
export type { Figure, Run, StageState, State } from "./Run.ts"
export { NoFigure, NoRun, RunFolderError } from "./RunFolderError.ts"

/** Options of a search for runs. */
export interface ListOptions {
  /** Number of levels of folders that are searched below each folder; default 4. */
  readonly depth?: number
}

const DEPTH = 4

// A search in a wrong place, such as the root of a disk, has to end.
const MOST_FOLDERS = 10_000

const SKIPPED = new Set(["node_modules"])

type Io = FileSystem.FileSystem | Path.Path

/** Finds the run folders in folders, in the order of their names. Symbolic links below the folders are not followed. */
export const find = Effect.fnUntraced(
  function*(
    folders: ReadonlyArray<string>,
    options: ListOptions = {}
  ): Effect.fn.Return<ReadonlyArray<string>, RunFolderError, Io> {
    const { depth = DEPTH } = options
    const { fs, path } = yield* Files.make
    const found: Array<string> = []
    let left = MOST_FOLDERS
    const search = (
      folder: string,
      levels: number,
      orElse: (error: Files.FileError) => Effect.Effect<ReadonlyArray<FileSystem.DirectoryEntry>, Files.FileError>
    ): Effect.Effect<void, Files.FileError> =>
      Effect.gen(function*() {
        if (left-- <= 0) return
        const entries = yield* Effect.catch(Files.onFailure(folder)(fs.readDirectoryEntries(folder)), orElse)
        if (isRun(entries.map(({ name }) => name))) return void found.push(folder)
        if (levels === 0) return
        const inner = entries
          .filter(({ name, type }) => type === "Directory" && !name.startsWith(".") && !SKIPPED.has(name))
          .map(({ name }) => name)
          .toSorted()
        // A folder that has just been removed, or that nobody may read, holds no run for us.
        for (const name of inner) yield* search(path.join(folder, name), levels - 1, () => Effect.succeed([]))
      })
    yield* Effect.forEach(folders, (folder) => within(folder)(search(folder, depth, Effect.fail)), { discard: true })
    return [...new Set(found)]
  }
)

/**
 * Reads all runs in folders. A folder may itself be a run. Runs that vanish meanwhile are left out. Fails with `FileError` if a
 * folder is not there.
 */
export const list = Effect.fn("patchword.Registry.list")(
  function*(
    folders: ReadonlyArray<string>,
    options?: ListOptions
  ): Effect.fn.Return<ReadonlyArray<Run>, RunFolderError, Io> {
    const found = yield* find(folders, options)
    const runs = yield* Effect.forEach(found, (run) =>
      Effect.catchIf(
        read(run),
        ({ reason }) => reason._tag === "NoRun" || (reason._tag === "FileError" && reason.kind === "missing"),
        () => Effect.succeed(undefined)
      ), { concurrency: 8 })
    return runs.filter((run) => run !== undefined)
  }
)
