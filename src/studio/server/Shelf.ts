/**
 * The runs in the folders that the studio was given, by names for addresses. A name is looked up in this list and never joined to a path.
 * So no address leads to another folder.
 */
import { Effect, type FileSystem, Path } from "effect"
import * as Follow from "../../pipelines/runs/Follow.ts"
import * as Registry from "../../pipelines/runs/Registry.ts"
import type { Named } from "../pages/Links.ts"
import * as Inside from "./Inside.ts"

const same = (text: string): string => text

type Io = FileSystem.FileSystem | Path.Path

/**
 * Finds the run folders, by their names: the path in the folder that was given, or its own name for a run. Of two with the same name,
 * the second is named by its whole path. `shown` tells the name of a copy.
 */
export const folders = Effect.fnUntraced(function*(
  given: ReadonlyArray<string>,
  shown: (text: string) => string = same
): Effect.fn.Return<ReadonlyMap<string, string>, Registry.RunFolderError, Io> {
  const path = yield* Path.Path
  const found = new Map<string, string>()
  for (const folder of given) {
    for (const run of yield* Registry.find([folder])) {
      const name = shown(path.relative(folder, run) || path.basename(path.resolve(run)))
      if ([...found.values()].every((known) => path.resolve(known) !== path.resolve(run))) {
        found.set(found.has(name) ? shown(path.resolve(run)) : name, run)
      }
    }
  }
  return found
})

/** Reads the run with a name. `undefined` if there is none. */
export const find = Effect.fnUntraced(function*(
  given: ReadonlyArray<string>,
  id: string,
  shown?: (text: string) => string
): Effect.fn.Return<Named | undefined, Registry.RunFolderError, Io> {
  const folder = (yield* folders(given, shown)).get(id)
  return folder === undefined ? undefined : { id, run: yield* Inside.within([folder])(Registry.read(folder)) }
})

const read = (id: string, folder: string) =>
  Registry.read(folder).pipe(
    Inside.within([folder]),
    Effect.map((run): ReadonlyArray<Named> => [{ id, run }]),
    Effect.catch(() => Effect.succeed<ReadonlyArray<Named>>([]))
  )

/** Reads all runs. A folder that is removed meanwhile is left out. */
export const all = Effect.fnUntraced(function*(
  given: ReadonlyArray<string>,
  shown?: (text: string) => string
): Effect.fn.Return<ReadonlyArray<Named>, Registry.RunFolderError, Io> {
  const named = yield* Effect.forEach(yield* folders(given, shown), ([id, folder]) => read(id, folder), {
    concurrency: 4
  })
  return named.flat()
})

/** Makes an effect that reads all runs again. It reads only those that have changed, and returns nothing if none has. */
export const watcher = (given: ReadonlyArray<string>, shown?: (text: string) => string): Effect.Effect<
  Effect.Effect<ReadonlyArray<Named> | undefined, Registry.RunFolderError, Io>
> =>
  Effect.sync(() => {
    let known: ReadonlyMap<string, { readonly sign: string; readonly named: ReadonlyArray<Named> }> | undefined
    return Effect.gen(function*() {
      const before = known
      let isNew = before === undefined
      const found = yield* Effect.forEach(
        yield* folders(given, shown),
        Effect.fnUntraced(function*([id, folder]) {
          const sign = yield* Inside.within([folder])(Follow.sign(folder))
          const last = before?.get(id)
          if (last?.sign === sign) return [id, last] as const
          isNew = true
          return [id, { sign, named: yield* read(id, folder) }] as const
        }),
        { concurrency: 4 }
      )
      known = new Map(found)
      return isNew || known.size !== before?.size ? found.flatMap(([, { named }]) => named) : undefined
    })
  })
