/** Keeps the readers of a run inside its folder: they read no file to which a link leads from there to the outside. */
import { Effect, FileSystem, Path, PlatformError } from "effect"
import * as Files from "../../layers/files/Files.ts"

/** Makes a file system that refuses such links in the folders. Other places are read as before. */
const guarded = Effect.fnUntraced(function*(
  folders: ReadonlyArray<string>
): Effect.fn.Return<FileSystem.FileSystem, never, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const isIn = (folder: string, file: string): boolean => {
    const [first = ""] = path.relative(folder, file).split(path.sep)
    return first !== ".." && !path.isAbsolute(path.relative(folder, file))
  }

  const check = Effect.fnUntraced(function*(file: string, method: string) {
    const home = folders.find((folder) => isIn(path.resolve(folder), path.resolve(file)))
    if (home === undefined) return
    const [folder, real] = yield* Effect.all([fs.realPath(home), fs.realPath(file)])
    if (isIn(folder, real)) return
    return yield* Effect.fail(
      PlatformError.systemError({
        _tag: "PermissionDenied",
        module: "FileSystem",
        method,
        pathOrDescriptor: file,
        cause: { code: Files.OUTSIDE }
      })
    )
  })

  // A file that is to be made is not there yet.
  const checkThere = (file: string, method: string) =>
    Effect.catchIf(check(file, method), ({ reason }) => reason._tag === "NotFound", () => Effect.void)

  return FileSystem.make({
    ...fs,
    open: (file, options) => Effect.andThen(checkThere(file, "open"), fs.open(file, options)),
    readFile: (file) => Effect.andThen(checkThere(file, "readFile"), fs.readFile(file)),
    stat: (file) => Effect.andThen(checkThere(file, "stat"), fs.stat(file)),
    readDirectoryEntries: (file) =>
      Effect.andThen(checkThere(file, "readDirectoryEntries"), fs.readDirectoryEntries(file)),
    readDirectory: (file, options) => Effect.andThen(checkThere(file, "readDirectory"), fs.readDirectory(file, options))
  })
})

/** Runs readers of run folders so. Their errors are those of files, of the kind `outside`. */
export const within = (folders: ReadonlyArray<string>) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, FileSystem.FileSystem> | FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(guarded(folders), (fs) => Effect.provideService(self, FileSystem.FileSystem, fs))
