/** Links in run folders that lead out of them. Writers follow none of them, because a run folder may be from elsewhere. */
import { Effect, type FileSystem, Option, type Path, type PlatformError } from "effect"

const CONFIG = "config.json"

/** One of them is beside the configuration of each run. */
const SIGNS = ["environment.json", "log.jsonl", "stages"]

/** Tests whether a folder with files of these names is a run. */
export const isRun = (names: ReadonlyArray<string>): boolean =>
  names.includes(CONFIG) && SIGNS.some((name) => names.includes(name))

const missing = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "NotFound"

/** Finds a link on the way to a place that leads out of the run folder in which the link is. The place need not be there yet. */
export const leading = Effect.fnUntraced(function*(
  files: { readonly fs: FileSystem.FileSystem; readonly path: Path.Path },
  place: string
): Effect.fn.Return<Option.Option<string>, PlatformError.PlatformError> {
  const { fs, path } = files
  const parents = (at: string): ReadonlyArray<string> =>
    path.dirname(at) === at ? [] : [path.dirname(at), ...parents(path.dirname(at))]
  const whole = path.resolve(place)
  const ways = [whole, ...parents(whole)]
  // A link to nothing does not exist, and has no real path.
  const there = yield* Effect.findFirst(
    ways,
    (way) => Effect.isSuccess(Effect.catch(fs.readLink(way), () => fs.stat(way)))
  )
  const real = Option.isNone(there) ? there : yield* Effect.option(fs.realPath(there.value))
  if (Option.isNone(there) || Option.contains(real, there.value)) return Option.none()
  for (const way of ways) {
    const target = yield* Effect.option(fs.readLink(way))
    if (Option.isNone(target)) continue
    for (const home of parents(way)) {
      const names = yield* Effect.orElseSucceed(fs.readDirectory(home), (): ReadonlyArray<string> => [])
      if (!isRun(names)) continue
      const folder = yield* fs.realPath(home)
      const aimed = path.resolve(path.dirname(way), target.value)
      const inside = yield* Effect.catchIf(fs.realPath(way), missing, () => Effect.succeed(aimed))
      if (inside !== folder && !inside.startsWith(folder + path.sep)) return Option.some(way)
    }
  }
  return Option.none()
})
