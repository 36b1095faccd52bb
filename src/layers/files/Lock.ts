/**
 * Locks of folders: only one process at a time may write to a locked folder.
 *
 * A lock is the file `lock`, which goes away with its owner. A folder can be taken over by force, for example from a process of
 * another machine that nobody hears of any more. Such a taking gets the next number and the file `lock-2`, `lock-3`, …, which
 * stays in the folder (empty when nobody uses it), so that numbers grow. The former owner finds its own file gone.
 */
import { Context, Effect, Option, Result, Runtime, Schema, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import * as os from "node:os"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { type Fence, Superseded } from "./Fence.ts"
import * as Files from "./Files.ts"

/** Name of the lock file. It records the process that uses the folder. */
export const NAME = "lock"

const NUMBERED = /^lock(?:-(\d+))?$/

const nameOf = (number: number): string => number === 1 ? NAME : `${NAME}-${number}`

/** Tests whether a file of a locked folder belongs to its lock. */
export const isLock = (name: string): boolean => name.startsWith(NAME)

/** The folder is in use, by another process or by another part of this one. */
export class Locked extends TaggedError<Locked>()("Locked", {
  pid: Schema.Int,
  host: Schema.String,
  /** Name of the lock file, or address of the object that is the lock. */
  file: Schema.String
}) {
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
      : this.file.startsWith("s3:")
      ? `wait until that ends, or write null as the owner into ${this.file} if no such process is running patchword`
      : `wait until that ends, or delete the file ${this.file} in the folder if no such process is running patchword`
  }
}

/** A process, as a lock records it. */
export const Process = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /**
   * Start time of the process, as the system reports it. It distinguishes the process from a later one with the same
   * number.
   */
  started: Schema.NullOr(Schema.String),
  /** Distinguishes the process from those of other containers that have all the same. */
  token: Schema.optionalKey(Schema.String)
})
export type Process = typeof Process.Type

const Holder = Json.text(Process)

const TOKEN = randomBytes(8).toString("hex")

// The locks that this process holds. One that it could not remove, because the disk failed, must not shut itself out.
const held = new Set<string>()
let holders = 0

// The start time is field 22 of the process's status. The command's name before it may contain spaces. Only Linux has it.
const startOf = ({ fs }: Files.Files, pid: number) =>
  fs.readFileString(`/proc/${pid}/stat`).pipe(
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null),
    Effect.catch(() => Effect.succeed(null))
  )

/** Describes this process, as a lock records it. */
export const here = (files: Files.Files): Effect.Effect<Process> =>
  Effect.map(
    startOf(files, process.pid),
    (started) => ({ pid: process.pid, host: os.hostname(), started, token: TOKEN })
  )

/** Tests whether a process of this machine is the one that a lock names. */
const isRunning = Effect.fnUntraced(function*(files: Files.Files, { pid, started, token }: Process) {
  if (token?.startsWith(`${TOKEN}-`) === true) return held.has(token)
  if (!(yield* Files.isAlive(pid))) return false
  const now = yield* startOf(files, pid)
  return started === null || now === null || now === started
})

/** Tests whether a process may be running. One of another machine may, because it cannot be asked. */
export const mayRun = (files: Files.Files, process: Process): Effect.Effect<boolean> =>
  process.host === os.hostname() ? isRunning(files, process) : Effect.succeed(true)

/** The process that a lock names. */
export interface Owner {
  readonly pid: number
  readonly host: string
  /** True while the process runs. Absent for a process of another machine, which cannot be asked. */
  readonly alive?: boolean
}

/** Returns the numbers of the owners whose locks are in the folder, in ascending order. There is usually one at most. */
const numbers = ({ fs }: Files.Files, directory: string) =>
  Effect.map(fs.readDirectory(directory), (names) =>
    names.flatMap((name) => {
      const match = NUMBERED.exec(name)
      return match === null ? [] : [Number(match[1] ?? 1)]
    }).toSorted((a, b) => a - b))

/** Returns the owner of a folder's lock without any change to it. None if there is no lock, or if nobody can read it. */
export const owner = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string
): Effect.fn.Return<Option.Option<Owner>, Files.FileError> {
  const last = yield* Files.ifThere(Files.onFailure(directory)(numbers(files, directory)))
  const name = nameOf(Option.getOrElse(last, () => []).at(-1) ?? 1)
  const text = yield* Files.ifThere(files.readText(files.path.join(directory, name)))
  const holder = Option.flatMap(text, Schema.decodeOption(Holder))
  if (Option.isNone(holder)) return Option.none()
  const { host, pid } = holder.value
  if (host !== os.hostname()) return Option.some({ pid, host })
  return Option.some({ pid, host, alive: yield* isRunning(files, holder.value) })
})

