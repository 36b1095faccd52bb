/**
 * Writes files atomically. Each file is written under a temporary name, flushed to the disk and renamed. So a process that
 * is killed at any moment leaves either the old or the new file.
 *
 * ```ts
 * import assert from "node:assert"
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect, FileSystem } from "effect"
 * import { Files } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const fs = yield* FileSystem.FileSystem
 *   const files = yield* Files.make
 *   const file = `${yield* fs.makeTempDirectoryScoped()}/report.json`
 *   yield* files.write(file, "{}")
 *   assert.strictEqual(yield* files.readText(file), "{}")
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
 * ```
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import {
  Clock,
  type Context,
  Effect,
  Exit,
  FileSystem,
  Layer,
  Option,
  Path,
  PlatformError,
  Predicate,
  Runtime,
  Schema,
  Scope,
  Semaphore
} from "effect"
import { createHash, type Hash, randomBytes } from "node:crypto"
import { constants } from "node:fs"
import { type FileHandle, open, rmdir, stat, statfs } from "node:fs/promises"
import { TaggedError, type Told } from "../../domain/values/TaggedError.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import { Fences } from "./Fence.ts"
import * as RunLinks from "./RunLinks.ts"

const SENTENCES = {
  missing: ["there is no such file", "check the path"],
  full: ["the disk is full", "free some space and run the command again"],
  readonly: ["the file system is mounted for reading only", "choose another place, or mount it for writing"],
  filled: ["there are files in this folder already", "name another folder, or have files replaced (--replace)"],
  denied: ["permission is denied", "change the permissions of the file or choose another place"],
  circle: ["the symbolic link leads back to itself", "make it point to a file"],
  special: ["this is not a regular file", "name a regular one"],
  outside: ["a link leads out of the run folder", "copy the file into the folder"],
  unwritable: ["no file or folder can be made here", "choose another place"],
  leaving: [
    "this link leads out of the run folder, and nothing is written there",
    "put a folder or a file in its place"
  ],
  link: ["this is a symbolic link, and nothing is added to the file that it leads to", "put a file in its place"],
  taken: ["there is a file already", "name another file, or have it replaced (--replace)"],
  superseded: ["it was not written", "leave the folder to its present owner"],
  other: ["the file cannot be read or written", "check the path and the disk"]
} as const

/** Kinds of files that cannot be read as regular files. Reading them may never end or never begin. */
export const SPECIAL: Partial<Record<FileSystem.File.Type, string>> = {
  BlockDevice: "device",
  CharacterDevice: "device",
  FIFO: "FIFO",
  Socket: "socket"
}

// What keeps a folder, such as object storage, fails with errors of its own.
const isTold = (cause: unknown): cause is Told & { readonly [Runtime.errorExitCode]: number } =>
  ["finding", "remedy", Runtime.errorExitCode].every((key) => Predicate.hasProperty(cause, key))

/** An operation of the file system failed. A cause that says what to do speaks for it. */
export class FileError extends TaggedError<FileError>()("FileError", {
  path: Schema.String,
  kind: Schema.Literals([
    "missing",
    "full",
    "readonly",
    "filled",
    "denied",
    "circle",
    "special",
    "outside",
    "leaving",
    "unwritable",
    "link",
    "taken",
    "superseded",
    "other"
  ]),
  cause: Schema.Defect()
}) {
  override readonly [Runtime.errorExitCode]: number = isTold(this.cause)
    ? this.cause[Runtime.errorExitCode]
    : this.kind === "superseded"
    ? 73
    : NO_INPUT.has(this.kind)
    ? 66
    : 74
  get finding() {
    if (isTold(this.cause)) return `${this.path}: ${this.cause.finding}`
    const detail = DETAILED.has(this.kind) && this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `${this.path}: ${SENTENCES[this.kind][0]}${detail}`
  }
  get remedy() {
    return isTold(this.cause) ? this.cause.remedy : SENTENCES[this.kind][1]
  }
}

const DETAILED: ReadonlySet<FileError["kind"]> = new Set(["special", "unwritable", "other"])

