/** Locks of folders: only one process at a time may write to a locked folder. */
import { Effect, Option, Runtime, Schema, type Scope } from "effect"
import * as os from "node:os"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "./Files.ts"

/** Name of the lock file. It records the process that uses the folder. */
export const NAME = "lock"

/** The folder is in use, by another process or by another part of this one. */
export class Locked extends TaggedError<Locked>()("Locked", { pid: Schema.Int, host: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 73
  get #isOwn() {
    return this.pid === process.pid && this.host === os.hostname()
  }
  get finding() {
    return this.#isOwn ? "another part of this process is using it" : `process ${this.pid} on ${this.host} is using it`
  }
  get remedy() {
    return this.#isOwn
      ? "build one layer of the folder and share it"
      : "wait until that ends, or delete the file lock in the folder if no such process is running patchword"
  }
}

const Holder = Json.text(Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /**
   * Start time of the process, as the system reports it. It distinguishes the process from a later one with the same
   * number.
   */
  started: Schema.NullOr(Schema.String)
}))

// The start time is field 22 of the process's status. The command's name before it may contain spaces. Only Linux has it.
const startOf = ({ fs }: Files.Files, pid: number) =>
  fs.readFileString(`/proc/${pid}/stat`).pipe(
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null),
    Effect.catch(() => Effect.succeed(null))
  )

/** Tests whether a process of this machine is the one that a lock names. */
const isRunning = Effect.fnUntraced(function*(files: Files.Files, { pid, started }: typeof Holder.Type) {
  if (!(yield* Files.isAlive(pid))) return false
  const now = yield* startOf(files, pid)
  return started === null || now === null || now === started
})

/** The process that a lock names. */
export interface Owner {
  readonly pid: number
  readonly host: string
  /** True while the process runs. Absent for a process of another machine, which cannot be asked. */
  readonly alive?: boolean
}

/** Returns the owner of a folder's lock without any change to it. None if there is no lock, or if nobody can read it. */
export const owner = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string
): Effect.fn.Return<Option.Option<Owner>, Files.FileError> {
  const text = yield* Files.ifThere(files.readText(files.path.join(directory, NAME)))
  const holder = Option.flatMap(text, Schema.decodeOption(Holder))
  if (Option.isNone(holder)) return Option.none()
  const { host, pid } = holder.value
  if (host !== os.hostname()) return Option.some({ pid, host })
  return Option.some({ pid, host, alive: yield* isRunning(files, holder.value) })
})

/** Locks the folder until the scope closes. A lock of a process that no longer runs is taken over. */
export const hold = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string
): Effect.fn.Return<void, Locked | Files.FileError, Scope.Scope> {
  const { fs, path } = files
  const host = os.hostname()
  const mine = Schema.encodeSync(Holder)({ pid: process.pid, host, started: yield* startOf(files, process.pid) })

  const place = (name: string) => path.join(directory, name)
  const read = (name: string) => Files.ifThere(files.readText(place(name)))
  const release = (name: string) => Effect.ignore(fs.remove(place(name)))

  const claim = (name: string): Effect.Effect<void, Locked | Files.FileError> =>
    Effect.gen(function*() {
      if (yield* files.create(place(name), mine)) return
      const text = yield* read(name)
      if (Option.isNone(text)) return yield* claim(name)
      const holder = yield* Effect.option(Schema.decodeEffect(Holder)(text.value))
      if (Option.isSome(holder)) {
        const { host: other, pid } = holder.value
        if (other !== host || (yield* isRunning(files, holder.value))) return yield* new Locked({ pid, host: other })
      }
      // If several processes see the same stale lock, only the one that holds the lock `takeOver` may replace it.
      // The stale lock stays until it is replaced, so no other process can take its place.
      const takeOver = `${name}.${Files.sha256(text.value).slice(0, 8)}`
      const taken = yield* Effect.acquireUseRelease(
        claim(takeOver),
        Effect.fnUntraced(function*() {
          const stale = Option.getOrNull(yield* read(name)) === text.value
          if (stale) yield* files.write(place(name), mine)
          return stale
        }),
        () => release(takeOver)
      )
      if (!taken) yield* claim(name)
    })

  yield* Effect.acquireRelease(claim(NAME), () =>
    read(NAME).pipe(
      Effect.flatMap((text) => Option.getOrNull(text) === mine ? release(NAME) : Effect.void),
      Effect.ignore
    ))
})