/** True where a worker goes on with a job that another one has lost: run folders and caches are taken from any owner. */
export const TakeOver = Context.Reference<boolean>("patchword/layers/TakeOver", { defaultValue: () => false })

/** Options of a taking. */
export interface Options {
  /**
   * Takes the folder from any owner, also from one that runs; default `false`. It is for those who know that the owner has lost
   * its right to it.
   */
  readonly force?: boolean
}

/**
 * Locks the folder until the scope closes, and returns its fence. A lock of a process that no longer runs is taken over. After
 * a taking by force, `Files.expel` comes first.
 */
export const hold = Effect.fnUntraced(function*(
  files: Files.Files,
  directory: string,
  options: Options = {}
): Effect.fn.Return<Fence, Locked | Files.FileError, Scope.Scope> {
  const { force = false } = options
  const { fs, path } = files
  const token = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const own = `${TOKEN}-${holders++}`
      held.add(own)
      return own
    }),
    (own) => Effect.sync(() => held.delete(own))
  )
  const mine = Schema.encodeSync(Holder)({ ...yield* here(files), token })

  const place = (name: string) => path.join(directory, name)
  const read = (name: string) => Files.ifThere(files.readText(place(name)))
  const release = (name: string) => Effect.ignore(fs.remove(place(name)))
  const known = Files.onFailure(directory)(numbers(files, directory))

  const claim = (name: string): Effect.Effect<void, Locked | Files.FileError> =>
    Effect.gen(function*() {
      const made = yield* Effect.result(files.create(place(name), mine))
      if (Result.isSuccess(made) && made.success) return
      const text = yield* read(name)
      if (Option.isNone(text)) return yield* Result.isSuccess(made) ? claim(name) : Effect.fail(made.failure)
      const holder = yield* Effect.option(Schema.decodeEffect(Holder)(text.value))
      if (Option.isSome(holder)) {
        const { host, pid } = holder.value
        if (yield* mayRun(files, holder.value)) return yield* new Locked({ pid, host, file: name })
      }
      // A full disk does not hide who uses the folder.
      if (Result.isFailure(made)) return yield* made.failure
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

  const take: Effect.Effect<number, Locked | Files.FileError> = Effect.gen(function*() {
    const before = yield* known
    const last = before.at(-1)
    const number = last === undefined ? 1 : force ? last + 1 : last
    const name = nameOf(number)
    if (!force) yield* claim(name)
    else if (!(yield* files.create(place(name), mine))) return yield* take
    // Another process may have taken the folder by force since the list was made.
    if (!force && (yield* known).at(-1) !== number) {
      yield* release(name)
      return yield* take
    }
    // From here on, older owners are refused.
    for (const older of before.filter((one) => one < number)) yield* release(nameOf(older))
    return number
  })

  const leave = Effect.fnUntraced(function*(number: number) {
    const name = nameOf(number)
    if (Option.getOrNull(yield* read(name)) !== mine) return
    // In its place, because a full disk takes no new file.
    yield* number === 1 ? release(name) : Effect.ignore(fs.truncate(place(name), 0))
  })

  const number = yield* Effect.acquireRelease(take, (number) => Effect.ignore(leave(number)))
  const own = place(nameOf(number))
  // One call for what is so nearly always: the file is still the one that this process made.
  const identity = fs.stat(own).pipe(
    Effect.map(({ ino, mtime, size }) => `${Option.getOrNull(ino)} ${Option.getOrUndefined(mtime)?.getTime()} ${size}`),
    Effect.orElseSucceed(() => undefined)
  )
  const made = yield* identity
  const check = Effect.gen(function*() {
    if (made !== undefined && (yield* identity) === made) return
    const text = yield* fs.readFileString(own).pipe(
      Effect.catchIf(({ reason }) => reason._tag === "NotFound", () => Effect.succeed(""))
    )
    if (text === mine) return
    const all = yield* Effect.orElseSucceed(numbers(files, directory), () => [])
    return yield* new Superseded({ own: number, present: all.at(-1) ?? null })
  })
  return { folder: directory, number, check }
})
