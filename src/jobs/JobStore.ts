/**
 * The database in which jobs wait, run and are remembered: a PostgreSQL that many machines share, or a folder of one machine.
 *
 * A folder holds PGlite, which is PostgreSQL as WebAssembly. One process has it open at a time: a worker, or else the command
 * that reads it. It listens on a socket in the folder, so that other commands can ask it meanwhile.
 *
 * Their packages are optional: `@effect/sql-pg` for both, `@electric-sql/pglite` for a folder.
 *
 * ```ts
 * import assert from "node:assert"
 * import { JobStore } from "patchword/jobs"
 *
 * assert.strictEqual(JobStore.show("postgres://me:secret@db.example:5432/jobs"), "postgres://me@db.example:5432/jobs")
 * assert.strictEqual(JobStore.show("runs/store"), "runs/store")
 * ```
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import {
  Context,
  Duration,
  Effect,
  type FileSystem,
  Layer,
  Option,
  type Path,
  Predicate,
  Redacted,
  Schedule,
  Schema,
  type Scope
} from "effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import * as Files from "../layers/files/Files.ts"
import * as Lock from "../layers/files/Lock.ts"
import { JobsError, PackageMissing, StoreInvalid, Unreachable } from "./JobsError.ts"

/** The kind of a store: one that machines share, or a folder of this one. */
export type Kind = "postgres" | "folder"

/** The store of jobs. */
export class JobStore extends Context.Service<JobStore, {
  readonly kind: Kind
  /** The name of the store, without a password. */
  readonly name: string
  readonly sql: SqlClient.SqlClient
}>()("patchword/jobs/JobStore") {}

const SCHEME = /^postgres(?:ql)?:/

/** Returns the kind of a store from its name. */
export const kindOf = (place: string): Kind => SCHEME.test(place) ? "postgres" : "folder"

const decoded = Schema.decodeOption(Schema.StringFromUriComponent)

const ENCODED = "in a user or a password, write % as %25, # as %23, / as %2F, ? as %3F and @ as %40"

/** Tells why an address would not be read as it is meant, without a part of it. */
const misread = (address: string): Option.Option<string> => {
  if (Option.isNone(decoded(address))) return Option.some("a % that begins no character")
  if (address.includes("#")) return Option.some("a #")
  const [, slash, sign = slash] = /^[^:]+:\/\/[^/?]*(?:(\/)[^?]*|(\?)[^=]*)@/.exec(address) ?? []
  if (sign !== undefined) return Option.some(`a ${sign} before the @`)
  return URL.canParse(address) ? Option.none() : Option.some("an address that is none")
}

/** Returns the name of a store without its password, and without other options of the address. */
export const show = (place: string): string => {
  if (kindOf(place) === "folder") return place
  // What comes before an @ may be a password.
  if (Option.isSome(misread(place)) || /\/\/[^/?]*[/?].*@/s.test(place)) return "postgres"
  const { host, pathname, protocol, username } = new URL(place)
  return `${protocol}//${username && `${username}@`}${host}${pathname}`
}

/** The versions that patchword is tested with. */
const VERSIONS = {
  "@effect/sql-pg": "4.0.5",
  "@electric-sql/pglite": "0.5.14"
} as const

const isMissing = (cause: unknown): boolean =>
  Predicate.hasProperty(cause, "code") && cause.code === "ERR_MODULE_NOT_FOUND"

/** Imports a package of {@link VERSIONS}, or says how to install what the store needs. */
const optional = <A>(
  name: keyof typeof VERSIONS,
  needed: ReadonlyArray<keyof typeof VERSIONS>,
  load: () => Promise<A>
) =>
  Effect.tryPromise({
    try: load,
    catch: (cause) =>
      isMissing(cause)
        ? new PackageMissing({ package: name, install: needed.map((one) => `${one}@${VERSIONS[one]}`).join(" ") })
        : unreachable(cause)
  })

const FOR_POSTGRES = ["@effect/sql-pg"] as const
const FOR_FOLDER = ["@effect/sql-pg", "@electric-sql/pglite"] as const