const NO_INPUT: ReadonlySet<FileError["kind"]> = new Set(["missing", "circle", "special", "outside"])

/** The kinds of failures by the code of the system. */
const KINDS: Readonly<Record<string, FileError["kind"]>> = {
  ENOENT: "missing",
  EACCES: "denied",
  EPERM: "denied",
  // A part of the path is a file.
  ENOTDIR: "missing",
  ELOOP: "circle",
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "readonly"
}

const code = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/** The code of a link that a file system refuses, because it leads out of a run folder. */
export const OUTSIDE = "OUTSIDE"

const kindOf = ({ reason }: PlatformError.PlatformError): FileError["kind"] => {
  if (reason._tag === "NotFound") return "missing"
  const errno = code(reason.cause)
  if (errno === OUTSIDE) return "outside"
  if (reason._tag === "PermissionDenied") return "denied"
  return KINDS[errno ?? ""] ?? "other"
}

const unwritable = (path: string, why: string) => new FileError({ path, kind: "unwritable", cause: new Error(why) })

/** Names what is not a regular file: `device`, `folder`. */
const nameOf = (type: FileSystem.File.Type): string => SPECIAL[type] ?? (type === "Directory" ? "folder" : type)

const exists = (error: PlatformError.PlatformError): boolean => error.reason._tag === "AlreadyExists"

/** Turns the platform's errors on `path` into {@link FileError}s. */
export const onFailure = (path: string) =>
<A, E, R>(
  self: Effect.Effect<A, E | PlatformError.PlatformError, R>
): Effect.Effect<A, Exclude<E, PlatformError.PlatformError> | FileError, R> =>
  Effect.mapError(self, (error) =>
    error instanceof PlatformError.PlatformError
      ? new FileError({ path, kind: kindOf(error), cause: error })
      : error as Exclude<E, PlatformError.PlatformError>)

/** Returns the result of a read, or none if the file is missing. */
export const ifThere = <A, R>(
  self: Effect.Effect<A, FileError, R>
): Effect.Effect<Option.Option<A>, FileError, R> =>
  self.pipe(
    Effect.map(Option.some),
    Effect.catchIf((error) => error.kind === "missing", () => Effect.succeedNone)
  )

/** Computes the SHA-256 of a text or of bytes, in hexadecimal. */
export const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** A digest that is computed part by part. */
export interface Hasher {
  /** Adds the next part. */
  readonly update: (part: Uint8Array) => unknown
  /** Returns the digest of all parts. */
  readonly digest: (encoding: "hex") => string
}

/** Makes a SHA-256 that is computed part by part. */
export const hasher = (): Hasher => createHash("sha256")

/** Returns the free space on the disk of a folder, in bytes. */
export const free = (folder: string): Effect.Effect<number, FileError> =>
  Effect.tryPromise({
    try: () => statfs(folder),
    catch: (cause) => new FileError({ path: folder, kind: "other", cause })
  }).pipe(Effect.map(({ bavail, bsize }) => bavail * bsize))

/**
 * Returns a text that changes with each change of a file or folder: its size, and the times at which its content (mtime)
 * and its entry (ctime) changed. Anyone can set the mtime, and copying tools do; only the system sets the ctime.
 */
export const version = (file: string): Effect.Effect<string, FileError> =>
  Effect.tryPromise({
    try: () => stat(file, { bigint: true }),
    catch: (cause) => new FileError({ path: file, kind: KINDS[code(cause) ?? ""] ?? "other", cause })
  }).pipe(Effect.map(({ ctimeNs, mtimeNs, size }) => `${size} ${mtimeNs} ${ctimeNs}`))

// Windows has no such flag, and links there need special rights.
const APPEND = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)

const endsInLine = async (handle: FileHandle): Promise<boolean> => {
  const { size } = await handle.stat()
  return size === 0 || (await handle.read(new Uint8Array(1), 0, 1, size - 1)).buffer[0] === 0x0a
}

