/**
 * Run folders on object storage, for workers that share no disk. A worker fetches the run into a folder of its own, trains there, and
 * stores what has changed after each checkpoint, each finished stage and at the end.
 *
 * | object | holds |
 * | --- | --- |
 * | `run.json` | the number of the owner, the owner while there is one, and the object of each file of the run |
 * | `files/NUMBER-SHA256` | the content of a file, stored by the owner of that number. It never changes |
 * | `files/NUMBER-SHA256-TOKEN` | the content of a file that another process added while that number was the last one |
 *
 * A change is one conditional write of `run.json`. So a checkpoint appears as a whole or not at all, and of two owners only the later
 * one can write: the earlier one fails with `FileError` of the kind `superseded`, whenever it wakes up. Others than the owner add
 * results, tags and notes by such a write, too. The owner then takes them over.
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
import { Cause, Effect, Exit, type FileSystem, Layer, Option, type Path, Schema, type Scope, Semaphore } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Caches from "../files/Caches.ts"
import { Superseded } from "../files/Fence.ts"
import * as Files from "../files/Files.ts"
import * as Lock from "../files/Lock.ts"
import type * as Checkpoints from "../run/Checkpoints.ts"
import { type RunKeeper, RunKeepers } from "../run/RunKeeper.ts"
import * as Runs from "../run/Runs.ts"
import * as Address from "./Address.ts"
import * as RunCopy from "./RunCopy.ts"
import * as RunManifest from "./RunManifest.ts"
import * as S3 from "./S3.ts"

export type { Part } from "./RunCopy.ts"

type Io = FileSystem.FileSystem | Path.Path

/** Fetches what is found. Tries again while the run changes between the reading of its list and that of its files. */
const settled = <F extends RunManifest.Found, E, A>(
  find: Effect.Effect<F, E>,
  fetched: (found: F) => Effect.Effect<A, S3.S3Error | Files.FileError>
): Effect.Effect<A, E | S3.S3Error | Files.FileError> =>
  Effect.gen(function*() {
    const found = yield* find
    return yield* Effect.catchIf(
      fetched(found),
      (error) => error._tag === "S3Error" && error.reason._tag === "Damaged",
      (error) => Effect.flatMap(find, ({ etag }) => etag === found.etag ? Effect.fail(error) : settled(find, fetched))
    )
  })

/**
 * Copies a run from object storage into a folder, as it is at one moment, also while it trains. Fails with `S3Error` if there is no
 * run, or if the storage fails.
 */
export const download: (url: string, folder: string) => Effect.Effect<void, S3.S3Error | Files.FileError, Io> = Effect
  .fn(
    "patchword.RemoteRuns.download"
  )(
    function*(url, folder) {
      const files = yield* Files.make
      const storage = yield* S3.open(url)
      yield* settled(
        RunManifest.needed(storage),
        ({ manifest }) =>
          files.writeFolder(folder, (temporary) => RunCopy.make(files, storage, temporary).fetch(manifest.files))
      )
    }
  )

/** The addresses above an address, and itself, the longest first. */
const ways = (url: string): ReadonlyArray<string> => {
  const end = url.lastIndexOf("/")
  return end < Address.SCHEME.length ? [url] : [url, ...ways(url.slice(0, end))]
}

/**
 * Finds the run that an address lies in: the address itself, or one above it, such as that of `s3://BUCKET/RUN/STAGE`. Fails with
 * `S3Error` if the address is none, or if the storage fails.
 */
export const runOf: (url: string) => Effect.Effect<Option.Option<string>, S3.S3Error, Io> = Effect.fn(
  "patchword.RemoteRuns.runOf"
)((url) =>
  Effect.findFirst(
    ways(url.replace(/\/+$/, "")),
    (way) => Effect.flatMap(S3.open(way), (storage) => Effect.map(storage.read(RunManifest.NAME), Option.isSome))
  )
)

/** Fails with `InRun` if an address lies in a run without being one, and as {@link runOf} does. */
export const outside: (url: string) => Effect.Effect<void, S3.S3Error, Io> = Effect.fn("patchword.RemoteRuns.outside")(
  function*(url) {
    const run = Option.getOrElse(yield* runOf(url), () => url)
    if (run !== url) return yield* new S3.S3Error({ url, reason: new S3.InRun({ run }) })
  }
)

