/**
 * Run folders on object storage, for workers that share no disk. A worker fetches the run into a folder of its own, trains there, and
 * stores what has changed after each checkpoint, each finished stage and at the end.
 *
 * | object | holds |
 * | --- | --- |
 * | `run.json` | the number of the owner, the owner while there is one, and the object of each file of the run |
 * | `files/NUMBER-SHA256` | the content of a file, stored by the owner of that number. It never changes |
 *
 * A change is one conditional write of `run.json`. So a checkpoint appears as a whole or not at all, and of two owners only the later
 * one can write: the earlier one fails with `FileError` of the kind `superseded`, whenever it wakes up.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ConfigProvider, Effect } from "effect"
 * import { RemoteRuns, Runs } from "patchword/layers"
 *
 * const nobody = ConfigProvider.layer(ConfigProvider.fromUnknown({}))
 * const run = RemoteRuns.layer("s3://bucket/runs/one", { config: {}, takeOver: true })
 * const begun = Effect.provide(Runs.Runs.use(({ log }) => log({ stage: "pretrain", step: 1, loss: 6.2 })), run)
 * assert.strictEqual((await Effect.runPromise(Effect.flip(Effect.provide(begun, nobody))))._tag, "S3Error")
 * ```
 */
import { Context, Effect, type FileSystem, Layer, Option, type Path, Schema, type Scope, Semaphore } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Caches from "../files/Caches.ts"
import { Superseded } from "../files/Fence.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import { readAt } from "../files/ReadAt.ts"
import * as Checkpoints from "../run/Checkpoints.ts"
import * as Runs from "../run/Runs.ts"
import * as S3 from "./S3.ts"

const MANIFEST = "run.json"
const OBJECTS = "files/"

// The pattern prevents writes outside of the folder.
const Name = Schema.String.check(Schema.isPattern(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\\]+$/))

const Stored = Schema.Struct({ key: Schema.String, size: Schema.Int, sha256: Schema.String })

const Manifest = Json.text(
  Schema.Struct({
    format: Schema.Literal(1),
    number: Schema.Int,
    owner: Schema.NullOr(Lock.Process),
    /** Number of writes of this owner. With the owner's token it tells each text from all others. */
    writes: Schema.Int,
    files: Schema.Record(Name, Stored)
  }),
  { space: 2 }
)
type Manifest = typeof Manifest.Type

interface Present {
  readonly manifest: Manifest
  readonly etag: string
}

const read = Effect.fnUntraced(function*(storage: S3.S3) {
  const found = yield* storage.read(MANIFEST)
  if (Option.isNone(found)) return Option.none<Present>()
  const { etag, text } = found.value
  const manifest = yield* Effect.mapError(Schema.decodeEffect(Manifest)(text), (error) =>
    new S3.S3Error({
      url: `${storage.url}/${MANIFEST}`,
      reason: new S3.Damaged({ problem: `it is no list of the files of a run (${error.message})` })
    }))
  return Option.some<Present>({ manifest, etag })
})

const fetched = (files: Files.Files, storage: S3.S3, manifest: Manifest, folder: string) =>
  Effect.forEach(
    Object.entries(manifest.files),
    Effect.fnUntraced(function*([name, { key, sha256 }]) {
      const file = files.path.join(folder, name)
      yield* files.makeFolder(files.path.dirname(file))
      yield* storage.download(key, file, sha256)
    }),
    { concurrency: 4, discard: true }
  )

/** The address holds no run. */
const nothing = (url: string) => new S3.S3Error({ url, reason: new S3.Damaged({ problem: "there is no run" }) })

/**
 * Copies a run from object storage into a folder, as it is at one moment, also while it trains. Fails with `S3Error` if there is no
 * run, or if the storage fails.
 */
export const download: (
  url: string,
  folder: string
) => Effect.Effect<void, S3.S3Error | Files.FileError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.RemoteRuns.download"
)(
  function*(url, folder) {
    const files = yield* Files.make
    const storage = yield* S3.open(url)
    const whole = Effect.gen(function*() {
      const found = yield* read(storage)
      if (Option.isNone(found)) return yield* nothing(url)
      const { etag, manifest } = found.value
      yield* files.writeFolder(folder, (temporary) => fetched(files, storage, manifest, temporary)).pipe(
        // The owner may have replaced the files meanwhile.
        Effect.catchIf(
          (error) => error._tag === "S3Error" && error.reason._tag === "Damaged",
          (error) =>
            Effect.flatMap(
              read(storage),
              (now) =>
                Option.isSome(now) && now.value.etag !== etag ? Effect.succeed("again" as const) : Effect.fail(error)
            )
        )
      )
    })
    yield* Effect.repeat(whole, { until: (outcome) => outcome !== "again" })
  }
)