const addLines = async (file: string, lines: ReadonlyArray<string>): Promise<void> => {
  const handle = await open(file, APPEND)
  const added = endsInLine(handle).then((ends) => handle.appendFile(`${ends ? "" : "\n"}${lines.join("\n")}\n`))
  await added.finally(() => handle.close())
}

/** Tests whether a process of this machine is running. */
export const isAlive = (pid: number): Effect.Effect<boolean> =>
  Effect.try({ try: () => process.kill(pid, 0), catch: code }).pipe(
    // EPERM means that the process exists, but belongs to another user.
    Effect.catch((errno) => Effect.succeed(errno === "EPERM"))
  )

/** Tests whether an error, or a reason within it, is that another process has taken the folder over. */
export const isSuperseded = (error: unknown): boolean =>
  typeof error === "object" && error !== null && (
    error instanceof FileError ? error.kind === "superseded" : "reason" in error && isSuperseded(error.reason)
  )

/**
 * File operations that the services of patchword use. Those that change a file of a folder with a `Fence` fail with the kind
 * `superseded` if this process no longer owns it, and leave the file as it is. Those that write, and those that remove, fail with the
 * kind `leaving` if the place lies behind a link in a run folder that leads out of it.
 */
export interface Files {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /**
   * Writes a file without a temporary name and flushes it to the disk. Returns its SHA-256. It is for files in a folder
   * that is renamed later.
   */
  readonly writeParts: (file: string, parts: Iterable<Uint8Array>) => Effect.Effect<string, FileError>
  /** Writes a file atomically. Creates its folder if needed. */
  readonly write: (file: string, content: string | Iterable<Uint8Array>) => Effect.Effect<void, FileError>
  /** Writes texts one after another, otherwise as `write`. `fill` passes each text to the function that it receives. */
  readonly writeTexts: <A, E, R>(
    file: string,
    fill: (append: (text: string) => Effect.Effect<void, FileError>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | FileError, R>
  /**
   * Adds lines to a file at once, and makes the file if needed. They begin in a new line, also behind half a line of a killed
   * writer. It never follows a symbolic link, since the folder may be from elsewhere: it fails with the kind `link` then.
   */
  readonly appendLines: (file: string, lines: ReadonlyArray<string>) => Effect.Effect<void, FileError>
  /** Opens a file for adding texts at its end, when the first one comes. It is closed with the scope. */
  readonly appending: (file: string) => Effect.Effect<Appending, never, Scope.Scope>
  /** Flushes a file and its entry in its folder to the disk. It is for files that were appended to. */
  readonly flush: (file: string) => Effect.Effect<void, FileError>
  /** Creates a file together with all of its content. Returns `false` if a file of this name exists. */
  readonly create: (file: string, content: string) => Effect.Effect<boolean, FileError>
  /**
   * Creates a file together with all of its content, part by part. Returns `false` if a file of this name exists, and leaves that
   * one. Creates its folder if needed.
   */
  readonly createParts: <A, E, R>(
    file: string,
    fill: (append: (part: Uint8Array) => Effect.Effect<void, FileError>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<boolean, E | FileError, R>
  /** Fills a temporary folder next to `folder` and renames it. An existing folder is replaced. */
  readonly writeFolder: <A, E>(
    folder: string,
    fill: (temporary: string) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | FileError>
  /** Reads a whole file as UTF-8. Fails with `FileError`. */
  readonly readText: (file: string) => Effect.Effect<string, FileError>
  /**
   * Fails with `FileError` if the file is not a regular file. It does not open the file, because opening a FIFO can wait
   * for ever, and reading a device may never end. It is for files that a person names.
   */
  readonly regular: (file: string) => Effect.Effect<void, FileError>
  /** Creates a folder and its parents if needed. */
  readonly makeFolder: (folder: string) => Effect.Effect<void, FileError>
  /**
   * Creates a folder and its parents if needed. Returns an effect that removes those that it created: the folder with its content,
   * and the parents if they are empty. That effect ignores failures.
   */
  readonly beginFolder: (folder: string) => Effect.Effect<Effect.Effect<void>, FileError>
  /** Fails with `FileError` if a device, a FIFO, a socket or a folder is in the place of a file that is to be written. */
  readonly checkPlace: (file: string) => Effect.Effect<void, FileError>
  /** Fails as `checkPlace` does, and if there is a file. */
  readonly checkFree: (file: string) => Effect.Effect<void, FileError>
  /** Reads a safetensors file one tensor at a time, and computes its SHA-256. */
  readonly readTensors: (
    file: string
  ) => Effect.Effect<Safetensors.Decoded & { readonly sha256: string }, FileError | Safetensors.SafetensorsError>
  /** Reads the header of a safetensors file. */
  readonly readHeader: (file: string) => Effect.Effect<Safetensors.Header, FileError | Safetensors.SafetensorsError>
  /** Removes a folder atomically: at no moment is a part of it missing. */
  readonly removeFolder: (folder: string) => Effect.Effect<void, FileError>
  /** Removes the temporary files that killed writers left in `folder`, and restores the files that they were replacing. */
  readonly sweep: (folder: string) => Effect.Effect<void, FileError>
  /**
   * Makes all in vain that older owners of `folder` are about to write: removes their temporary files from it and from the
   * folders in it. Nobody reads the folder between the taking and this.
   */
  readonly expel: (folder: string, number: number) => Effect.Effect<void, FileError>
}

/** A file that grows at its end. */
export interface Appending {
  /**
   * Adds a text at once, and makes the file if needed. Fails with the kind `superseded` if there is a new owner of the folder, but
   * looks for one only once in a second. A text between is lost, because it goes to the file that the new owner has replaced.
   */
  readonly add: (text: string) => Effect.Effect<void, FileError>
  /** Closes the file, so that it can be replaced. The next text opens it again. */
  readonly close: Effect.Effect<void>
}

/** A file that grows, while it is open. */
interface Opened {
  readonly handle: FileSystem.File
  readonly scope: Scope.Closeable
  /** Its length, in bytes. */
  end: number
  /** When its owner was looked for. */
  readonly checked: number
}

/** Milliseconds after which the owner of a file that grows is looked for again. */
const LOOK = 1000

// The numbers are those of the process and of the owner of the folder.
const TEMPORARY = /^\.tmp-(\d+)-(?:(\d+)-)?/
const REPLACED = ".replaced-"
const ASIDE = /^\.replaced-aside-(\d+)-/

// Processes of several machines and containers have the same ids.
const OWN = randomBytes(4).toString("hex")

// The files that this process is writing. Its id does not identify them, because containers use the same ids again.
const active = new Set<string>()
let writers = 0

/** Makes the file operations from the platform's file system. */
export const make: Effect.Effect<Files, never, FileSystem.FileSystem | Path.Path> = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const fences = (yield* Fences).map((fence) => ({ ...fence, folder: path.resolve(fence.folder) }))

  const fencesOf = (file: string) => {
    if (fences.length === 0) return fences
    const place = path.resolve(file)
    return fences.filter(({ folder }) => place.startsWith(`${folder}${path.sep}`))
  }

  const guard = (file: string): Effect.Effect<void, FileError> =>
    Effect.forEach(fencesOf(file), ({ check }) => check, { discard: true }).pipe(
      Effect.catchTag("Superseded", (cause) => Effect.fail(new FileError({ path: file, kind: "superseded", cause }))),
      onFailure(file)
    )

  /**
   * Runs a system call that takes all it needs from temporary names. A new owner removes these before it reads anything. So
   * the call either comes before the new owner, or fails.
   */
  const commit = (file: string, call: Effect.Effect<void, PlatformError.PlatformError>) =>
    Effect.andThen(guard(file), call)

  const numberOf = (file: string) => fencesOf(file).at(-1)?.number ?? 0

  const discard = (target: string) => Effect.ignore(fs.remove(target, { recursive: true, force: true }))

  /** Runs `use` with a temporary name next to `target`. Removes the temporary file afterwards. */
  const beside = <A, E, R>(target: string, use: (temporary: string) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        // The name of the target would make it too long for the file system, if that one is nearly so.
        const name = `.tmp-${process.pid}-${numberOf(target)}-${OWN}${writers++}`
        const temporary = path.join(path.dirname(target), name)
        active.add(temporary)
        return temporary
      }),
      // The files of this name may be missing because there is a new owner.
      (temporary) => Effect.tapError(use(temporary), () => guard(target)),
      (temporary) => Effect.andThen(discard(temporary), Effect.sync(() => active.delete(temporary)))
    )

  // A rename is durable only after its folder is flushed. Windows cannot open folders, so there the system decides.
  const syncFolder = (folder: string) =>
    fs.open(folder).pipe(Effect.flatMap((handle) => handle.sync), Effect.scoped, Effect.ignore)

  const put = Effect.fnUntraced(function*(file: string, parts: Iterable<Uint8Array>) {
    const handle = yield* fs.open(file, { flag: "w" })
    const hash = createHash("sha256")
    for (const part of parts) {
      hash.update(part)
      yield* handle.writeAll(part)
    }
    yield* handle.sync
    return hash.digest("hex")
  }, Effect.scoped)

  const writeParts = (file: string, parts: Iterable<Uint8Array>) => onFailure(file)(put(file, parts))

  const flush = (file: string) =>
    fs.open(file, { flag: "r+" }).pipe(
      Effect.flatMap((handle) => handle.sync),
      Effect.scoped,
      Effect.andThen(syncFolder(path.dirname(file))),
      onFailure(file)
    )

  const made = (folder: string) => Effect.andThen(fs.makeDirectory(folder), syncFolder(path.dirname(folder)))

  // Node.js never returns where it is to make parents under /proc.
  const parents = (folder: string): Effect.Effect<void, PlatformError.PlatformError> =>
    made(folder).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "NotFound" && path.dirname(folder) !== folder,
        () => Effect.andThen(parents(path.dirname(folder)), made(folder))
      ),
      Effect.catchIf(exists, () => Effect.void)
    )

