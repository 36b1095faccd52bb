import { Effect, FileSystem, PlatformError } from "effect"

export type Operation =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "open"; readonly path: string; readonly handle: number; readonly truncates: boolean }
  | { readonly kind: "write"; readonly handle: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly handle: number; readonly length: number }
  | { readonly kind: "sync"; readonly handle: number }
  | { readonly kind: "rename" | "link"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }

export interface Watch {
  readonly before?: (operation: Operation) => Effect.Effect<void, PlatformError.PlatformError>
  readonly after?: (operation: Operation) => void
}

export const failure = (code: string, tag: PlatformError.SystemErrorTag) =>
  PlatformError.systemError({
    _tag: tag,
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(code), { code })
  })

const WRITING = new Set<FileSystem.OpenFlag>(["w", "wx", "w+", "wx+", "a", "ax", "a+", "ax+"])

export const watchedDisk = (fs: FileSystem.FileSystem, { after = () => {}, before }: Watch): FileSystem.FileSystem => {
  let handles = 0

  const watched = <A, R>(operation: Operation, self: Effect.Effect<A, PlatformError.PlatformError, R>) =>
    Effect.andThen(before?.(operation) ?? Effect.void, Effect.tap(self, () => Effect.sync(() => after(operation))))

  const openedAs = (path: string, flag: FileSystem.OpenFlag, handle: number): Operation => ({
    kind: "open",
    path,
    handle,
    truncates: flag.startsWith("w")
  })

  const writeHalf = (
    operation: Operation,
    write: (bytes: Uint8Array) => Effect.Effect<void, PlatformError.PlatformError>
  ) => {
    if (operation.kind !== "write" || before === undefined) return Effect.void
    const half = operation.bytes.subarray(0, Math.floor(operation.bytes.length / 2))
    return Effect.tapError(before(operation), () => Effect.ignore(write(half)))
  }

  const fileOf = (file: FileSystem.File, handle: number, begin: number): FileSystem.File => {
    let position = begin
    const wrote = (bytes: Uint8Array) => {
      after({ kind: "write", handle, position, bytes: bytes.slice() })
      position += bytes.length
    }
    return {
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      stat: file.stat,
      seek: (offset, from) => Effect.tap(file.seek(offset, from), (at) => Effect.sync(() => (position = Number(at)))),
      sync: watched({ kind: "sync", handle }, file.sync),
      read: (buffer, options) => file.read(buffer, options),
      readAlloc: (size, options) => file.readAlloc(size, options),
      truncate: (length = 0) => watched({ kind: "truncate", handle, length }, file.truncate(length)),
      write: (bytes) =>
        Effect.andThen(
          writeHalf({ kind: "write", handle, position, bytes }, file.writeAll),
          Effect.tap(file.write(bytes), (count) => Effect.sync(() => wrote(bytes.subarray(0, count))))
        ),
      writeAll: (bytes) =>
        Effect.andThen(
          writeHalf({ kind: "write", handle, position, bytes }, (half) => file.writeAll(half)),
          Effect.tap(file.writeAll(bytes), () => Effect.sync(() => wrote(bytes)))
        )
    }
  }

  const open: FileSystem.FileSystem["open"] = (path, options) =>
    Effect.gen(function*() {
      const flag = options?.flag ?? "r"
      const handle = handles++
      const opening = fs.open(path, options)
      const opened = openedAs(path, flag, handle)
      const file = yield* (WRITING.has(flag) ? watched(opened, opening) : Effect.tap(
        opening,
        () => Effect.sync(() => after(opened))
      ))
      return fileOf(file, handle, flag.startsWith("a") ? Number((yield* file.stat).size) : 0)
    })

  const entries: (path: string) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError> = Effect
    .fnUntraced(
      function*(path) {
        const { type } = yield* fs.stat(path)
        if (type !== "Directory") return [path]
        const inside = yield* Effect.forEach(yield* fs.readDirectory(path), (name) => entries(`${path}/${name}`))
        return [...inside.flat(), path]
      }
    )

  const base = {
    ...fs,
    open,
    makeDirectory: (path, options) => watched({ kind: "folder", path }, fs.makeDirectory(path, options)),
    rename: (from, to) => watched({ kind: "rename", from, to }, fs.rename(from, to)),
    link: (from, to) => watched({ kind: "link", from, to }, fs.link(from, to)),
    remove: Effect.fnUntraced(function*(path, options) {
      const all = yield* Effect.orElseSucceed(entries(path), () => [])
      if (all.length === 0) return yield* fs.remove(path, options)
      yield* before?.({ kind: "remove", path }) ?? Effect.void
      yield* fs.remove(path, options)
      for (const one of all) after({ kind: "remove", path: one })
    }),
    writeFile: (path, bytes, options) =>
      Effect.scoped(
        Effect.flatMap(open(path, { ...options, flag: options?.flag ?? "w" }), (file) => file.writeAll(bytes))
      )
  } satisfies FileSystem.FileSystem
  return FileSystem.make(base)
}
