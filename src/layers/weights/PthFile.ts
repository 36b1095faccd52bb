/** Reads checkpoints of PyTorch, one storage of the archive at a time. */
import { Reader, ZipReader } from "@zip.js/zip.js"
import { Effect, type FileSystem, PlatformError } from "effect"
import * as Pth from "../../domain/weights/Pth.ts"
import type * as Safetensors from "../../domain/weights/Safetensors.ts"
import { readAt } from "../files/ReadAt.ts"

class FileReader extends Reader<FileSystem.File> {
  readonly file: FileSystem.File
  override size: number
  constructor(file: FileSystem.File, size: number) {
    super(file)
    this.file = file
    this.size = size
  }
  override readUint8Array(index: number, length: number): Promise<Uint8Array> {
    return Effect.runPromise(readAt(this.file, index, length))
  }
}

const attempt = <A>(read: () => Promise<A>) =>
  Effect.tryPromise({
    try: read,
    catch: (cause) =>
      cause instanceof PlatformError.PlatformError
        ? cause
        : new Pth.PthError({
          reason: { _tag: "Archive", problem: cause instanceof Error ? cause.message : String(cause) }
        })
  })

/** First bytes of zip archives, in hexadecimal. */
const ZIP = "504b0304"

/** First bytes of the format before PyTorch 1.6, in hexadecimal: a pickle of the format's magic number. */
const LEGACY = "80028a0a6cfc9c46f920"

/**
 * Tests whether a file is a checkpoint of PyTorch, by its first bytes. Fails with `PthError` for the format before PyTorch
 * 1.6.
 */
export const recognise = Effect.fnUntraced(function*(file: FileSystem.File) {
  const beginning = Buffer.from(yield* readAt(file, 0, LEGACY.length / 2)).toString("hex")
  if (beginning === LEGACY) return yield* new Pth.PthError({ reason: { _tag: "Legacy" } })
  return beginning.startsWith(ZIP)
})

/** Opens a checkpoint: the views in its pickle, whose records all have their lengths, and the bytes of a storage. */
const opened = Effect.fnUntraced(function*(file: FileSystem.File) {
  const { size } = yield* file.stat
  const archive = new ZipReader(new FileReader(file, Number(size)), { checkCrc32: true, useWebWorkers: false })
  const entries = yield* attempt(() => archive.getEntries())
  const folder = entries.map(({ filename }) => filename)
    .find((name) => name === Pth.PICKLE || name.endsWith(`/${Pth.PICKLE}`))
    ?.slice(0, -Pth.PICKLE.length)
  const byName = new Map(entries.map((entry) => [entry.filename, entry]))

  const entryOf = Effect.fnUntraced(function*(record: string) {
    const entry = byName.get(`${folder ?? ""}${record}`)
    if (entry === undefined || entry.directory) {
      return yield* new Pth.PthError({ reason: { _tag: "MissingRecord", record } })
    }
    // PyTorch does not compress, so a record that claims to be larger than the file is damaged.
    if (entry.uncompressedSize <= Number(size)) return entry
    const problem = `${record} claims ${entry.uncompressedSize} bytes in a file of ${size}`
    return yield* new Pth.PthError({ reason: { _tag: "Archive", problem } })
  })

  const bytesOf = Effect.fnUntraced(function*(record: string) {
    const entry = yield* entryOf(record)
    return new Uint8Array(yield* attempt(() => entry.arrayBuffer()))
  })

  const pickle = yield* bytesOf(Pth.PICKLE)
  if (byName.has(`${folder}${Pth.BYTE_ORDER}`)) {
    const given = new TextDecoder().decode(yield* bytesOf(Pth.BYTE_ORDER)).trim()
    if (given !== "little") return yield* new Pth.PthError({ reason: { _tag: "ByteOrder", given } })
  }

  const views = yield* Effect.fromResult(Pth.views(pickle))
  for (const { storage } of views) {
    const given = (yield* entryOf(Pth.recordOf(storage))).uncompressedSize
    yield* Effect.fromResult(Pth.checkLength(storage, given))
  }
  return { views, bytesOf: (storage: Pth.Storage) => bytesOf(Pth.recordOf(storage)) }
})

/** Lists the tensors of a checkpoint, with their stored element types, without reading them. Fails as {@link read} does. */
export const list = Effect.fnUntraced(function*(file: FileSystem.File) {
  const { views } = yield* opened(file)
  return Object.fromEntries(views.map(({ name, shape, storage: { dtype } }) => [name, { dtype, shape }]))
})

/**
 * Reads the tensors of a checkpoint. Fails with `PthError` or `PickleError` if the archive, its pickle or a storage is
 * damaged, or if it does not contain tensors.
 */
export const read = Effect.fnUntraced(function*(file: FileSystem.File) {
  const { bytesOf, views } = yield* opened(file)
  const storages = new Map<string, Pick<Safetensors.Tensor, "dtype" | "data">>()
  const tensors: Array<readonly [string, Safetensors.Tensor]> = []
  for (const view of views) {
    const record = `${view.storage.dtype} ${Pth.recordOf(view.storage)}`
    const known = storages.get(record)
    const array = known ??
      (yield* Effect.fromResult(Pth.storage(view.storage, yield* bytesOf(view.storage))))
    storages.set(record, array)
    tensors.push([view.name, yield* Effect.fromResult(Pth.tensor(view, array))])
  }
  return Object.fromEntries(tensors)
})