  const checkLinks = Effect.fnUntraced(function*(place: string) {
    const link = yield* RunLinks.leading({ fs, path }, place)
    if (Option.isSome(link)) return yield* new FileError({ path: link.value, kind: "leaving", cause: undefined })
  }, (self, place) => onFailure(place)(self))

  const makeFolder = Effect.fnUntraced(function*(folder: string) {
    yield* checkLinks(folder)
    yield* Effect.catchIf(
      parents(folder),
      ({ reason }) => reason._tag === "NotFound" || code(reason.cause) === "ENOTDIR",
      () => unwritable(folder, "a part of the path is no folder that takes files")
    )
    const { type } = yield* fs.stat(folder)
    if (type !== "Directory") return yield* unwritable(folder, `it is a ${type === "File" ? "file" : nameOf(type)}`)
  }, (self, folder) => onFailure(folder)(self))

  /** Tests whether there is a file. Fails if something else is in its place. */
  const isTaken = Effect.fnUntraced(function*(file: string) {
    const there = yield* ifThere(onFailure(file)(fs.stat(file)))
    if (Option.isSome(there) && there.value.type !== "File") {
      return yield* unwritable(file, `it is a ${nameOf(there.value.type)}`)
    }
    return Option.isSome(there)
  })

  const checkPlace = (file: string) => Effect.asVoid(isTaken(file))

