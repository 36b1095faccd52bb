/**
 * Rows of a run's log or timings, while another process may write them. A last line without its end is not read yet. Lines that
 * are damaged are left out, and counted.
 */
import { Effect, type FileSystem, Option, type PlatformError, Result, Schema, type Scope } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { Row } from "../../layers/run/Runs.ts"

/** Whole rows of a file, one after another. */
export interface Rows {
  readonly rows: ReadonlyArray<Row>
  /** Number of lines that hold no row. */
  readonly damaged: number
  /** The offset in the file behind them, in bytes. */
  readonly end: number
}

/** No rows. */
export const none: Rows = { rows: [], damaged: 0, end: 0 }

const NEWLINE = 0x0a

/** So many bytes are read at once. */
const BYTES = 2 ** 18

// A row has some hundred bytes. What is longer than this is no row, and must not fill the memory.
const LONGEST = 2 ** 22

const decode = Schema.decodeUnknownOption(Row)

/** Parses whole lines. Blank ones count for nothing. */
const parse = (bytes: Uint8Array): Pick<Rows, "rows" | "damaged"> => {
  const lines = new TextDecoder().decode(bytes).split("\n").filter((line) => line.trim() !== "")
  const rows = lines.flatMap((line) => {
    const row = Option.flatMap(Result.getSuccess(Json.parse(line)), decode)
    return Option.isSome(row) ? [row.value] : []
  })
  return { rows, damaged: lines.length - rows.length }
}

/**
 * Reads the rows behind an offset, of bounded size. None if there are no more. `bytes` is the number of bytes to read; default
 * 256 KiB.
 */
export const next = Effect.fnUntraced(function*(
  handle: FileSystem.File,
  offset: number,
  bytes: number = BYTES
): Effect.fn.Return<Option.Option<Rows>, PlatformError.PlatformError> {
  const found = yield* handle.readAlloc(bytes, { position: BigInt(offset) })
  if (Option.isNone(found)) return Option.none()
  const read = found.value
  const cut = read.lastIndexOf(NEWLINE) + 1
  if (cut > 0) return Option.some({ ...parse(read.subarray(0, cut)), end: offset + cut })
  if (read.length < bytes) return Option.none()
  return bytes < LONGEST
    ? yield* next(handle, offset, 4 * bytes)
    : Option.some({ rows: [], damaged: 1, end: offset + read.length })
})

/** Reads the rows of a file from its beginning, part by part, into `use`. Returns the offset behind them. */
export const each = Effect.fnUntraced(
  function*(fs: FileSystem.FileSystem, file: string, use: (part: Rows) => void) {
    const handle = yield* fs.open(file)
    let end = 0
    for (;;) {
      const part = yield* next(handle, end)
      if (Option.isNone(part)) return end
      use(part.value)
      end = part.value.end
    }
  },
  Effect.scoped,
  (self, _, file) => Files.onFailure(file)(self)
)

/** Reads the last rows of a file, those in its last 64 KiB. Fails with `FileError` if there is no file. */
export const last = Effect.fnUntraced(
  function*(fs: FileSystem.FileSystem, file: string): Effect.fn.Return<Rows, PlatformError.PlatformError, Scope.Scope> {
    const handle = yield* fs.open(file)
    const size = Number((yield* handle.stat).size)
    const begin = Math.max(0, size - 2 ** 16)
    const read = Option.getOrElse(
      yield* handle.readAlloc(2 ** 16, { position: BigInt(begin) }),
      () => new Uint8Array(0)
    )
    const from = begin === 0 ? 0 : read.indexOf(NEWLINE) + 1
    const cut = read.lastIndexOf(NEWLINE) + 1
    return { ...parse(read.subarray(from, Math.max(from, cut))), end: begin + cut }
  },
  Effect.scoped,
  (self, _, file) => Files.onFailure(file)(self)
)
