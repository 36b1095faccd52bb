/**
 * Files of a run folder that the pages show, by a name from outside. Nothing else is served: no other folder, no link that leads
 * away, no kind of file that a browser would run.
 *
 * ```ts
 * import assert from "node:assert"
 * import { RunFiles } from "patchword/studio"
 *
 * assert.deepStrictEqual(RunFiles.parts("atlas/sprites-0.webp"), ["atlas", "sprites-0.webp"])
 * assert.strictEqual(RunFiles.parts("config.json"), undefined)
 * ```
 */
import { Effect, FileSystem, Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import { FOLDER as ATLAS } from "../../pipelines/atlas/AtlasIndex.ts"
import { FOLDER as LOOK } from "../../pipelines/look/LookFolder.ts"
import * as Headers from "./Headers.ts"

/** The folders of a run whose files the pages show. No other file is served: no checkpoint, no configuration. */
export const FOLDERS: ReadonlyArray<string> = [ATLAS, LOOK]

/** The kinds of files that are served, with what a browser is told that they are. */
export const TYPES: Readonly<Record<string, string>> = {
  bin: "application/octet-stream",
  jpg: "image/jpeg",
  json: "application/json; charset=utf-8",
  onnx: "application/octet-stream",
  png: "image/png",
  webp: "image/webp"
}

const LONGEST = 512

// Windows takes `a:b` for a drive or a stream, drops dots and spaces at the end of a name, and gives some names to devices.
const NAME = /^(?!\.)[\w.@+-]{1,128}(?<!\.)$/
const DEVICE = /^(?:aux|com\d|con|lpt\d|nul|prn)(?:\.|$)/i

const typeOf = (name: string): string | undefined => {
  const ending = /\.(\w+)$/.exec(name)?.[1]
  return ending !== undefined && Object.hasOwn(TYPES, ending) ? TYPES[ending] : undefined
}

/** Splits a decoded name into its parts. `undefined` if it may lead out of the folder, or is of no kind that is served. */
export const parts = (name: string): ReadonlyArray<string> | undefined => {
  const found = name.split("/")
  if (found.length < 2 || !FOLDERS.includes(found[0]!)) return undefined
  const isPlain = name.length <= LONGEST && found.every((part) => NAME.test(part) && !DEVICE.test(part))
  return isPlain && typeOf(name) !== undefined ? found : undefined
}

/** A file that may be served. */
export interface Served {
  /** Its place, without links. */
  readonly path: string
  readonly type: string
  readonly size: number
  /** Changes with the file (`ETag`). */
  readonly tag: string
}

/** Finds a file by the parts of its name. `typeOf` tells the kind of a name in the folder, and `undefined` for one that is not served. */
const locate = Effect.fnUntraced(function*(
  folder: string,
  wanted: ReadonlyArray<string>,
  kindOf: (name: string) => string | undefined
): Effect.fn.Return<Served | undefined, Files.FileError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(folder, ...wanted)
  const seen = Effect.gen(function*() {
    const [home, real] = yield* Effect.all([fs.realPath(folder), fs.realPath(file)])
    // A link may lead to another file of the folder, but only to one that has itself a name to be served.
    const type = kindOf(path.relative(home, real).split(path.sep).join("/"))
    const { size, type: kind } = yield* fs.stat(real)
    if (kind !== "File" || type === undefined) return undefined
    const tag = Headers.tagOf(yield* Files.version(real))
    return { path: real, type, size: Number(size), tag }
  }).pipe(Files.onFailure(file))
  return yield* seen.pipe(Effect.catchIf((error) => error.kind === "missing", () => Effect.succeed(undefined)))
})

/** Finds a file of a folder by a decoded name. `undefined` if there is none that may be served. */
export const find = (
  folder: string,
  name: string
): Effect.Effect<Served | undefined, Files.FileError, FileSystem.FileSystem | Path.Path> => {
  const found = parts(name)
  return found === undefined
    ? Effect.succeed(undefined)
    : locate(folder, found, (real) => parts(real) === undefined ? undefined : typeOf(real))
}

const REPORT = "report.html"

/** Finds the report that a run left. It is a page of its own, for a sandbox. */
export const report = (
  folder: string
): Effect.Effect<Served | undefined, Files.FileError, FileSystem.FileSystem | Path.Path> =>
  locate(folder, [REPORT], (real) => real === REPORT ? "text/html; charset=utf-8" : undefined)