  const checkFree = Effect.fnUntraced(function*(file: string) {
    if (yield* isTaken(file)) return yield* new FileError({ path: file, kind: "taken", cause: undefined })
  })

  /** Writes a file under a temporary name and renames it. Creates its folder if needed. */
  const replacing = <A, E, R>(file: string, fill: (temporary: string) => Effect.Effect<A, E, R>) =>
    beside(
      file,
      Effect.fnUntraced(function*(temporary) {
        const folder = path.dirname(file)
        // Before a folder is made: a run that vanished does not come back in parts.
        yield* guard(file)
        yield* checkPlace(file)
        yield* makeFolder(folder)
        const filled = yield* fill(temporary)
        yield* commit(file, fs.rename(temporary, file))
        yield* syncFolder(folder)
        return filled
      })
    ).pipe(onFailure(file))

  const write = (file: string, content: string | Iterable<Uint8Array>) =>
    Effect.asVoid(replacing(
      file,
      (temporary) => put(temporary, typeof content === "string" ? [new TextEncoder().encode(content)] : content)
    ))

  const writeTexts: Files["writeTexts"] = (file, fill) =>
    replacing(
      file,
      Effect.fnUntraced(function*(temporary) {
        const handle = yield* fs.open(temporary, { flag: "w" })
        const encoder = new TextEncoder()
        const filled = yield* fill((text) => onFailure(file)(handle.writeAll(encoder.encode(text))))
        yield* handle.sync
        return filled
      }, Effect.scoped)
    )

