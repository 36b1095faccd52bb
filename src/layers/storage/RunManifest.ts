/** The object `run.json`: the owner of a run on object storage, and the object of each of its files. */
import { Effect, Option, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Lock from "../files/Lock.ts"
import * as S3 from "./S3.ts"

/** The name of the object. */
export const NAME = "run.json"

/** The beginning of the names of objects that hold the content of files. */
export const OBJECTS = "files/"

// The pattern prevents writes outside of the folder.
const Name = Schema.String.check(Schema.isPattern(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\\]+$/))

/** The object of a file. */
export const Stored = Schema.Struct({ key: Schema.String, size: Schema.Int, sha256: Schema.String })
export type Stored = typeof Stored.Type

/** The files of a run by their names. */
export type Contents = Readonly<Record<string, Stored>>

const Manifest = Json.text(
  Schema.Struct({
    format: Schema.Literal(1),
    number: Schema.Int,
    owner: Schema.NullOr(Lock.Process),
    /** Number of changes since this owner came. With the owner's token it tells each text from all others. */
    writes: Schema.Int,
    files: Schema.Record(Name, Stored)
  }),
  { space: 2 }
)
export type Manifest = typeof Manifest.Type

/** The object with the tag of its version. Without an object there is none, and the owner has the number 0. */
export interface Found {
  readonly manifest: Manifest
  readonly etag: string | undefined
}

/** An object that is there. */
export interface Present extends Found {
  readonly etag: string
}

/** Tests whether there is an object. */
export const isPresent = (found: Found): found is Present => found.etag !== undefined

const NONE: Found = { manifest: { format: 1, number: 0, owner: null, writes: 0, files: {} }, etag: undefined }

/** Formats the text of the object. */
export const encode: (manifest: Manifest) => string = Schema.encodeSync(Manifest)

/** Reads it, if there is a run. */
export const read = Effect.fnUntraced(function*(
  storage: S3.S3
): Effect.fn.Return<Found, S3.S3Error> {
  const found = yield* storage.read(NAME)
  if (Option.isNone(found)) return NONE
  const { etag, text } = found.value
  const manifest = yield* Effect.mapError(Schema.decodeEffect(Manifest)(text), (error) =>
    new S3.S3Error({
      url: `${storage.url}/${NAME}`,
      reason: new S3.Damaged({ problem: `it is no list of the files of a run (${error.message})` })
    }))
  return { manifest, etag }
})

/** Reads it. Fails with `NoRun` if there is no run. */
export const needed = Effect.fnUntraced(function*(storage: S3.S3): Effect.fn.Return<Present, S3.S3Error> {
  const found = yield* read(storage)
  if (isPresent(found)) return found
  return yield* new S3.S3Error({ url: storage.url, reason: new S3.NoRun() })
})

/** Returns the names of files that differ between two lists. */
export const differing = (before: Contents, after: Contents): ReadonlyArray<string> =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) =>
    before[name]?.sha256 !== after[name]?.sha256
  )

/** Sorts files by name, and replaces those of the names `changed` by those of another list. */
export const replaced = (files: Contents, changed: ReadonlyArray<string>, by: Contents): Contents =>
  Object.fromEntries(
    [
      ...Object.entries(files).filter(([name]) => !changed.includes(name)),
      ...changed.flatMap((name) => by[name] === undefined ? [] : [[name, by[name]] as const])
    ].toSorted(([a], [b]) => a < b ? -1 : 1)
  )