/** Tables of patchword. Those of Effect's cluster are its own. */
const migrations = Migrator.fromRecord({
  "0001_jobs": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE patchword_jobs (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      workflow text NOT NULL,
      title text NOT NULL,
      payload text NOT NULL,
      stages text NOT NULL,
      engine text NOT NULL,
      gpu boolean NOT NULL,
      memory_gib double precision NOT NULL,
      state text NOT NULL DEFAULT 'waiting',
      done integer NOT NULL DEFAULT 0,
      execution integer NOT NULL DEFAULT 0,
      begun boolean NOT NULL DEFAULT false,
      taken integer NOT NULL DEFAULT 0,
      released boolean NOT NULL DEFAULT true,
      worker text,
      progress text,
      failure text,
      submitted timestamptz NOT NULL DEFAULT now(),
      started timestamptz,
      updated timestamptz NOT NULL DEFAULT now(),
      ended timestamptz
    )`
    yield* sql`CREATE INDEX patchword_jobs_state ON patchword_jobs (state, id)`
  }),
  "0002_helpers": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE patchword_jobs ADD COLUMN workers integer DEFAULT 1`
    yield* sql`CREATE TABLE patchword_helpers (
      job integer NOT NULL REFERENCES patchword_jobs,
      worker text NOT NULL,
      seen timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (job, worker)
    )`
    // A helper that was killed is not heard of any more.
    yield* sql`CREATE VIEW patchword_helping AS
      SELECT job, worker FROM patchword_helpers WHERE seen > now() - interval '10 seconds'`
  }),
  "0003_pauses": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE patchword_jobs ADD COLUMN waits_for text, ADD COLUMN not_before timestamptz`
  })
})

/** Adds the store to errors. */
export const within = (name: string) => (reason: JobsError["reason"]): JobsError =>
  new JobsError({ store: name, reason })

/** Says what a database refused. Its words can hold an address with a password, which is taken out. */
export const unreachable = (cause: unknown): Unreachable => {
  const inner = (error: unknown): ReadonlyArray<unknown> => [
    error,
    ...(Predicate.hasProperty(error, "cause") && error.cause !== error ? inner(error.cause) : [])
  ]
  const told = inner(cause).slice(0, 6).flatMap((error) =>
    Predicate.hasProperty(error, "message") && typeof error.message === "string" && error.message !== ""
      ? [error.message]
      : []
  )
  const text = told.at(-1) ?? "no answer"
  return new Unreachable({ problem: text.split("\n", 1)[0]!.replaceAll(/\/\/[^\s/]*@/g, "//") })
}

const connected = (options: object) =>
  Effect.gen(function*() {
    const PgClient = yield* optional("@effect/sql-pg", FOR_POSTGRES, () => import("@effect/sql-pg/PgClient"))
    return PgClient.layer({ applicationName: "patchword", ...options })
  })

/** Migrates, which also tells whether the database answers. Several processes may do so at once: the others wait. */
const migrated = (layer: Layer.Layer<SqlClient.SqlClient, unknown>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(layer)
    const sql = Context.get(context, SqlClient.SqlClient)
    yield* Migrator.make({})({ loader: migrations, table: "patchword_migrations" }).pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.retry({
        while: (error) => error._tag === "MigrationError" && error.kind === "Locked" || told(error, /unique|exists/),
        schedule: Schedule.spaced("200 millis"),
        times: 25
      })
    )
    return sql
  }).pipe(Effect.mapError(unreachable))

const told = (error: unknown, pattern: RegExp): boolean => pattern.test(unreachable(error).problem)

/** The folder of the database within a store. */
const DATABASE = "pglite"

/** Opens PGlite in a folder, and listens on a socket in it. */
const served = Effect.fnUntraced(function*(folder: string, socket: string) {
  const { PGlite } = yield* optional("@electric-sql/pglite", FOR_FOLDER, () => import("@electric-sql/pglite"))
  const db = yield* Effect.acquireRelease(
    Effect.tryPromise({ try: () => PGlite.create(`${folder}/${DATABASE}`), catch: unreachable }),
    (db) => Effect.promise(() => db.close())
  )
  const { serve } = yield* Effect.promise(() => import("./PgliteServer.ts"))
  yield* Effect.mapError(serve(db, socket), unreachable)
})

/** The options of a store. */
export interface Options {
  /**
   * True for a worker: it has to have the folder to itself, because the folder closes with the process that has it. It waits
   * until others have read it. By default the process takes part in what another has open.
   */
  readonly own?: boolean
  /** False to refuse a folder that holds no store; by default it is made. */
  readonly make?: boolean
}

const folder = Effect.fnUntraced(function*(place: string, { make = true, own = false }: Options) {
  yield* optional("@effect/sql-pg", FOR_FOLDER, () => import("@effect/sql-pg/PgClient"))
  const files = yield* Files.make
  const names = yield* Effect.orElseSucceed(files.fs.readDirectory(place), (): ReadonlyArray<string> => [])
  if (!names.includes(DATABASE)) {
    if (names.some((name) => !name.startsWith("lock"))) {
      return yield* new StoreInvalid({ problem: "got a folder of other files" })
    }
    if (!make) {
      return yield* new StoreInvalid({ problem: "got a folder without jobs, which patchword jobs submit makes" })
    }
  }
  const socket = files.path.resolve(place, "socket")
  // Systems allow about 100 bytes.
  if (new TextEncoder().encode(socket).length > 100) {
    return yield* new StoreInvalid({ problem: "got a folder whose path is too long for a socket in it" })
  }
  yield* files.makeFolder(place)
  const hold = Lock.hold(files, place)
  const open = Effect.gen(function*() {
    yield* own
      ? Effect.retry(hold, {
        while: ({ _tag }) => _tag === "Locked",
        schedule: Schedule.spaced("300 millis"),
        times: 60
      })
      : hold
    // It is of a process that was killed.
    yield* Files.onFailure(socket)(files.fs.remove(socket, { force: true }))
    yield* served(place, socket)
  })
  yield* own ? open : Effect.catchTag(open, "Locked", () => Effect.void)
  // Connections share one session, in which names of statements would collide.
  return yield* connected({ path: socket, username: "postgres", database: "postgres", prepare: false, ssl: false })
})

/** The options of a connection that is never used for long: of commands and of workers alike. */
const CONNECT = { connectTimeout: Duration.seconds(10), maxConnections: 10 }

const make = Effect.fnUntraced(function*(
  place: Redacted.Redacted,
  options: Options
): Effect.fn.Return<
  Context.Service.Shape<typeof JobStore>,
  JobsError,
  Scope.Scope | FileSystem.FileSystem | Path.Path
> {
  const text = Redacted.value(place)
  const kind = kindOf(text)
  const name = show(text)
  const opened = Effect.gen(function*() {
    if (text === "") return yield* new StoreInvalid({ problem: "got nothing" })
    const sign = kind === "postgres" ? misread(text) : Option.none()
    if (Option.isSome(sign)) return yield* new StoreInvalid({ problem: `got ${sign.value}`, advice: ENCODED })
    return yield* migrated(
      kind === "postgres" ? yield* connected({ url: place, ...CONNECT }) : yield* folder(text, options)
    )
  })
  return { kind, name, sql: yield* Effect.mapError(opened, within(name)) }
})

/**
 * Opens a store: an address such as `postgres://USER@HOST/DATABASE`, or a folder. Creates its tables where they are missing.
 *
 * Fails with a `JobsError`: `PackageMissing` (69), `StoreInvalid` (64), `Unreachable` (69), and `Locked` (73) where a folder is
 * another worker's.
 */
export const layer = (place: Redacted.Redacted, options: Options = {}): Layer.Layer<JobStore, JobsError> =>
  Layer.effect(JobStore, make(place, options)).pipe(Layer.provide(NodeServices.layer))
