/**
 * Rows of a run's log or timings, while another process may write them. A last line without its end is not read yet. Lines that
 * are damaged are left out, and numbered.
 */
import { Effect, type FileSystem, Option, type PlatformError, Result, Schema, type Scope } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../../layers/files/Files.ts"
import { Row } from "../../layers/run/Runs.ts"

/** Whole rows of a file, one after another. */
export interface Rows {
  readonly rows: ReadonlyArray<Row>
  /** The number of lines. */
  readonly lines: number
  /** The lines that hold no row, from 1. */
  readonly damaged: ReadonlyArray<number>
  /** The offset in the file behind them, in bytes. */
  readonly end: number
}

/** No rows. */
export const none: Rows = { rows: [], lines: 0, damaged: [], end: 0 }

const NEWLINE = 0x0a
const BRACE = 0x7b

/** So many bytes are read at once. */
const BYTES = 2 ** 18

// A row has some hundred bytes. What is longer than this is no row, and must not fill the memory.
const LONGEST = 2 ** 22

const decode = Schema.decodeUnknownOption(Row)

/** Parses whole lines. Blank ones hold no row, and are not damaged. */
const parse = (bytes: Uint8Array): Omit<Rows, "end"> => {
  const rows: Array<Row> = []
  const damaged: Array<number> = []
  const lines = new TextDecoder().decode(bytes).split("\n")
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue
    const row = Option.flatMap(Result.getSuccess(Json.parse(line)), decode)
    if (Option.isSome(row)) rows.push(row.value)
    else damaged.push(i + 1)
  }
  return { rows, lines: lines.length - 1, damaged }
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
    : Option.some({ rows: [], lines: 0, damaged: [1], end: offset + read.length })
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

/** Tests whether what follows the last whole line may be a row that is being written. */
const mayGrow = Effect.fnUntraced(function*(handle: FileSystem.File, end: number) {
  const rest = yield* handle.readAlloc(1, { position: BigInt(end) })
  return Option.isNone(rest) || rest.value[0] === BRACE
})

/** Reads all rows of a file, and finds all damaged lines. Fails with `FileError` if there is no file. */
export const all = Effect.fnUntraced(
  function*(fs: FileSystem.FileSystem, file: string) {
    const rows: Array<Row> = []
    const damaged = new Set<number>()
    let lines = 0
    const end = yield* each(fs, file, (part) => {
      rows.push(...part.rows)
      for (const line of part.damaged) damaged.add(lines + line)
      lines += part.lines
    })
    if (!(yield* mayGrow(yield* fs.open(file), end))) damaged.add(lines + 1)
    return { rows, lines, damaged: [...damaged], end } satisfies Rows
  },
  Effect.scoped,
  (self, _, file) => Files.onFailure(file)(self)
)

/**
 * Reads the last rows of a file, those in its last 64 KiB. Damaged lines are those among them, counted from the first of them. Fails
 * with `FileError` if there is no file.
 */
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
    const parsed = parse(read.subarray(from, Math.max(from, cut)))
    const end = begin + cut
    const grows = yield* mayGrow(handle, end)
    return { ...parsed, damaged: grows ? parsed.damaged : [...parsed.damaged, parsed.lines + 1], end }
  },
  Effect.scoped,
  (self, _, file) => Files.onFailure(file)(self)
)