  const appending: Files["appending"] = Effect.fnUntraced(function*(file) {
    const alone = yield* Semaphore.make(1)
    let opened: Opened | undefined
    const close = Effect.suspend(() => {
      const scope = opened?.scope
      opened = undefined
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
    yield* Effect.addFinalizer(() => alone.withPermit(close))
    // A new owner replaces the file by a copy before it reads it. So what an older one adds to the file that it opened is lost.
    const check = Effect.fnUntraced(function*(present: Omit<Opened, "checked">) {
      yield* guard(file)
      return (opened = { ...present, checked: yield* Clock.currentTimeMillis })
    })
    const open = Effect.gen(function*() {
      yield* checkLinks(file)
      const scope = yield* Scope.make()
      return yield* Scope.provide(fs.open(file, { flag: "a" }), scope).pipe(
        Effect.flatMap((handle) =>
          Effect.flatMap(handle.stat, ({ size }) => check({ handle, scope, end: Number(size) }))
        ),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
    })
    const add = Effect.fnUntraced(
      function*(text: string) {
        const present = opened === undefined
          ? yield* open
          : (yield* Clock.currentTimeMillis) - opened.checked < LOOK
          ? opened
          : yield* check(opened)
        const bytes = new TextEncoder().encode(text)
        // A part of the text would corrupt the next one.
        const taken = Effect.ignore(present.handle.truncate(present.end))
        yield* Effect.tapError(present.handle.writeAll(bytes), () => taken)
        present.end += bytes.length
      },
      // The file may be gone for this owner, say on NFS, because there is a new one.
      Effect.tapError(() => Effect.andThen(close, guard(file))),
      Effect.uninterruptible,
      alone.withPermit,
      onFailure(file)
    )
    return { add, close: alone.withPermit(close) }
  })

  const appendLines = Effect.fnUntraced(function*(file: string, lines: ReadonlyArray<string>) {
    yield* checkPlace(file)
    yield* checkLinks(path.dirname(file))
    yield* Effect.uninterruptible(Effect.tryPromise({
      try: () => addLines(file, lines),
      catch: (cause) => {
        const errno = code(cause)
        const kind = errno === "ELOOP" ? "link" : KINDS[errno ?? ""] ?? "other"
        return new FileError({ path: file, kind, cause })
      }
    }))
  })

  const create = (file: string, content: string) =>
    beside(file, (temporary) =>
      put(temporary, [new TextEncoder().encode(content)]).pipe(
        Effect.andThen(
          // On file systems without links, a reader may see the file before its content.
          Effect.catchIf(
            fs.link(temporary, file),
            (error) => !exists(error),
            () => fs.writeFileString(file, content, { flag: "wx" })
          )
        ),
        Effect.as(true),
        Effect.catchIf(exists, () => Effect.succeed(false))
      )).pipe(onFailure(file), (self) => Effect.andThen(checkLinks(path.dirname(file)), self))

  const createParts: Files["createParts"] = (file, fill) =>
    beside(
      file,
      Effect.fnUntraced(function*(temporary) {
        const folder = path.dirname(file)
        yield* makeFolder(folder)
        const handle = yield* fs.open(temporary, { flag: "w" })
        yield* fill((part) => onFailure(file)(handle.writeAll(part)))
        yield* handle.sync
        yield* commit(
          file,
          // On file systems without links, the last one stays.
          Effect.catchIf(fs.link(temporary, file), (error) => !exists(error), () => fs.rename(temporary, file))
        )
        yield* syncFolder(folder)
        return true
      }, Effect.scoped)
    ).pipe(
      Effect.catchIf((error) => error instanceof PlatformError.PlatformError && exists(error), () =>
        Effect.succeed(false)),
      onFailure(file)
    )

  const writeFolder = <A, E>(folder: string, fill: (temporary: string) => Effect.Effect<A, E>) =>
    beside(
      folder,
      Effect.fnUntraced(function*(temporary) {
        const parent = path.dirname(folder)
        const aside = path.join(parent, `${REPLACED}aside-${numberOf(folder)}-${OWN}${writers++}`)
        const replaced = path.join(aside, path.basename(folder))
        yield* guard(folder)
        yield* makeFolder(parent)
        yield* fs.makeDirectory(temporary)
        const filled = yield* Effect.mapError(fill(temporary), (error) =>
          error instanceof FileError
            ? new FileError({ path: error.path.replace(temporary, folder), kind: error.kind, cause: error.cause })
            : error)
        yield* syncFolder(temporary)
        yield* Effect.uninterruptible(Effect.gen(function*() {
          // A rename cannot replace a folder that is not empty. Between the two renames, `sweep` finds the old one.
          const again = yield* fs.exists(folder)
          if (again) {
            yield* fs.makeDirectory(aside)
            yield* Effect.tapError(commit(folder, fs.rename(folder, replaced)), () => discard(aside))
          }
          yield* commit(folder, fs.rename(temporary, folder)).pipe(
            Effect.tapError(() => Effect.ignore(Effect.andThen(fs.rename(replaced, folder), discard(aside))))
          )
          yield* syncFolder(parent)
          yield* discard(aside)
        }))
        return filled
      })
    ).pipe(onFailure(folder))

  // The folder is renamed first, so that it is never partly removed, not even after a loss of power.
  const removeFolder = (folder: string) =>
    beside(folder, (temporary) =>
      Effect.andThen(
        fs.makeDirectory(temporary),
        Effect.andThen(
          commit(folder, fs.rename(folder, path.join(temporary, path.basename(folder)))),
          syncFolder(path.dirname(folder))
        )
      )).pipe(onFailure(folder))

  const beginFolder = Effect.fnUntraced(function*(folder: string) {
    const isThere = (at: string) => Effect.orElseSucceed(fs.exists(at), () => false)
    const created: Array<string> = []
    for (let at = folder; path.dirname(at) !== at && !(yield* isThere(at)); at = path.dirname(at)) created.push(at)
    yield* makeFolder(folder)
    const [own, ...parents] = created
    if (own === undefined) return Effect.void
    // Unlike a removal, it fails for a folder that is not empty.
    const empty = (parent: string) => Effect.tryPromise(() => rmdir(parent))
    return Effect.ignore(Effect.andThen(removeFolder(own), Effect.forEach(parents, empty)))
  })

  /** Puts a folder back that was moved out of its place, if nothing came there. */
  const restore = Effect.fnUntraced(function*(left: string, place: string) {
    yield* (yield* fs.exists(place)) ? discard(left) : fs.rename(left, place)
  })

  const restoreAll = Effect.fnUntraced(function*(aside: string, folder: string) {
    for (const name of yield* fs.readDirectory(aside)) yield* restore(path.join(aside, name), path.join(folder, name))
    yield* discard(aside)
  })

  const sweep = Effect.fnUntraced(function*(folder: string) {
    yield* checkLinks(folder)
    for (const name of yield* fs.readDirectory(folder)) {
      const writer = Number(TEMPORARY.exec(name)?.[1])
      const left = path.join(folder, name)
      const dead = writer === process.pid ? !active.has(left) : !Number.isNaN(writer) && !(yield* isAlive(writer))
      if (dead) yield* discard(left)
      if (ASIDE.test(name)) yield* restoreAll(left, folder)
      else if (name.startsWith(REPLACED)) yield* restore(left, path.join(folder, name.slice(REPLACED.length)))
    }
  }, (self, folder) => onFailure(folder)(self))

  const expel = Effect.fnUntraced(function*(folder: string, number: number) {
    const entries = yield* fs.readDirectory(folder, { recursive: true })
    for (const entry of entries) {
      const name = path.basename(entry)
      const owner = Number(TEMPORARY.exec(name)?.[2] ?? ASIDE.exec(name)?.[1] ?? number)
      if (owner >= number) continue
      const left = path.join(folder, entry)
      // A folder is first taken away as a whole.
      yield* beside(left, (temporary) =>
        Effect.gen(function*() {
          yield* fs.rename(left, temporary)
          if (ASIDE.test(name)) yield* restoreAll(temporary, path.dirname(left))
        })).pipe(
          Effect.catchIf(
            (error) => error._tag === "PlatformError" && error.reason._tag === "NotFound",
            () => Effect.void
          )
        )
    }
  }, (self, folder) => onFailure(folder)(self))

  const regular = Effect.fnUntraced(function*(file: string) {
    const { type } = yield* fs.stat(file)
    if (type === "File") return
    const cause = new Error(`it is a ${nameOf(type)}`)
    return yield* new FileError({ path: file, kind: "special", cause })
  }, (self, file) => onFailure(file)(self))

  const readText = (file: string) => onFailure(file)(fs.readFileString(file))

  const readBytes = Effect.fnUntraced(function*(handle: FileSystem.File, hash: Hash, length: number) {
    const bytes = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const count = yield* handle.read(bytes.subarray(filled))
      if (count === 0) break
      filled += count
    }
    const read = bytes.subarray(0, filled)
    hash.update(read)
    return read
  })

  const headerOf = Effect.fnUntraced(function*(handle: FileSystem.File, hash: Hash) {
    const size = Number((yield* handle.stat).size)
    const prefix = yield* readBytes(handle, hash, 8)
    const dataOffset = yield* Effect.fromResult(Safetensors.headerLength(prefix))
    const rest = yield* readBytes(handle, hash, Math.min(dataOffset, size) - 8)
    const header = yield* Effect.fromResult(Safetensors.readHeader(Buffer.concat([prefix, rest])))
    yield* Effect.fromResult(Safetensors.checkLength(header, size))
    return header
  })

  const readHeader = Effect.fnUntraced(
    function*(file: string) {
      yield* regular(file)
      return yield* headerOf(yield* fs.open(file), createHash("sha256"))
    },
    Effect.scoped,
    (self, file) => onFailure(file)(self)
  )

  const readTensors = Effect.fnUntraced(
    function*(file: string) {
      yield* regular(file)
      const handle = yield* fs.open(file)
      const hash = createHash("sha256")
      const header = yield* headerOf(handle, hash)
      const tensors: Array<readonly [string, Safetensors.Tensor]> = []
      for (const entry of header.entries) {
        const bytes = yield* readBytes(handle, hash, entry.end - entry.begin)
        tensors.push([entry.name, yield* Effect.fromResult(Safetensors.decodeTensor(entry, bytes))])
      }
      return { tensors: Object.fromEntries(tensors), metadata: header.metadata, sha256: hash.digest("hex") }
    },
    Effect.scoped,
    (self, file) => onFailure(file)(self)
  )

  return {
    fs,
    path,
    writeParts,
    write,
    writeTexts,
    appending,
    appendLines,
    flush,
    create,
    createParts,
    writeFolder,
    readText,
    regular,
    makeFolder,
    beginFolder,
    checkFree,
    checkPlace,
    readHeader,
    readTensors,
    removeFolder,
    sweep,
    expel
  }
})

/** The file system and paths of Node.js. */
export const layerNode: Layer.Layer<FileSystem.FileSystem | Path.Path> = Layer.merge(
  NodeFileSystem.layer,
  NodePath.layer
)

/** Runs an effect on the file system of its environment, or on that of Node.js if the environment has none. */
export const orNode = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, FileSystem.FileSystem | Path.Path>> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.provide(self, Layer.merge(layerNode, Layer.succeedContext(context)), { local: true })
  )