const WORK = /^run-(\d+)-/

/** Makes a folder for the files of one run. Removes those of killed processes. */
const workFolder = Effect.fnUntraced(function*({ fs, makeFolder, path }: Files.Files) {
  const parent = yield* Caches.folder("storage")
  yield* makeFolder(parent)
  for (const name of yield* Files.onFailure(parent)(fs.readDirectory(parent))) {
    const pid = Number(WORK.exec(name)?.[1] ?? process.pid)
    const left = path.join(parent, name)
    if (pid !== process.pid && !(yield* Files.isAlive(pid))) yield* Effect.ignore(fs.remove(left, { recursive: true }))
  }
  return yield* Files.onFailure(parent)(fs.makeTempDirectory({ directory: parent, prefix: `run-${process.pid}-` }))
})

const ASIDE = /(?:^|\/)\.(?:tmp|replaced)-/

/** A run on object storage that this process owns. */
interface Owned {
  readonly number: number
  readonly folder: string
  /** Stores what has changed. Fails with the kind `superseded` if there is a new owner. */
  readonly store: Effect.Effect<void, Files.FileError>
}

const own = Effect.fnUntraced(function*(
  url: string,
  takeOver: boolean
): Effect.fn.Return<
  Owned,
  S3.S3Error | Runs.RunsError | Files.FileError,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const files = yield* Files.make
  const { fs, path } = files
  const storage = yield* S3.open(url)
  const me = yield* Lock.here(files)
  const encode = Schema.encodeSync(Manifest)

  const take: Effect.Effect<Present, S3.S3Error | Runs.RunsError> = Effect.gen(function*() {
    const found = Option.getOrUndefined(yield* read(storage))
    const owner = found?.manifest.owner
    if (owner && !takeOver && (yield* Lock.mayRun(files, owner))) {
      const reason = new Runs.Locked({ pid: owner.pid, host: owner.host, file: `${url}/${MANIFEST}` })
      return yield* new Runs.RunsError({ directory: url, reason })
    }
    const number = (found?.manifest.number ?? 0) + 1
    const manifest: Manifest = { format: 1, number, owner: me, writes: 0, files: found?.manifest.files ?? {} }
    const etag = yield* storage.replace(MANIFEST, encode(manifest), found?.etag)
    return Option.isSome(etag) ? { manifest, etag: etag.value } : yield* take
  })
  let present = yield* take
  const { number } = present.manifest

  // What former owners had stored, but not named in the list.
  const named = new Set(Object.values(present.manifest.files).map(({ key }) => key))
  const left = (yield* storage.list(OBJECTS)).filter((key) =>
    !named.has(key) && Number.parseInt(key.slice(OBJECTS.length), 10) < number
  )
  yield* Effect.forEach(left, storage.remove, { concurrency: 4, discard: true })

  const folder = yield* workFolder(files)
  const discard = Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
  yield* Effect.onError(fetched(files, storage, present.manifest, folder), () => discard)

  const digestOf = Effect.fnUntraced(function*(file: string, size: number) {
    const handle = yield* fs.open(file)
    const hash = Files.hasher()
    const length = 2 ** 20
    for (let from = 0; from < size; from += length) {
      hash.update(yield* readAt(handle, from, Math.min(length, size - from)))
    }
    return hash.digest("hex")
  }, Effect.scoped)

  const seen = new Map<string, { readonly version: string; readonly stored: typeof Stored.Type }>()
  const storedOf = Effect.fnUntraced(function*(name: string, size: number, keys: ReadonlyMap<string, string>) {
    const file = path.join(folder, name)
    const version = yield* Files.version(file)
    const known = seen.get(name)
    if (known?.version === version) return known.stored
    const sha256 = yield* Files.onFailure(file)(digestOf(file, size))
    const there = keys.get(sha256)
    const stored = { key: there ?? `${OBJECTS}${number}-${sha256}`, size, sha256 }
    if (there === undefined) yield* storage.upload(stored.key, file, size)
    seen.set(name, { version, stored })
    return stored
  })

  const failed = (error: S3.S3Error | Files.FileError) =>
    error._tag === "FileError"
      ? error
      : error.reason._tag === "FileError"
      ? error.reason
      : new Files.FileError({ path: error.url, kind: "other", cause: error })

  const write = Effect.fnUntraced(function*(owner: Lock.Process | null) {
    const { etag, manifest: before } = present
    const keys = new Map(Object.values(before.files).map(({ key, sha256 }) => [sha256, key]))
    const now: Record<string, typeof Stored.Type> = {}
    const names = yield* Files.onFailure(folder)(fs.readDirectory(folder, { recursive: true }))
    for (const name of names.toSorted()) {
      if (Lock.isLock(name) || ASIDE.test(name)) continue
      const { size, type } = yield* Files.onFailure(name)(fs.stat(path.join(folder, name)))
      if (type === "File") now[name.replaceAll(path.sep, "/")] = yield* storedOf(name, Number(size), keys)
    }
    const files = Object.fromEntries(Object.entries(now).toSorted(([a], [b]) => a < b ? -1 : 1))
    if (owner !== null && Json.canonical(files) === Json.canonical(before.files)) return
    const manifest: Manifest = { ...before, owner, writes: before.writes + 1, files }
    const next = yield* storage.replace(MANIFEST, encode(manifest), etag)
    if (Option.isNone(next)) {
      const later = Option.getOrUndefined(yield* read(storage))?.manifest.number ?? null
      const cause = new Superseded({ own: number, present: later })
      return yield* new Files.FileError({ path: `${url}/${MANIFEST}`, kind: "superseded", cause })
    }
    present = { manifest, etag: next.value }
    const kept = new Set(Object.values(files).map(({ key }) => key))
    const gone = new Set(Object.values(before.files).map(({ key }) => key).filter((key) => !kept.has(key)))
    yield* Effect.ignore(Effect.forEach(gone, storage.remove, { concurrency: 4, discard: true }))
  }, Effect.mapError(failed))

  const one = yield* Semaphore.make(1)
  const store = (owner: Lock.Process | null) => Effect.uninterruptible(one.withPermit(write(owner)))
  yield* Effect.addFinalizer(() =>
    store(null).pipe(
      Effect.matchEffect({
        onSuccess: () => discard,
        onFailure: (error) =>
          error.kind === "superseded" ? discard : Effect.logError(
            `${url}: the last changes were not stored (${error.finding}). They are in ${folder}`
          )
      })
    )
  )
  return { number, folder, store: store(me) }
})

