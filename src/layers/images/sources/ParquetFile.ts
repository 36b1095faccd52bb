/** Reads a Parquet file in parts. */
import { Effect, type FileSystem } from "effect"
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  readOffsetIndex,
  type SchemaTree
} from "hyparquet"
import * as Compressors from "hyparquet-compressors"
import { FileDamaged, FileTruncated } from "../reading/ImagesError.ts"
import * as Shards from "./Shards.ts"

/** A file with a column of images, and its checked metadata. */
export interface ParquetFile {
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
  readonly schema: SchemaTree
  /** Number of rows. */
  readonly rows: number
  /** First row of each part that is read at once, in ascending order. */
  readonly starts: ReadonlyArray<number>
  /** Size of the largest part, in bytes. */
  readonly largest: number
}

/** Size of the smallest Parquet file in bytes: 4 letters at its beginning and end, and the length of the metadata. */
const SHORTEST = 12

// A page without values (of a column of nulls) is empty, and the decoder of LZ4 refuses an empty block.
const compressors = Object.fromEntries(
  Object.entries(Compressors.compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => length === 0 ? new Uint8Array(0) : decompress(input, length)
  ])
)

/** Runs the reader. Fails with `FileDamaged` if it throws. */
export const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new FileDamaged({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

/** Makes the error of a damaged file. */
export const damaged = (problem: string) => new FileDamaged({ problem })

/**
 * Gives the reader access to the bytes of a file. The reader reads ahead, so failures of reads that it does not wait for
 * are ignored.
 */
const bufferOf = async (name: string): Promise<AsyncBuffer> => {
  const { byteLength, slice } = await asyncBufferFromFile(name)
  const read = async (start: number, end: number): Promise<ArrayBuffer> => {
    if (start >= 0 && start <= end && end <= byteLength) return slice(start, end)
    throw new RangeError(`it refers to the bytes ${start} to ${end}, but has only ${byteLength}`)
  }
  return {
    byteLength,
    slice: (start, end = byteLength) => {
      const bytes = read(start, end)
      bytes.catch(() => {})
      return bytes
    }
  }
}

const hasPath = (tree: SchemaTree, [name, ...rest]: ReadonlyArray<string>): boolean =>
  name === undefined || tree.children.some((child) => child.element.name === name && hasPath(child, rest))

/** Finds an error in the metadata of columns and row groups that would make later reads wrong. */
const fault = ({ num_rows, row_groups: groups }: FileMetaData, schema: SchemaTree, image: string) => {
  if (schema.children.some(({ element: { name } }) => typeof name !== "string")) return "a column has no name"
  for (const { columns, num_rows: rows } of groups) {
    const paths = columns.map(({ meta_data: meta }) => meta?.path_in_schema ?? [])
    const stray = paths.find((path) => path.length === 0 || !hasPath(schema, path))
    if (stray !== undefined) return `a row group has a column "${stray.join(".")}" that the file does not declare`
    const held = columns.filter((_, i) => paths[i]![0] === image)
    if (held.length === 0 && hasPath(schema, [image])) return `a row group has no column "${image}"`
    if (rows < 0n || held.some(({ meta_data: meta }) => meta?.num_values !== rows)) {
      return `a row group of ${rows} rows has a different number of values in the column "${image}"`
    }
  }
  const rows = groups.reduce((sum, group) => sum + group.num_rows, 0n)
  return rows === num_rows ? undefined : `it should have ${num_rows} rows but has ${rows}`
}

/** Returns the first rows of pages if all pages of the images are indexed, else the first rows of row groups. */
const unitsOf = async (file: AsyncBuffer, { row_groups: groups }: FileMetaData, image: string) => {
  const starts: Array<number> = []
  let largest = 0
  let first = 0
  for (const group of groups) {
    const column = group.columns.find(({ meta_data: meta }) =>
      meta?.path_in_schema[0] === image && ["bytes", image].includes(meta.path_in_schema.at(-1) ?? "")
    )
    const { offset_index_length: length, offset_index_offset: offset } = column ?? {}
    if (length !== undefined && offset !== undefined) {
      const bytes = await file.slice(Number(offset), Number(offset) + length)
      const pages = readOffsetIndex({ view: new DataView(bytes), offset: 0 }).page_locations
      for (const page of pages) {
        starts.push(first + Number(page.first_row_index))
        largest = Math.max(largest, page.compressed_page_size)
      }
    } else {
      starts.push(first)
      largest = Math.max(largest, Number(column?.meta_data?.total_uncompressed_size ?? 0))
    }
    first += Number(group.num_rows)
  }
  return { starts, largest, rows: first }
}

/**
 * Opens a file with a column of images. Fails with `FileError` if it is missing, and with `FileTruncated` or `FileDamaged`
 * if it is cut off, damaged or lacks the column.
 */
export const open = Effect.fnUntraced(function*(fs: FileSystem.FileSystem, shard: string, image: string) {
  yield* Shards.stat(fs, shard)
  const file = yield* attempt(() => bufferOf(shard))
  if (file.byteLength < SHORTEST) return yield* new FileTruncated({ expected: SHORTEST, found: file.byteLength })
  const metadata = yield* attempt(() => parquetMetadataAsync(file))
  const schema = yield* attempt(async () => parquetSchema(metadata))
  const columns = schema.children.map(({ element }) => element.name)
  // The metadata of a damaged file can have any type.
  const problem = yield* attempt(async () => fault(metadata, schema, image))
  if (problem !== undefined) return yield* damaged(problem)
  if (columns.indexOf(image) !== columns.lastIndexOf(image)) {
    return yield* damaged(`it has several columns "${image}"`)
  }
  if (!columns.includes(image)) return yield* damaged(`it has no column "${image}", only ${columns.join(", ")}`)
  const opened: ParquetFile = { file, metadata, schema, ...(yield* attempt(() => unitsOf(file, metadata, image))) }
  return opened
})

/** Reads the cells of a column, for all rows or for some. Texts are returned as bytes. */
export const read = ({ file, metadata }: ParquetFile, column: string, rows?: readonly [start: number, end: number]) =>
  Effect.map(
    attempt(() =>
      parquetReadObjects({
        file,
        metadata,
        compressors,
        columns: [column],
        utf8: false,
        ...(rows && { rowStart: rows[0], rowEnd: rows[1], useOffsetIndex: true })
      })
    ),
    (found) => found.map(({ [column]: cell }): unknown => cell)
  )