/** The runs below an address. */
export interface Listed {
  /** Their addresses, without those that lie in another run. */
  readonly runs: ReadonlyArray<string>
  /** Places of runs that are no addresses, because a part is empty, `.` or `..`. */
  readonly misnamed: ReadonlyArray<string>
}

/** Lists the runs below an address. Fails with `NoRun` if nothing at all is below the prefix, and as {@link runOf} does. */
export const list: (url: string) => Effect.Effect<Listed, S3.S3Error, Io> = Effect.fn(
  "patchword.RemoteRuns.list"
)(function*(given) {
  const url = given.replace(/\/+$/, "")
  const storage = yield* S3.open(url)
  const ending = `/${RunManifest.NAME}`
  const keys = (yield* storage.list("")).map((key) => `/${key}`)
  if (keys.length === 0 && ways(url).length > 1) return yield* new S3.S3Error({ url, reason: new S3.NoRun() })
  const found = keys.flatMap((key) => key.endsWith(ending) ? [`${url}${key.slice(0, -ending.length)}`] : []).toSorted()
  const all = new Set(found)
  const outermost = found.filter((run) => !ways(run).slice(1).some((above) => all.has(above)))
  const isNamed = (run: string) => Option.isSome(Schema.decodeOption(Address.Address)(run))
  return { runs: outermost.filter(isNamed), misnamed: outermost.filter((run) => !isNamed(run)) }
})

/** A folder in the user's caches. It is removed with its scope, unless it was kept. */
export interface Workspace {
  readonly folder: string
  /** Keeps the folder under another name, which nobody removes. Returns where a folder in it is then. */
  readonly keep: (inner: string) => Effect.Effect<string>
}

const WORK = /^run-(\d+)-/

/** Makes a folder for copies of runs. Removes those of killed processes. */
export const workspace: Effect.Effect<Workspace, Files.FileError, Io | Scope.Scope> = Effect.gen(function*() {
  const { fs, makeFolder, path } = yield* Files.make
  const parent = yield* Caches.folder("storage")
  yield* makeFolder(parent)
  for (const name of yield* Files.onFailure(parent)(fs.readDirectory(parent))) {
    const pid = Number(WORK.exec(name)?.[1] ?? process.pid)
    const left = path.join(parent, name)
    if (pid !== process.pid && !(yield* Files.isAlive(pid))) yield* Effect.ignore(fs.remove(left, { recursive: true }))
  }
  let kept = false
  const folder = yield* Effect.acquireRelease(
    Files.onFailure(parent)(fs.makeTempDirectory({ directory: parent, prefix: `run-${process.pid}-` })),
    (folder) => kept ? Effect.void : Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
  )
  const keep = (inner: string) => {
    const to = path.join(parent, path.basename(folder).replace(WORK, "kept-"))
    kept = true
    return fs.rename(folder, to).pipe(
      Effect.as(path.join(to, path.relative(folder, inner))),
      Effect.orElseSucceed(() => inner)
    )
  }
  return { folder, keep }
})

/** A copy of a run in a folder. */
export interface Copied {
  /** Number of files, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Adds what has changed in the folder to the run. Without changes it sends nothing. Fails if another run is at the address now. */
  readonly store: Effect.Effect<void, S3.S3Error | Files.FileError>
}

/** A copy that can follow its run. */
export interface Followed extends Copied {
  /** Takes over what has changed in the run, also over changes of the same files in the folder. It stores nothing. */
  readonly renew: Effect.Effect<void, S3.S3Error | Files.FileError>
}

const Owner = Json.text(Lock.Process)

const counted = (files: RunManifest.Contents) => ({
  files: Object.keys(files).length,
  bytes: Object.values(files).reduce((sum, { size }) => sum + size, 0)
})

/**
 * Copies a run into an empty folder for somebody who is not its owner: to look at it, and to add results, tags or notes. It may
 * train meanwhile. `partOf` tells how much of a file is needed; default all of it. The folder tells who owns the run.
 *
 * Fails as {@link download} does, and if the folder holds something. `store` fails with `ChangedMeanwhile` if another process has
 * changed the same file, or has begun another run at this address.
 */
