/** A folder with files of a run on object storage. It knows which of them have changed since they were fetched. */
import { Effect } from "effect"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import { readAt } from "../files/ReadAt.ts"
import * as Runs from "../run/Runs.ts"
import type { Contents, Stored } from "./RunManifest.ts"
import type * as S3 from "./S3.ts"

/** The part of a file that a copy holds: all of it, its first bytes and zeros, or zeros alone. Its length is always right. */
export type Part = "whole" | "head" | "name"

/** The folder, its fetching and its storing. */
export interface RunCopy {
  /** Fetches files, each atomically; default the whole of each. The folder then holds no others. */
  readonly fetch: (
    wanted: Contents,
    partOf?: (name: string) => Part
  ) => Effect.Effect<void, S3.S3Error | Files.FileError>
  /** Tests whether the files are those of a list. */
  readonly isSame: (base: Contents) => Effect.Effect<boolean, Files.FileError>
  /**
   * Lists the files as they are now. Those that differ from `base` are uploaded, unless an object of `there` has their content.
   * `keyOf` names new objects.
   */
  readonly contents: (
    base: Contents,
    there: Contents,
    keyOf: (sha256: string) => string
  ) => Effect.Effect<Contents, S3.S3Error | Files.FileError>
  /** Takes over what others have changed since `base`, except for files that differ from it in `mine`; default the whole of each. */
  readonly merge: (
    base: Contents,
    mine: Contents,
    theirs: Contents,
    partOf?: (name: string) => Part
  ) => Effect.Effect<void, S3.S3Error | Files.FileError>
}

const ASIDE = /(?:^|\/)\.(?:tmp|replaced)-/

/** Length of the first bytes of a file. The header of weights fits. */
const HEAD = 2 ** 20

const digestOf = Effect.fnUntraced(function*({ fs }: Files.Files, file: string, size: number) {
  const handle = yield* fs.open(file)
  const hash = Files.hasher()
  const length = 2 ** 20
  for (let from = 0; from < size; from += length) {
    hash.update(yield* readAt(handle, from, Math.min(length, size - from)))
  }
  return hash.digest("hex")
}, Effect.scoped)

/** Makes the copy in a folder. */
export const make = (files: Files.Files, storage: S3.S3, folder: string): RunCopy => {
  const { fs, path } = files
  const seen = new Map<string, { readonly version: string; readonly sha256: string }>()

  const fetchOne = Effect.fnUntraced(function*(name: string, { key, sha256, size }: Stored, part: Part) {
    const file = path.join(folder, name)
    const temporary = path.join(path.dirname(file), `.tmp-${process.pid}-${path.basename(file)}`)
    yield* files.makeFolder(path.dirname(file))
    if (part === "whole" || (part === "head" && size <= HEAD)) yield* storage.download(key, temporary, sha256)
    else if (part === "head") yield* storage.head(key, temporary, HEAD, size)
    else {
      yield* Files.onFailure(file)(
        Effect.andThen(fs.writeFile(temporary, new Uint8Array()), fs.truncate(temporary, size))
      )
    }
    yield* Files.onFailure(file)(fs.rename(temporary, file))
    seen.set(name, { version: yield* Files.version(file), sha256 })
  })

  const sha256Of = Effect.fnUntraced(function*(name: string, file: string, size: number) {
    const version = yield* Files.version(file)
    const known = seen.get(name)
    if (known?.version === version) return known.sha256
    const sha256 = yield* Files.onFailure(file)(digestOf(files, file, size))
    seen.set(name, { version, sha256 })
    return sha256
  })

  const found = Effect.gen(function*() {
    const names = yield* Files.onFailure(folder)(fs.readDirectory(folder, { recursive: true }))
    const all = names.toSorted().map((name) => ({
      file: path.join(folder, name),
      name: name.replaceAll(path.sep, "/")
    }))
    const own = all.filter(({ name }) => !Lock.isLock(name) && !ASIDE.test(name))
    const known = yield* Effect.forEach(
      own,
      ({ file, name }) =>
        Effect.map(Files.onFailure(file)(fs.stat(file)), ({ size, type }) => ({ file, name, type, size: Number(size) }))
    )
    return known.filter(({ type }) => type === "File")
  })

  const remove = (name: string) => {
    seen.delete(name)
    return Files.onFailure(name)(fs.remove(path.join(folder, name), { force: true }))
  }

  const fetch: RunCopy["fetch"] = Effect.fnUntraced(function*(wanted, partOf = () => "whole") {
    yield* Effect.forEach(Object.entries(wanted), ([name, stored]) => fetchOne(name, stored, partOf(name)), {
      concurrency: 4,
      discard: true
    })
    // An earlier try may have left files of a list that has changed meanwhile.
    for (const { name } of yield* found) if (wanted[name] === undefined) yield* remove(name)
    // A run is known by this folder, also while it is empty. Object storage has no empty folders.
    if (Object.keys(wanted).length > 0) yield* files.makeFolder(path.join(folder, Runs.STAGES))
  })

  const isSame: RunCopy["isSame"] = Effect.fnUntraced(function*(base) {
    const now = yield* found
    if (now.length !== Object.keys(base).length) return false
    for (const { file, name, size } of now) {
      if ((yield* sha256Of(name, file, size)) !== base[name]?.sha256) return false
    }
    return true
  })

  const contents: RunCopy["contents"] = Effect.fnUntraced(function*(base, there, keyOf) {
    const keys = new Map(Object.values(there).map(({ key, sha256 }) => [sha256, key]))
    const now: Record<string, Stored> = {}
    for (const { file, name, size } of yield* found) {
      const sha256 = yield* sha256Of(name, file, size)
      const before = base[name]
      if (before?.sha256 === sha256) now[name] = before
      else {
        const key = keys.get(sha256) ?? keyOf(sha256)
        if (!keys.has(sha256)) yield* storage.upload(key, file, size)
        keys.set(sha256, key)
        now[name] = { key, size, sha256 }
      }
    }
    return now
  })

  const merge: RunCopy["merge"] = Effect.fnUntraced(function*(base, mine, theirs, partOf = () => "whole") {
    const names = new Set([...Object.keys(base), ...Object.keys(theirs)])
    for (const name of names) {
      const before = base[name]?.sha256
      const other = theirs[name]
      if (other?.sha256 === before || mine[name]?.sha256 !== before) continue
      if (other !== undefined) yield* fetchOne(name, other, partOf(name))
      else yield* remove(name)
    }
  })

  return { fetch, isSame, contents, merge }
}
