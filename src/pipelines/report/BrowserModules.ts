/**
 * Modules of this library for a browser. In a checkout their types are stripped, in the package they are compiled. They run as they are,
 * without a bundler. A server offers them under their places in the source, so that their imports find each other.
 */
import { Effect, type FileSystem, Path } from "effect"
// An older Node.js has no such name, and is to say so in a sentence of patchword.
import * as NodeModule from "node:module"
import * as Files from "../../layers/files/Files.ts"

// `.ts` in a checkout, `.js` in the package.
const ENDING = import.meta.url.slice(import.meta.url.lastIndexOf("."))

/** Returns the name of a module by its place in the source without ending: `studio/browser/Live` becomes `studio/browser/Live.js`. */
export const nameOf = (place: string): string => `${place}${ENDING}`

const IMPORTED = /(?:\bfrom\s+|\bimport\s+)"(\.[^"]+)"/g

/** Reads modules and those that they import, by their names. Fails with a `FileError` if one is missing. */
export const read = Effect.fnUntraced(function*(
  places: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyMap<string, string>, Files.FileError, FileSystem.FileSystem | Path.Path> {
  const { path, readText } = yield* Files.make
  const source = yield* Effect.orDie(path.fromFileUrl(new URL("../..", import.meta.url)))
  const found = new Map<string, string>()
  const waiting = places.map(nameOf)
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue
    const text = yield* readText(path.join(source, name))
    const script = ENDING === ".ts" ? NodeModule.stripTypeScriptTypes(text) : text
    found.set(name, script)
    const place = new URL(name, "file:///")
    for (const [, specifier] of script.matchAll(IMPORTED)) waiting.push(new URL(specifier!, place).pathname.slice(1))
  }
  return found
})