/**
 * Opens a run on object storage, `s3://BUCKET/PREFIX`, and its checkpoints; see `Runs.layerNoDeps` and `S3`. Each opening gets the
 * next number. Without `takeOver`, a run that another process owns is refused, unless that one was of this machine and has ended.
 */
export const layerNoDeps = (
  url: string,
  options: Runs.Options
): Layer.Layer<
  Runs.Runs | Checkpoints.Checkpoints,
  S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError,
  FileSystem.FileSystem | Path.Path
> =>
  Layer.effectContext(Effect.gen(function*() {
    const inRun = Effect.mapError((reason: Files.FileError) => new Runs.RunsError({ directory: url, reason }))
    const { folder, store } = yield* own(url, options.takeOver ?? (yield* Runs.TakeOver)).pipe(
      Effect.mapError((error) =>
        error._tag === "FileError" ? new Runs.RunsError({ directory: url, reason: error }) : error
      )
    )
    const built = yield* Layer.build(Runs.layerNoDeps(folder, options))
    const runs = Context.get(built, Runs.Runs)
    const checkpoints = Context.get(built, Checkpoints.Checkpoints)
    const inCheckpoints = Effect.mapError((reason: Files.FileError) => new Checkpoints.CheckpointsError({ reason }))
    return built.pipe(
      Context.add(Runs.Runs, {
        ...runs,
        done: (stage, result) => Effect.andThen(runs.done(stage, result), inRun(store)),
        saveBatch: (stage, step, batch) => Effect.tap(runs.saveBatch(stage, step, batch), () => inRun(store)),
        writeReport: (json, html) => Effect.andThen(runs.writeReport(json, html), inRun(store))
      }),
      Context.add(Checkpoints.Checkpoints, {
        ...checkpoints,
        save: (snapshot) => Effect.andThen(checkpoints.save(snapshot), inCheckpoints(store)),
        clear: (stage) => Effect.andThen(checkpoints.clear(stage), inCheckpoints(store))
      })
    )
  }))

/** Opens a run on object storage with the files of this machine; see {@link layerNoDeps}. */
export const layer = (
  url: string,
  options: Runs.Options
): Layer.Layer<
  Runs.Runs | Checkpoints.Checkpoints,
  S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError
> => layerNoDeps(url, options).pipe(Layer.provide(Files.layerNode))