export const copy: (
  url: string,
  folder: string,
  partOf?: (name: string) => RunCopy.Part
) => Effect.Effect<Followed, S3.S3Error | Files.FileError, Io> = Effect.fn("patchword.RemoteRuns.copy")(
  function*(url, folder, partOf) {
    const files = yield* Files.make
    const storage = yield* S3.open(url)
    const { token = process.pid } = yield* Lock.here(files)
    const own = RunCopy.make(files, storage, folder)
    yield* files.makeFolder(folder)
    // What lies there already would be stored as an addition.
    if ((yield* Files.onFailure(folder)(files.fs.readDirectory(folder))).length > 0) {
      return yield* new Files.FileError({ path: folder, kind: "filled", cause: undefined })
    }
    const lock = files.path.join(folder, Lock.NAME)
    const owned = ({ owner }: RunManifest.Manifest) =>
      owner === null
        ? Files.onFailure(lock)(files.fs.remove(lock, { force: true }))
        : files.write(lock, Schema.encodeSync(Owner)(owner))
    const first = yield* settled(
      RunManifest.needed(storage),
      (found) => Effect.as(own.fetch(found.manifest.files, partOf), found)
    )
    yield* owned(first.manifest)
    let seen = first.etag
    let base = first.manifest.files
    let { number } = first.manifest
    // A run keeps its settings, and the numbers of its owners grow.
    const isOther = (now: RunManifest.Manifest) => {
      const settings = base["config.json"]?.sha256
      return now.number < number || (settings !== undefined && now.files["config.json"]?.sha256 !== settings)
    }

    const store: Copied["store"] = Effect.gen(function*() {
      if (yield* own.isSame(base)) return
      const { etag, manifest } = yield* RunManifest.needed(storage)
      if (isOther(manifest)) {
        return yield* new S3.S3Error({ url, reason: new S3.ChangedMeanwhile({ file: RunManifest.NAME }) })
      }
      const keyOf = (sha256: string) => `${RunManifest.OBJECTS}${manifest.number}-${sha256}-${token}`
      const now = yield* own.contents(base, manifest.files, keyOf)
      const changed = RunManifest.differing(base, now)
      const others = RunManifest.differing(base, manifest.files)
      const both = changed.find((name) => others.includes(name) && manifest.files[name]?.sha256 !== now[name]?.sha256)
      if (both !== undefined) {
        return yield* new S3.S3Error({ url, reason: new S3.ChangedMeanwhile({ file: both }) })
      }
      const after = RunManifest.replaced(manifest.files, changed, now)
      const text = RunManifest.encode({ ...manifest, writes: manifest.writes + 1, files: after })
      if (Option.isNone(yield* storage.replace(RunManifest.NAME, text, etag))) return yield* store
      base = now
    })
    const renew: Followed["renew"] = Effect.gen(function*() {
      const { etag, manifest } = yield* RunManifest.needed(storage)
      if (etag === seen) return
      yield* own.merge(base, base, manifest.files, partOf)
      yield* owned(manifest)
      base = manifest.files
      number = manifest.number
      seen = etag
    })
    return { ...counted(base), store: Effect.uninterruptible(store), renew: Effect.uninterruptible(renew) }
  }
)

/** A copy of a run that this process trains. */
export interface Owned extends Copied, RunKeeper {
  /** Becomes the owner, and stores what has changed. Fails with `Locked` if another process has become it. */
  readonly begin: RunKeeper["begin"]
  /** Stores what has changed, as the owner. Fails with the kind `superseded` if there is a new owner. */
  readonly store: RunKeeper["store"]
}

const failed = (error: S3.S3Error | Runs.Locked | Files.FileError) => {
  if (error._tag === "FileError") return error
  if (error._tag === "Locked") return new Files.FileError({ path: error.file, kind: "other", cause: error })
  return error.reason._tag === "FileError"
    ? error.reason
    : new Files.FileError({ path: error.url, kind: "other", cause: error.reason })
}

/**
 * Fetches a run into an empty folder in order to train it, or begins one. This process becomes the owner with the first change that it
 * stores, so a command that is refused before changes nothing. When the scope closes, the owner stores the last changes and lets the run
 * go. If it cannot, it runs `keep` and logs where they are.
 *
 * Each owner gets the next number. Without `takeOver` (default `Runs.TakeOver`), a run that another process owns is refused with `Locked`,
 * unless that one was of this machine and has ended. With it, such a run gets its new owner at once.
 */
export const own: (
  url: string,
  place: Workspace,
  takeOver?: boolean
) => Effect.Effect<Owned, S3.S3Error | Runs.RunsError | Files.FileError, Io | Scope.Scope> = Effect.fn(
  "patchword.RemoteRuns.own"
)(function*(url, { folder, keep }, takeOver) {
  const files = yield* Files.make
  const storage = yield* S3.open(url)
  const me = yield* Lock.here(files)
  const force = takeOver ?? (yield* Runs.TakeOver)
  const copied = RunCopy.make(files, storage, folder)
  const file = `${url}/${RunManifest.NAME}`

  /** The process that owns the run, if it may be at work. */
  const ownerOf = ({ manifest: { owner } }: RunManifest.Found) =>
    Effect.map(owner === null ? Effect.succeed(false) : Lock.mayRun(files, owner), (runs) => runs ? owner : null)

  const free: Effect.Effect<RunManifest.Found, S3.S3Error | Runs.Locked> = Effect.gen(function*() {
    const found = yield* RunManifest.read(storage)
    const owner = force ? null : yield* ownerOf(found)
    return owner === null ? found : yield* new Runs.Locked({ pid: owner.pid, host: owner.host, file })
  })

  // What was fetched, and once this process is the owner, the list that it wrote last.
  let base: RunManifest.Found
  let present: RunManifest.Present | undefined
  // A copy that is not whole does not tell which files are gone.
  let whole = false

  const claim = (copy?: RunManifest.Found): Effect.Effect<RunManifest.Present, S3.S3Error | Runs.Locked> =>
    Effect.gen(function*() {
      const { etag, manifest: before } = yield* free
      // Another process has trained it since.
      if (copy !== undefined && copy.manifest.number !== before.number) {
        return yield* new S3.S3Error({ url, reason: new S3.ChangedMeanwhile({ file: RunManifest.NAME }) })
      }
      const manifest = { ...before, number: before.number + 1, owner: me, writes: 0 }
      const next = yield* storage.replace(RunManifest.NAME, RunManifest.encode(manifest), etag)
      if (Option.isNone(next)) return yield* claim(copy)
      present = { manifest, etag: next.value }
      // What former owners had stored, but not named in the list.
      const named = new Set(Object.values(manifest.files).map(({ key }) => key))
      const left = (yield* storage.list(RunManifest.OBJECTS)).filter((key) =>
        !named.has(key) && Number.parseInt(key.slice(RunManifest.OBJECTS.length), 10) < manifest.number
      )
      yield* Effect.forEach(left, storage.remove, { concurrency: 4, discard: true })
      return present
    })

  const superseded = ({ manifest: { number } }: RunManifest.Present, later: RunManifest.Found) =>
    new Files.FileError({
      path: file,
      kind: "superseded",
      cause: new Superseded({ own: number, present: later.etag === undefined ? null : later.manifest.number })
    })

  const keyOf = ({ manifest: { number } }: RunManifest.Present) => (sha256: string) =>
    `${RunManifest.OBJECTS}${number}-${sha256}`

  const taken = Effect.gen(function*() {
    const own = present ?? (yield* claim(base))
    const [before, now] = [base.manifest.files, own.manifest.files]
    if (!whole && RunManifest.differing(before, now).length > 0) {
      yield* copied.merge(before, yield* copied.contents(before, now, keyOf(own)), now)
    }
    whole = true
    return own
  })

  const write = (
    own: RunManifest.Present,
    owner: Lock.Process | null
  ): Effect.Effect<void, S3.S3Error | Files.FileError> =>
    Effect.gen(function*() {
      const { etag, manifest: before } = own
      const now = yield* copied.contents(before.files, before.files, keyOf(own))
      if (owner !== null && Json.canonical(now) === Json.canonical(before.files)) return
      const manifest = { ...before, owner, writes: before.writes + 1, files: now }
      const next = yield* storage.replace(RunManifest.NAME, RunManifest.encode(manifest), etag)
      if (Option.isSome(next)) {
        present = { manifest, etag: next.value }
        const named = new Set(Object.values(now).map(({ key }) => key))
        const gone = new Set(Object.values(before.files).map(({ key }) => key).filter((key) => !named.has(key)))
        return yield* Effect.ignore(Effect.forEach(gone, storage.remove, { concurrency: 4, discard: true }))
      }
      const found = yield* RunManifest.read(storage)
      if (!RunManifest.isPresent(found) || found.manifest.number !== before.number) return yield* superseded(own, found)
      // Somebody has added something.
      yield* copied.merge(before.files, now, found.manifest.files)
      present = found
      yield* write(found, owner)
    })

  const one = yield* Semaphore.make(1)
  const alone = <A, E>(self: Effect.Effect<A, E>) => Effect.uninterruptible(one.withPermit(self))

  let begun = false
  const begin = alone(Effect.gen(function*() {
    yield* write(yield* taken, me)
    begun = true
  })).pipe(Effect.mapError((error) => error._tag === "Locked" ? error : failed(error)))

  let changed = false
  const store = (owner: Lock.Process | null) =>
    alone(Effect.gen(function*() {
      if (present === undefined && (yield* copied.isSame(base.manifest.files))) return
      changed = true
      yield* write(yield* taken, owner)
    })).pipe(Effect.mapError(failed))

  const release = (own: RunManifest.Present) =>
    storage.replace(RunManifest.NAME, RunManifest.encode({ ...own.manifest, owner: null, writes: 1 }), own.etag)

  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      if (present !== undefined && !whole) return Effect.ignore(release(present))
      return present !== undefined || changed || Exit.isSuccess(exit) ? store(null) : Effect.void
    }).pipe(
      Effect.catchIf(({ kind }) => kind === "superseded", () => Effect.void),
      Effect.catch((error) =>
        Effect.flatMap(keep(folder), (place) => {
          // The failure that ended the command tells it.
          const isTold = Exit.isFailure(exit) && Cause.pretty(exit.cause).includes(error.finding)
          return Effect.logError(
            `${url}: the last changes were not stored${isTold ? "" : ` (${error.finding})`}. They are in ${place}. ` +
              "The same command goes on without them, from what was stored last"
          )
        })
      )
    )
  )

  yield* files.makeFolder(folder)
  const fetched = <F extends RunManifest.Found>(found: F) => Effect.as(copied.fetch(found.manifest.files), found)
  const isForeign = force && (yield* ownerOf(yield* RunManifest.read(storage))) !== null
  base = yield* (isForeign ? Effect.flatMap(claim(), fetched) : settled(free, fetched)).pipe(
    Effect.mapError((error) => error._tag === "Locked" ? new Runs.RunsError({ directory: url, reason: error }) : error)
  )
  whole = isForeign
  return { ...counted(base.manifest.files), begin: Effect.suspend(() => begun ? Effect.void : begin), store: store(me) }
})

/** Opens a run on object storage, `s3://BUCKET/PREFIX`, and its checkpoints; see `Runs.layerNoDeps`, `S3` and {@link own}. */
export const layerNoDeps = (
  url: string,
  options: Runs.Options
): Layer.Layer<
  Runs.Runs | Checkpoints.Checkpoints,
  S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError,
  Io
> =>
  Layer.unwrap(
    Effect.gen(function*() {
      const place = yield* workspace
      const keeper = yield* own(url, place, options.takeOver)
      return Runs.layerNoDeps(place.folder, options).pipe(
        Layer.provide(Layer.succeed(RunKeepers, new Map([[place.folder, keeper]])))
      )
    }).pipe(
      Effect.mapError((error) =>
        error._tag === "FileError" ? new Runs.RunsError({ directory: url, reason: error }) : error
      )
    )
  )

/** Opens a run on object storage with the files of this machine; see {@link layerNoDeps}. */
export const layer = (
  url: string,
  options: Runs.Options
): Layer.Layer<
  Runs.Runs | Checkpoints.Checkpoints,
  S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError
> => layerNoDeps(url, options).pipe(Layer.provide(Files.layerNode))
